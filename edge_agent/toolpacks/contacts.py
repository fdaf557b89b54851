"""The person's address book: vCard files (RFC 6350 and 2426), one person a file, in the contacts folder.

What a card holds beyond what is changed here is kept.
"""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from ..errors import ToolError
from ..tools import Effect, Example, ToolResult, copied, tool
from ..workspace import Context
from .filewords import fold

_EMAIL = re.compile(r"[^@\s<>,;]+@[^@\s<>,;]+\.[^@\s<>,;]+")
_PARENTS = {"mum": "mom", "mommy": "mom", "mummy": "mom", "mother": "mom", "daddy": "dad", "father": "dad"}
_FILLER = frozenset({"my", "the", "to", "s", "for", "of", "contact"})


@dataclass(frozen=True, slots=True)
class Contact:
    """One person. phones and emails: (kind or "", value), preferred first. path: the card's file."""

    name: str
    nicknames: tuple[str, ...]
    phones: tuple[tuple[str, str], ...]
    emails: tuple[tuple[str, str], ...]
    path: Path

    @property
    def phone(self) -> str:
        """The number to reach them at: a mobile one if there is one; empty if none."""
        mobile = [number for kind, number in self.phones if kind == "cell"]
        return (mobile or [number for _, number in self.phones] or [""])[0]

    @property
    def email(self) -> str:
        """Their preferred e-mail address; empty if none."""
        return self.emails[0][1] if self.emails else ""

    def as_dict(self) -> dict[str, Any]:
        numbers, addresses = ([value for _, value in part] for part in (self.phones, self.emails))
        return {"name": self.name, "phones": numbers, "emails": addresses}


def contacts(ctx: Context) -> list[Contact]:
    """Everyone in the address book, by name. A card that cannot be read is passed over. About 1 ms a card."""
    found = filter(None, map(_read, ctx.folder("contacts_dir", ".contacts").glob("*.vcf")))
    return sorted(found, key=lambda each: (fold(each.name), each.path))


def resolve(ctx: Context, text: str) -> Contact:
    """The contact a person means by a name, part of it, a nickname ("mom") or an e-mail address.

    The whole name or nickname wins over words of it. Raises ToolError when nobody fits, or several do, listing
    them.
    """
    everyone = contacts(ctx)
    if address := _EMAIL.search(text):
        wanted = address[0].lower()
        found = [each for each in everyone if wanted in (value.lower() for _, value in each.emails)]
    else:
        words = _words(text)
        names = [(each, [_words(name) for name in (each.name, *each.nicknames)]) for each in everyone]
        found = [each for each, known in names if words and words in known]
        found = found or [each for each, known in names if words and any(set(words) <= set(name) for name in known)]
        found = found or [each for each, known in names if words and _begins(words, known[0])]
    if len(found) == 1:
        return found[0]
    if found:
        listed = "; ".join(f"{each.name} ({each.email or each.phone or each.path.name})" for each in found[:6])
        raise ToolError(f"several contacts fit {text!r}: {listed}", hint="say the whole name or the e-mail address")
    raise ToolError(f"nobody in your contacts fits {text!r}", hint=_near(text, everyone))


@tool(
    effect=Effect.READ,
    pack="contacts",
    examples=(
        Example("Show me Anna Berg's contact details", {"name": "Anna Berg"}),
        Example("do I have the plumber in my contacts", {"name": "the plumber"}),
    ),
)
def find_contact(ctx: Context, name: Annotated[str, copied("name")]) -> ToolResult:
    """Show a person's phone numbers and e-mail addresses from the contacts.

    Args:
        name: The person.
    """
    who = resolve(ctx, name)
    lines = [who.name]
    lines += [f"- phone{_kind(kind)}: {value}" for kind, value in who.phones]
    lines += [f"- e-mail{_kind(kind)}: {value}" for kind, value in who.emails]
    return ToolResult("\n".join(lines), who.as_dict())


@tool(
    effect=Effect.READ,
    pack="contacts",
    examples=(
        Example("What's Sam's phone number?", {"name": "Sam"}),
        Example("give me the number of Dr. Weber", {"name": "Dr. Weber"}),
        Example("how can I call mom", {"name": "mom"}),
    ),
)
def get_phone_number(ctx: Context, name: Annotated[str, copied("name")]) -> ToolResult:
    """Look up a person's phone number.

    Args:
        name: The person.
    """
    who = resolve(ctx, name)
    if not who.phones:
        raise ToolError(f"{who.name} has no phone number in your contacts")
    listed = ", ".join(f"{value}{_kind(kind)}" for kind, value in who.phones)
    return ToolResult(f"{who.name}: {listed}", {"name": who.name, "phone": who.phone})


@tool(
    effect=Effect.READ,
    pack="contacts",
    examples=(
        Example("What is Anna Berg's email?", {"name": "Anna Berg"}),
        Example("find the email address of Sam", {"name": "Sam"}),
    ),
)
def get_email_address(ctx: Context, name: Annotated[str, copied("name")]) -> ToolResult:
    """Look up a person's e-mail address.

    Args:
        name: The person.
    """
    who = resolve(ctx, name)
    if not who.emails:
        raise ToolError(f"{who.name} has no e-mail address in your contacts")
    listed = ", ".join(f"{value}{_kind(kind)}" for kind, value in who.emails)
    return ToolResult(f"{who.name}: {listed}", {"name": who.name, "email": who.email})


@tool(
    effect=Effect.WRITE,
    pack="contacts",
    examples=(
        Example("Add Lena Koch to my contacts, her number is 0171 5550101", {
            "name": "Lena Koch", "phone": "0171 5550101"}),
        Example("save sam@example.org as Sam Lee's email", {"name": "Sam Lee", "email": "sam@example.org"}),
        Example("new contact Priya, +44 20 5550 0199, priya@example.com", {
            "name": "Priya", "phone": "+44 20 5550 0199", "email": "priya@example.com"}),
    ),
)  # fmt: skip
def add_contact(
    ctx: Context,
    name: Annotated[str, copied("name")],
    phone: Annotated[str, copied("text")] = "",
    email: Annotated[str, copied("email")] = "",
) -> ToolResult:
    """Save a person's phone number or e-mail address in the contacts.

    Args:
        name: The person.
        phone: Their phone number.
        email: Their e-mail address.
    """
    name, phone, email = " ".join(name.split()), " ".join(phone.split()), email.strip().strip("<>.,")
    if not re.search(r"\w", name):
        raise ToolError("a contact needs a name", hint="say whose number or address it is")
    if phone and (not re.fullmatch(r"[+(]?[\d\s()/.-]+", phone) or len(_digits(phone)) < 3):
        raise ToolError(f"{phone!r} is not a phone number", hint="give its digits")
    if email and not _EMAIL.fullmatch(email):
        raise ToolError(f"{email!r} is not an e-mail address", hint="it looks like name@example.org")
    same = [each for each in contacts(ctx) if _words(each.name) == _words(name)]
    if len(same) > 1:
        raise ToolError(f"several contacts are called {name}", hint="remove one, or say the whole name")
    if same and not (phone or email):
        raise ToolError(f"{same[0].name} is in your contacts already", hint="give a phone number or e-mail address")
    lines = []
    if phone and not (same and _digits(phone) in [_digits(value) for _, value in same[0].phones]):
        lines.append(f"TEL:{phone}")
    if email and not (same and email.lower() in [value.lower() for _, value in same[0].emails]):
        lines.append(f"EMAIL:{email}")
    if same:
        path = same[0].path
        card = path.read_bytes()
    else:
        path = ctx.folder("contacts_dir", ".contacts") / f"{uuid.uuid4()}.vcf"
        card = _new(name, path.stem)
    begun, end, rest = card.partition(b"END:VCARD")
    ctx.write(path, begun + "".join(f"{line}\r\n" for line in lines).encode() + end + rest, private=True)
    details = ", ".join(filter(None, (phone, email)))
    done = f"Saved for {same[0].name}" if same else f"Added {name} to your contacts"
    return ToolResult(f"{done}: {details}." if details else f"{done}.", resolve(ctx, email or name).as_dict())


def _new(name: str, uid: str) -> bytes:
    import vobject

    card = vobject.vCard()
    first, _, last = name.rpartition(" ")
    card.add("uid").value = uid
    card.add("fn").value = name
    card.add("n").value = vobject.vcard.Name(family=last, given=first) if first else vobject.vcard.Name(given=last)
    return str(card.serialize()).encode()


def _read(path: Path) -> Contact | None:
    """The first card of a file; None when it cannot be read. Line by line: vobject's card model drops values."""
    from vobject.base import ContentLine, VObjectError, getLogicalLines, parseLine

    lines: dict[str, list[Any]] = {}
    try:
        with path.open(encoding="utf-8", newline="") as handle:
            for text, number in getLogicalLines(handle):
                line = ContentLine(*parseLine(text, number), encoded=True, lineNumber=number)
                if line.name.upper() == "END":
                    break
                lines.setdefault(line.name.upper(), []).append(line)
    except (OSError, UnicodeDecodeError, VObjectError):
        return None

    def kinds(line: Any) -> list[str]:
        return [part.lower() for name in ("TYPE", "PREF") for part in line.params.get(name, [])] + [
            part.lower() for part in line.singletonparams
        ]

    def listed(name: str) -> tuple[tuple[str, str], ...]:
        ordered = sorted(lines.get(name, []), key=lambda line: not {"pref", "1"} & {*kinds(line)})
        return tuple((_shown(kinds(line)), line.value.strip().removeprefix("tel:")) for line in ordered)

    structured = [" ".join(reversed(_values(line.value, ";")[:2])).strip() for line in lines.get("N", [])]
    names = [" ".join(_values(line.value, "\n")) for line in lines.get("FN", [])] + structured
    if "BEGIN" not in lines or not any(names):
        return None
    nicknames = (part.strip() for line in lines.get("NICKNAME", []) for part in _values(line.value, ","))
    return Contact(next(filter(None, names)), tuple(filter(None, nicknames)), listed("TEL"), listed("EMAIL"), path)


def _values(text: str, separator: str) -> list[str]:
    """The values of a line, with vCard's backslash escapes undone."""
    return [re.sub(r"\\(.)", r"\1", part) for part in re.split(rf"(?<!\\){separator}", text)]


def _shown(kinds: list[str]) -> str:
    return next((kind for kind in kinds if kind in ("cell", "home", "work")), "")


def _digits(phone: str) -> str:
    return re.sub(r"\D", "", phone)


def _words(text: str) -> list[str]:
    plain = re.sub(r"['’]s?\b", " ", fold(text))
    return [_PARENTS.get(word, word) for word in re.findall(r"[^\W_]+", plain) if word not in _FILLER]


def _begins(words: list[str], name: list[str]) -> bool:
    """Whether every word begins another word of the name ("Seb" for Sebastian); three letters at least."""
    return all(len(word) > 2 and any(part.startswith(word) for part in name) for word in words)


def _near(text: str, everyone: list[Contact]) -> str:
    from difflib import get_close_matches

    parts = {part: each.name for each in everyone for part in (fold(each.name), *_words(each.name))}
    near = dict.fromkeys(parts[name] for name in get_close_matches(" ".join(_words(text)), parts, 3, 0.7))
    return f"did you mean {' or '.join(near)}?" if near else "add_contact saves a new one"


def _kind(kind: str) -> str:
    return f" ({'mobile' if kind == 'cell' else kind})" if kind else ""


TOOLS = (find_contact, get_phone_number, get_email_address, add_contact)
