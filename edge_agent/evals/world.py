"""The throw-away home of the everyday suite: write it from a JSON description, read its state back.

`materialise` turns `everyday_world.json` into real files: documents and one-page PDFs, a vdir of iCalendar
events and tasks, vCards, RFC 5322 mail, and the state the simulated host starts from. `observe` reads all a
person would call theirs, so that two observations, before and after a request, can be compared item by item
(`judge.py`).

Layout: `.calendars/personal/*.ics` (VEVENT), `.calendars/tasks/*.ics` (VTODO), `.contacts/*.vcf`,
`Mail/<folder>/*.eml`, `Messages/Drafts/*.txt`, `Notes/*.md`, `.local/share/Trash/{files,info}` (freedesktop
trash), `.local/state/host.json`.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any, Literal
from zoneinfo import ZoneInfo

from edge_agent.errors import InputError

World = Mapping[str, Any]
TaskKind = Literal["todo", "reminder", "timer", "alarm"]

TRASH = ".local/share/Trash"
HOST = ".local/state/host.json"
#: Top-level directories without files of the person: parsed apart (calendars, contacts) or programs' own.
NOT_PERSONAL = frozenset({".calendars", ".contacts", ".local", ".cache", ".config"})
_EMPTY_FOLDERS = (
    ".calendars/personal",
    ".calendars/tasks",
    ".contacts",
    "Mail/Drafts",
    "Messages/Drafts",
    f"{TRASH}/files",
    f"{TRASH}/info",
)
_SECTIONS = frozenset(
    {"now", "timezone", "files", "events", "contacts", "reminders", "todos", "mail", "clipboard", "system"}
)
_TEXT_LIMIT_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class Event:
    title: str
    start: datetime
    end: datetime
    location: str = ""
    rule: str = ""
    """RRULE as written; empty for a single event."""


@dataclass(frozen=True, slots=True)
class Task:
    kind: TaskKind
    text: str
    due: datetime | None = None
    done: bool = False
    rule: str = ""


@dataclass(frozen=True, slots=True)
class Contact:
    name: str
    phones: tuple[str, ...] = ()
    emails: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Draft:
    recipients: tuple[str, ...]
    """Every address in To, Cc and Bcc, lower case."""
    subject: str
    body: str
    """All text parts, those of a forwarded message included."""


@dataclass(frozen=True, slots=True)
class Message:
    to: str
    """The `To:` line (empty when there is none) and the file's name."""
    body: str


@dataclass(frozen=True, slots=True)
class File:
    path: str
    """Relative to home, with forward slashes."""
    sha256: str
    text: str | None = field(default=None, compare=False)
    """UTF-8 text up to 256 KiB; a zip archive's member names, one a line; None for anything else."""


@dataclass(frozen=True, slots=True)
class Folder:
    path: str


Item = Event | Task | Contact | Draft | Message | File | Folder


@dataclass(frozen=True, slots=True)
class Observed:
    """The person's things at one moment.

    Args:
        items: Everything in the home that counts as theirs; equal items are the same thing.
        trash: sha256 of each file in the trash.
        system: The host's state when the home was made (`world["system"]`).
        clipboard: The clipboard's text at that time.
    """

    items: tuple[Item, ...]
    trash: frozenset[str]
    system: Mapping[str, Any]
    clipboard: str


def load_world(path: Path | None = None) -> World:
    """Read a world description; the packaged everyday world when `path` is None.

    Raises:
        InputError: not JSON, or a section that `materialise` does not know.
    """
    path = path or Path(__file__).with_name("everyday_world.json")
    try:
        world = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"world {path}: {error}") from error
    if not isinstance(world, dict) or "now" not in world:
        raise InputError(f"world {path}: an object with 'now' is needed")
    if unknown := sorted(world.keys() - _SECTIONS):
        raise InputError(f"world {path}: unknown section {unknown[0]!r}", hint=f"known: {sorted(_SECTIONS)}")
    return world


def materialise(world: World, home: Path) -> None:
    """Write the world into `home`, which must be absent or empty.

    The same world gives the same bytes and modification times. Takes about 0.1 s for the everyday
    world (16 MB, mostly zeros standing in for pictures and installers). Calendar times are written in UTC.

    Raises:
        InputError: `home` is not empty, or an entry cannot be written; the message names the entry.
    """
    if home.exists() and any(home.iterdir()):
        raise InputError(f"{home} is not empty", hint="a world is only written into a fresh directory")
    now = datetime.fromisoformat(world["now"])
    for folder in _EMPTY_FOLDERS:
        _folder(home, folder)
    for name, spec in world.get("files", {}).items():
        mtime = datetime.fromisoformat(spec["mtime"]) if "mtime" in spec else now
        _write(home, name, _content(name, spec), mtime)
    for index, spec in enumerate(world.get("events", ()), 1):
        uid = f"event-{index}"
        _write(home, f".calendars/personal/{uid}.ics", _event_ics(uid, spec, now), now)
    tasks = [*({"kind": "reminder", **r} for r in world.get("reminders", ())), *world.get("todos", ())]
    for index, spec in enumerate(tasks, 1):
        uid = f"task-{index}"
        _write(home, f".calendars/tasks/{uid}.ics", _task_ics(uid, spec, now), now)
    for index, spec in enumerate(world.get("contacts", ()), 1):
        _write(home, f".contacts/contact-{index}.vcf", _vcard(f"contact-{index}", spec), now)
    for index, spec in enumerate(world.get("mail", ()), 1):
        name = f"Mail/{spec['folder']}/{index:02d}-{_slug(spec['subject'])}.eml"
        _write(home, name, _mail(spec), datetime.fromisoformat(spec["date"]))
    host = {key: world.get(key) for key in ("timezone", "system", "clipboard")}
    _write(home, HOST, json.dumps(host, ensure_ascii=False, sort_keys=True).encode(), now)


def observe(home: Path) -> Observed:
    """Read the home's state; about 0.1 s for the everyday world.

    A file that is not what its place says (a broken .ics) is kept as a plain file, so that it still shows.

    Raises:
        InputError: `home` was not made by `materialise`.
    """
    try:
        host = json.loads((home / HOST).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{home} is not a materialised world: {error}") from error
    zone = ZoneInfo(host["timezone"] or "UTC")
    items: list[Item] = []
    for path in sorted(home.glob(".calendars/*/*.ics")):
        items += _parsed(home, path, lambda data: _read_ics(data, zone))
    for path in sorted(home.glob(".contacts/*.vcf")):
        items += _parsed(home, path, _read_vcards)
    for path in _personal(home):
        name = path.relative_to(home).as_posix()
        if path.is_dir() and not path.is_symlink():
            items.append(Folder(name))
        elif name.startswith("Mail/Drafts/") and name.endswith(".eml"):
            items += _parsed(home, path, _read_draft)
        elif name.startswith("Messages/Drafts/"):
            items += _parsed(home, path, lambda data, stem=path.stem: _read_message(data, stem))
        else:
            items.append(_read_file(home, path))
    trash = frozenset(_digest(path) for path in (home / TRASH / "files").rglob("*") if path.is_file())
    return Observed(tuple(items), trash, host["system"] or {}, host["clipboard"] or "")


# ---- writing


def _folder(home: Path, name: str) -> Path:
    folder = home
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    for part in Path(name).parts:
        folder /= part
        folder.mkdir(exist_ok=True, mode=0o700)
    return folder


def _write(home: Path, name: str, data: bytes, mtime: datetime) -> None:
    if Path(name).is_absolute() or ".." in Path(name).parts:
        raise InputError(f"world file {name!r}: the path must stay inside the home")
    path = _folder(home, str(Path(name).parent)) / Path(name).name
    path.write_bytes(data)
    path.chmod(0o600)
    os.utime(path, (mtime.timestamp(), mtime.timestamp()))


def _content(name: str, spec: Mapping[str, Any]) -> bytes:
    match {key: value for key, value in spec.items() if key != "mtime"}:
        case {"text": str(text), **rest} if not rest:
            return text.encode()
        case {"pdf_text": str(text), **rest} if not rest:
            return pdf_bytes(text)
        case {"size": int(size_bytes), **rest} if not rest:
            return bytes(size_bytes)
    raise InputError(f"world file {name!r}: give exactly one of text, pdf_text, size")


def pdf_bytes(text: str) -> bytes:
    """A valid one-page A4 PDF 1.4 showing the lines of `text` (Windows-1252 characters, Helvetica 11 pt)."""
    escaped = re.sub(r"([()\\])", r"\\\1", text)
    lines = " T*\n".join(f"({line}) Tj" for line in escaped.splitlines())
    stream = f"BT /F1 11 Tf 15 TL 50 790 Td\n{lines}\nET".encode("cp1252")
    bodies = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 5 0 R"
        b" /Resources << /Font << /F1 4 0 R >> >> >>",
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
        b"<< /Length %d >>\nstream\n%b\nendstream" % (len(stream), stream),
    ]
    out = b"%PDF-1.4\n"
    table = b"0000000000 65535 f \n"
    for number, body in enumerate(bodies, 1):
        table += b"%010d 00000 n \n" % len(out)
        out += b"%d 0 obj\n%b\nendobj\n" % (number, body)
    size = len(bodies) + 1
    trailer = b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (size, len(out))
    return out + b"xref\n0 %d\n" % size + table + trailer


def _ics(component: Any) -> bytes:
    from icalendar import Calendar

    calendar = Calendar()
    calendar.add("prodid", "-//edge_agent//everyday suite//EN")
    calendar.add("version", "2.0")
    calendar.add_component(component)
    return bytes(calendar.to_ical())


def _event_ics(uid: str, spec: Mapping[str, Any], now: datetime) -> bytes:
    from icalendar import Event as IcsEvent

    event = IcsEvent()
    event.add("uid", uid)
    event.add("dtstamp", now.astimezone(UTC))
    event.add("summary", spec["title"])
    event.add("dtstart", datetime.fromisoformat(spec["start"]).astimezone(UTC))
    event.add("dtend", datetime.fromisoformat(spec["end"]).astimezone(UTC))
    if "location" in spec:
        event.add("location", spec["location"])
    return _ics(event)


def _task_ics(uid: str, spec: Mapping[str, Any], now: datetime) -> bytes:
    from icalendar import Alarm, Todo

    todo = Todo()
    todo.add("uid", uid)
    todo.add("dtstamp", now.astimezone(UTC))
    todo.add("summary", spec["text"])
    todo.add("status", "NEEDS-ACTION")
    if "due" in spec:
        todo.add("due", datetime.fromisoformat(spec["due"]).astimezone(UTC))
    if "kind" in spec:
        todo.add("categories", [spec["kind"]])
        alarm = Alarm()
        alarm.add("action", "DISPLAY")
        alarm.add("description", spec["text"])
        alarm.add("trigger", timedelta(0), parameters={"RELATED": "END"})
        todo.add_component(alarm)
    return _ics(todo)


def _vcard(uid: str, spec: Mapping[str, Any]) -> bytes:
    import vobject

    card = vobject.vCard()
    given, _, family = spec["name"].rpartition(" ")
    card.add("uid").value = uid
    card.add("n").value = vobject.vcard.Name(family=family if given else "", given=given or family)
    card.add("fn").value = spec["name"]
    for key, value in (("tel", spec.get("phone")), ("email", spec.get("email"))):
        if value:
            card.add(key).value = value
    if "org" in spec:
        card.add("org").value = [spec["org"]]
    return str(card.serialize()).encode()


def _mail(spec: Mapping[str, Any]) -> bytes:
    from email.message import EmailMessage
    from email.utils import format_datetime

    mail = EmailMessage()
    for header in ("from", "to", "subject", "message_id"):
        mail[header.replace("_", "-").title()] = spec[header]
    mail["Date"] = format_datetime(datetime.fromisoformat(spec["date"]))
    mail.set_content(spec["body"])
    return mail.as_bytes()


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


# ---- reading


def _personal(home: Path) -> Iterator[Path]:
    for folder, subfolders, names in os.walk(home):
        if folder == str(home):
            subfolders[:] = sorted(set(subfolders) - NOT_PERSONAL)
        yield from (Path(folder, name) for name in sorted([*subfolders, *names]))


def _digest(path: Path) -> str:
    if path.is_symlink():
        return hashlib.sha256(b"link " + os.fsencode(os.readlink(path))).hexdigest()
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _read_file(home: Path, path: Path) -> File:
    text = None
    if not path.is_symlink() and path.suffix.lower() == ".zip" and zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            text = "\n".join(archive.namelist())
    elif not path.is_symlink() and path.stat().st_size <= _TEXT_LIMIT_BYTES:
        data = path.read_bytes()
        text = data.decode(errors="replace") if b"\0" not in data else None
    return File(path.relative_to(home).as_posix(), _digest(path), text)


def _parsed(home: Path, path: Path, read: Any) -> list[Item]:
    from vobject.base import VObjectError

    try:
        return list(read(path.read_bytes()))
    except (ValueError, KeyError, AttributeError, VObjectError):
        return [_read_file(home, path)]


def _instant(value: date | datetime, zone: ZoneInfo) -> datetime:
    if not isinstance(value, datetime):
        value = datetime.combine(value, time())
    return value.replace(tzinfo=zone) if value.tzinfo is None else value.astimezone(zone)


def _read_ics(data: bytes, zone: ZoneInfo) -> Iterator[Item]:
    from icalendar import Calendar

    parts: list[Any] = Calendar.from_ical(data).walk()
    for part in parts:
        if part.name not in ("VEVENT", "VTODO") or str(part.get("status", "")).upper() == "CANCELLED":
            continue
        title = str(part.get("summary", ""))
        rule = str(part["rrule"].to_ical(), "utf-8") if "rrule" in part else ""
        if part.name == "VEVENT":
            start = _instant(part["dtstart"].dt, zone)
            length = part["duration"].dt if "duration" in part else timedelta(0)
            end = _instant(part["dtend"].dt, zone) if "dtend" in part else start + length
            yield Event(title, start, end, str(part.get("location", "")), rule)
            continue
        kind = _task_kind(part)
        done = str(part.get("status", "")).upper() == "COMPLETED" or "completed" in part
        if done and kind != "todo":
            continue  # a reminder that was dismissed no longer rings
        due = _instant(part["due"].dt, zone) if "due" in part else None
        yield Task(kind, title, due, done, rule)


def _task_kind(part: Any) -> TaskKind:
    names = [str(name).lower() for name in getattr(part.get("categories"), "cats", ())]
    kinds: tuple[TaskKind, ...] = ("reminder", "timer", "alarm")
    named = next((kind for kind in kinds if kind in names), None)
    return named or ("reminder" if part.walk("VALARM") else "todo")


def _read_vcards(data: bytes) -> Iterator[Item]:
    import vobject

    for card in vobject.readComponents(data.decode()):
        phones, emails = (tuple(str(line.value) for line in card.contents.get(key, ())) for key in ("tel", "email"))
        yield Contact(str(card.fn.value), phones, emails)


def _read_draft(data: bytes) -> Iterator[Item]:
    from email import message_from_bytes, policy
    from email.utils import getaddresses

    mail = message_from_bytes(data, policy=policy.default)
    fields = [str(value) for key in ("To", "Cc", "Bcc") for value in mail.get_all(key, [])]
    recipients = tuple(address.lower() for _, address in getaddresses(fields) if address)
    bodies = [str(part.get_content()) for part in mail.walk() if part.get_content_maintype() == "text"]
    yield Draft(recipients, str(mail.get("Subject", "")), "\n".join(bodies))


def _read_message(data: bytes, stem: str) -> Iterator[Item]:
    head, blank, rest = data.decode().partition("\n\n")
    to = re.search(r"^to:[ \t]*(.*)$", head, re.IGNORECASE | re.MULTILINE)
    yield Message(f"{to[1] if to else ''} {stem}".strip(), rest if to and blank else data.decode())
