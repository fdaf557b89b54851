"""The home the everyday suite is played in: written as described, read back as it is."""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from everyday_fixture import WORLD, at, only
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.errors import InputError
from edge_agent.evals.simhost import SimulatedHost
from edge_agent.evals.world import (
    TRASH,
    Contact,
    Draft,
    Event,
    File,
    Folder,
    Item,
    Message,
    Observed,
    Task,
    load_world,
    materialise,
    observe,
    pdf_bytes,
)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The everyday home, read only: a test that changes files makes its own small one."""
    path = tmp_path_factory.mktemp("everyday") / "home"
    materialise(WORLD, path)
    return path


@pytest.fixture(scope="module")
def before(home: Path) -> Observed:
    return observe(home)


@pytest.fixture
def small(tmp_path: Path) -> Path:
    path = tmp_path / "home"
    materialise(
        {"now": WORLD["now"], "timezone": "Europe/Berlin", "files": {"a.txt": {"text": "hello"}}}, path
    )
    return path


def test_the_home_reads_back_as_described(before: Observed) -> None:
    assert [(e.title, e.start, e.end, e.location) for e in only(before, Event)] == [
        (
            e["title"],
            datetime.fromisoformat(e["start"]),
            datetime.fromisoformat(e["end"]),
            e.get("location", ""),
        )
        for e in WORLD["events"]
    ]
    assert [(t.kind, t.text, t.due, t.done) for t in only(before, Task)] == [
        *(
            (r.get("kind", "reminder"), r["text"], datetime.fromisoformat(r["due"]), False)
            for r in WORLD["reminders"]
        ),
        *(("todo", t["text"], None, False) for t in WORLD["todos"]),
    ]
    assert [(c.name, *c.phones, *c.emails) for c in only(before, Contact)] == [
        (c["name"], c["phone"], c["email"]) for c in WORLD["contacts"]
    ]
    files = {f.path: f.text for f in only(before, File)}
    assert set(WORLD["files"]) == {name for name in files if not name.startswith("Mail/")}
    assert all(files[name] == spec["text"] for name, spec in WORLD["files"].items() if "text" in spec)
    assert len([name for name in files if name.startswith("Mail/Inbox/")]) == len(WORLD["mail"])
    assert not only(before, Draft)
    assert not only(before, Message)
    assert {"Documents/Recipes", "Mail/Drafts", "Messages/Drafts"} <= {f.path for f in only(before, Folder)}
    assert (before.trash, before.clipboard, before.system) == (set(), WORLD["clipboard"], WORLD["system"])


def test_the_same_world_gives_the_same_home(home: Path, tmp_path: Path) -> None:
    def snapshot(root: Path) -> dict[str, tuple[str, int, int]]:
        return {
            path.relative_to(root).as_posix(): (
                hashlib.sha256(path.read_bytes()).hexdigest(),
                int(path.stat().st_mtime),
                path.stat().st_mode & 0o777,
            )
            for path in root.rglob("*")
            if path.is_file()
        }

    materialise(WORLD, tmp_path / "again")
    again = snapshot(tmp_path / "again")
    assert again == snapshot(home)
    assert {mode for _, _, mode in again.values()} == {0o600}
    minutes = again["Documents/Meeting minutes 2026-03-03.txt"]
    assert minutes[1] == datetime.fromisoformat("2026-03-03T15:20:00+01:00").timestamp()


def test_pdfs_give_their_text_to_pypdf(home: Path) -> None:
    from pypdf import PdfReader

    for name, spec in WORLD["files"].items():
        if "pdf_text" in spec:
            (page,) = PdfReader(home / name, strict=True).pages
            assert page.extract_text().splitlines() == spec["pdf_text"].splitlines()


@settings(max_examples=30, deadline=None)
@given(st.text("abZ09().,\\€é", min_size=1, max_size=40))
def test_any_line_survives_the_pdf(line: str) -> None:
    from pypdf import PdfReader

    (page,) = PdfReader(io.BytesIO(pdf_bytes(line)), strict=True).pages
    assert page.extract_text() == line


def test_the_simulated_host_takes_the_worlds_system() -> None:
    host = SimulatedHost({**WORLD["system"], "clipboard": WORLD["clipboard"]})
    assert host.volume_get() == 40


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"a.txt": {}}, "a.txt.*exactly one"),
        ({"a.txt": {"text": "x", "size": 1}}, "a.txt.*exactly one"),
        ({"a.txt": {"text": "x", "colour": "red"}}, "a.txt.*exactly one"),
        ({"../a.txt": {"text": "x"}}, "inside the home"),
        ({"/tmp/a.txt": {"text": "x"}}, "inside the home"),
    ],
)
def test_a_bad_file_is_named(files: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message):
        materialise({"now": WORLD["now"], "files": files}, tmp_path / "home")


def test_a_world_is_only_written_into_a_fresh_home(small: Path) -> None:
    with pytest.raises(InputError, match="not empty"):
        materialise(WORLD, small)


@pytest.mark.parametrize(
    ("text", "message"), [("{", "world"), ("[]", "'now'"), ('{"now": "", "evnets": []}', "'evnets'")]
)
def test_a_bad_world_file_is_named(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "w.json").write_text(text)
    with pytest.raises(InputError, match=message):
        load_world(tmp_path / "w.json")


def test_only_a_materialised_home_is_observed(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not a materialised world"):
        observe(tmp_path)


def ics(body: str) -> str:
    return f"BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:x\n{body}\nEND:VCALENDAR\n".replace("\n", "\r\n")


VALARM = "BEGIN:VALARM\nACTION:DISPLAY\nTRIGGER:PT0S\nEND:VALARM\n"


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        (  # floating time is local time, DURATION stands for DTEND
            ".calendars/personal/x.ics",
            ics("BEGIN:VEVENT\nUID:x\nSUMMARY:Gym\nDTSTART:20260311T180000\nDURATION:PT1H\nEND:VEVENT"),
            [Event("Gym", at("11T18:00"), at("11T19:00"))],
        ),
        (
            ".calendars/work/x.ics",
            ics(
                "BEGIN:VEVENT\nUID:x\nSUMMARY:Off\nDTSTART;VALUE=DATE:20260312\nRRULE:FREQ=DAILY\nEND:VEVENT"
            ),
            [Event("Off", at("12T00:00"), at("12T00:00"), rule="FREQ=DAILY")],
        ),
        (
            ".calendars/personal/x.ics",
            ics("BEGIN:VEVENT\nUID:x\nSUMMARY:Gym\nDTSTART:20260311T180000\nSTATUS:CANCELLED\nEND:VEVENT"),
            [],
        ),
        (  # a task that rings is a reminder even without a category
            ".calendars/tasks/x.ics",
            ics(f"BEGIN:VTODO\nUID:x\nSUMMARY:Tea\nDUE:20260310T090000Z\n{VALARM}END:VTODO"),
            [Task("reminder", "Tea", at("10T10:00"))],
        ),
        (
            ".calendars/tasks/x.ics",
            ics("BEGIN:VTODO\nUID:x\nSUMMARY:Tea\nCATEGORIES:TIMER\nDUE:20260310T090000Z\nEND:VTODO"),
            [Task("timer", "Tea", at("10T10:00"))],
        ),
        (  # a dismissed reminder rings no more
            ".calendars/tasks/x.ics",
            ics(f"BEGIN:VTODO\nUID:x\nSUMMARY:Tea\nSTATUS:COMPLETED\n{VALARM}END:VTODO"),
            [],
        ),
        (
            ".calendars/tasks/x.ics",
            ics("BEGIN:VTODO\nUID:x\nSUMMARY:Tea\nSTATUS:COMPLETED\nEND:VTODO"),
            [Task("todo", "Tea", done=True)],
        ),
        (
            ".contacts/x.vcf",
            "BEGIN:VCARD\r\nVERSION:4.0\r\nFN:Bo Li\r\nTEL;VALUE=uri:tel:+49-1\r\nEND:VCARD\r\n",
            [Contact("Bo Li", ("tel:+49-1",))],
        ),
        (
            "Mail/Drafts/x.eml",
            "To: Bo <BO@example.org>\nBcc: c@example.org\nSubject: Hi\n\nSee you\n",
            [Draft(("bo@example.org", "c@example.org"), "Hi", "See you\n")],
        ),
        ("Messages/Drafts/x.txt", "To: Bo <+49 1>\n\nHi Bo\n", [Message("Bo <+49 1> x", "Hi Bo\n")]),
        ("Messages/Drafts/Bo.txt", "Hi\n\nthere", [Message("Bo", "Hi\n\nthere")]),
    ],
)
def test_what_others_write_is_understood(name: str, text: str, expected: list[Item], small: Path) -> None:
    old = observe(small)
    path = small / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(text.encode())
    assert list((Counter(observe(small).items) - Counter(old.items)).elements()) == expected


@pytest.mark.parametrize(
    ("name", "data"),
    [
        (".calendars/personal/x.ics", b"BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\n"),
        (".calendars/personal/x.ics", ics("BEGIN:VEVENT\nUID:x\nSUMMARY:No start\nEND:VEVENT").encode()),
        (".contacts/x.vcf", b"BEGIN:VCARD\r\nVERSION:3.0\r\nN:;;;;\r\nEND:VCARD\r\n"),
        (".contacts/x.vcf", b"\xff\xfe"),
        ("Messages/Drafts/x.txt", b"\xff\xfe"),
    ],
)
def test_what_is_broken_still_shows(name: str, data: bytes, small: Path) -> None:
    old = observe(small)
    (small / name).write_bytes(data)
    (item,) = (Counter(observe(small).items) - Counter(old.items)).elements()
    assert isinstance(item, File)
    assert item.path == name


def test_a_forwarded_message_counts_as_body(small: Path) -> None:
    from email.message import EmailMessage

    inner, outer = EmailMessage(), EmailMessage()
    inner.set_content("the heating")
    outer["To"] = "bo@example.org"
    outer.set_content("see below")
    outer.add_attachment(inner)
    (small / "Mail/Drafts/x.eml").write_bytes(outer.as_bytes())
    (draft,) = only(observe(small), Draft)
    assert "see below" in draft.body
    assert "the heating" in draft.body


def test_archives_links_trash_and_programs_own_files(small: Path) -> None:
    with zipfile.ZipFile(small / "b.zip", "w") as archive:
        archive.writestr("in/c.txt", "c")
    (small / "link").symlink_to("nowhere")
    (small / ".bashrc").write_text("alias ll=ls")
    (small / ".local/share/edge_agent").mkdir()
    (small / ".local/share/edge_agent/ledger").write_text("x")
    (small / "a.txt").rename(small / TRASH / "files/a.txt")
    seen = observe(small)
    assert {f.path: f.text for f in only(seen, File)} == {
        "b.zip": "in/c.txt",
        "link": None,
        ".bashrc": "alias ll=ls",
    }
    assert seen.trash == {hashlib.sha256(b"hello").hexdigest()}
