"""E-mail: read the inbox folder, write drafts. Nothing is ever sent from here: a mail program does that.

`Mail/Inbox/*.eml` is read (a mail program or fetchmail puts it there), `Mail/Drafts/*.eml` is written. A
recipient is a contact's name or an address; a letter is named by its sender and words of its subject.
"""

from __future__ import annotations

import re
from contextlib import suppress
from email import message_from_bytes
from email.message import EmailMessage
from email.utils import formataddr, parseaddr
from typing import Annotated

from ..errors import ToolError
from ..tools import Effect, Example, ToolResult, copied, tool
from ..workspace import Context
from . import finding, letters
from .filewords import time_span, tokens, word_score
from .letters import Letter

_NOISE = frozenset(
    {"email", "mail", "message", "letter", "the", "a", "an", "my", "from", "about", "to", "one"}
    | {"last", "latest", "newest", "recent"}
)


@tool(
    effect=Effect.WRITE,
    pack="mail",
    examples=(
        Example("Email Anna that I will be late", {"to": "Anna", "text": "I will be late"}),
        Example(
            "write an email to bob@example.org with subject Lunch saying are you free on Friday",
            {"to": "bob@example.org", "subject": "Lunch", "text": "are you free on Friday"},
        ),
        Example("Send the lease pdf to my landlord by email", {"to": "landlord", "attachment": "the lease pdf"}),
        Example("compose a mail to Maria and Tom about the picnic", {"to": "Maria and Tom", "subject": "the picnic"}),
    ),
)
def compose_email(
    ctx: Context,
    to: Annotated[str, copied("name")],
    text: Annotated[str, copied("text")] = "",
    subject: Annotated[str, copied("text")] = "",
    attachment: Annotated[str, copied("path")] = "",
) -> ToolResult:
    """Write a new email as a draft, with a file attached if wanted.

    Args:
        to: Who it is for: names or addresses.
        text: What it says.
        subject: Its subject line.
        attachment: File to attach.
    """
    people = recipients(ctx, to)
    file = finding.one(ctx, attachment) if attachment else None
    if not (text.strip() or subject.strip() or file):
        raise ToolError("compose_email: the email would be empty", hint="say what it should say, or its subject")
    title = subject or _first_words(text) or (file.name if file else "")
    message = letters.draft(people, title, text, ctx.now)
    if file:
        letters.attach(ctx, message, file)
    return _saved(ctx, message, f" with {file.name} attached" if file else "")


@tool(
    effect=Effect.WRITE,
    pack="mail",
    examples=(
        Example("Reply to Anna saying see you at noon", {"text": "see you at noon", "which": "Anna"}),
        Example("answer the last email: thanks, I agree", {"text": "thanks, I agree"}),
        Example(
            "reply to the email about the invoice that it is paid",
            {"text": "it is paid", "which": "the email about the invoice"},
        ),
    ),
)
def reply_email(
    ctx: Context, text: Annotated[str, copied("text")], which: Annotated[str, copied("text")] = ""
) -> ToolResult:
    """Answer an email you received, as a draft.

    Args:
        text: What the answer says.
        which: Email to answer: its sender or subject. The newest if not said.
    """
    letter, others = _find(ctx, which)
    original = letter.message
    name, address = parseaddr(letters.header(original, "Reply-To") or letters.header(original, "From"))
    if "@" not in address:
        raise ToolError(f"{_said(letter)} has no sender to answer")
    quoted = "\n".join(f"> {line}".rstrip() for line in letter.text.splitlines())
    body = f"{text.strip()}\n\nOn {letter.sent:%a, %d %b %Y at %H:%M}, {letter.sender} wrote:\n{quoted}"
    message = letters.draft([formataddr((name, address))], _prefixed("Re", letter.subject), body, ctx.now)
    if identity := letters.header(original, "Message-ID"):
        references = f"{letters.header(original, 'References')} {identity}".split()
        message["In-Reply-To"] = identity
        message["References"] = " ".join(references)
    return _saved(ctx, message, f", an answer to {_said(letter)}{others}")


@tool(
    effect=Effect.WRITE,
    pack="mail",
    examples=(
        Example("Forward the email about the invoice to Tom", {"which": "the email about the invoice", "to": "Tom"}),
        Example("forward Anna's last mail to bob@example.org", {"which": "Anna's last mail", "to": "bob@example.org"}),
        Example("pass the newest email on to Maria", {"which": "the newest email", "to": "Maria"}),
    ),
)
def forward_email(
    ctx: Context,
    which: Annotated[str, copied("text")],
    to: Annotated[str, copied("name")],
    text: Annotated[str, copied("text")] = "",
) -> ToolResult:
    """Pass an email you received on to somebody else, as a draft.

    Args:
        which: Email to pass on: its sender or subject.
        to: Who gets it: names or addresses.
        text: Words to add.
    """
    people = recipients(ctx, to)
    letter, others = _find(ctx, which)
    head = (
        f"From: {letter.sender} <{letter.address}>\nDate: {letter.sent:%a, %d %b %Y %H:%M}\nSubject: {letter.subject}"
    )
    body = f"{text.strip()}\n\n---------- Forwarded message ----------\n{head}\n\n{letter.text}".strip()
    message = letters.draft(people, _prefixed("Fwd", letter.subject), body, ctx.now)
    message.add_attachment(message_from_bytes(letter.path.read_bytes()))
    return _saved(ctx, message, f", passing on {_said(letter)}{others}")


@tool(
    effect=Effect.READ,
    pack="mail",
    examples=(
        Example("Read the last email from Anna", {"which": "the last email from Anna"}),
        Example("what does the mail about the invoice say", {"which": "the mail about the invoice"}),
        Example("read my newest email"),
    ),
)
def read_email(ctx: Context, which: Annotated[str, copied("text")] = "") -> ToolResult:
    """Show what an email in the inbox says.

    Args:
        which: Email: its sender or subject. The newest if not said.
    """
    letter, others = _find(ctx, which)
    files = letter.attachments
    attached = f"\nAttached: {', '.join(files)}" if files else ""
    text = letter.text[:4_000] or "(no text)"
    head = f"From {letter.sender} <{letter.address}>, {letter.sent:%a, %d %b %Y %H:%M}{others}\n{letter.subject}"
    return ToolResult(f"{head}\n\n{text}{attached}", {**_data(ctx, letter), "text": text, "attachments": files})


@tool(
    effect=Effect.READ,
    pack="mail",
    examples=(
        Example("Do I have new emails?"),
        Example("list the emails from Anna", {"about": "Anna"}),
        Example("show mails about the invoice from last week", {"about": "the invoice", "when": "last week"}),
    ),
)
def list_emails(
    ctx: Context, about: Annotated[str, copied("text")] = "", when: Annotated[str, copied("when")] = ""
) -> ToolResult:
    """List emails in the inbox, newest first.

    Args:
        about: Sender or words of the subject.
        when: Day or period in which they came.
    """
    span = time_span(when, ctx.now) if when else None
    if when and span is None:
        raise ToolError(f"list_emails: {when!r} is not a day or period", hint="say it like: yesterday, last week")
    found = [e for e in _matching(letters.inbox(ctx), about) if span is None or span[0] <= e.sent < span[1]]
    if not found:
        shown = ctx.shown(ctx.folder("mail_dir", "Mail") / "Inbox")
        return ToolResult(f"There is no such email in {shown}.", {"emails": []})
    lines = [f"{e.sent:%d %b %H:%M}  {e.sender}: {e.subject}" for e in found[:15]]
    rest = [f"and {len(found) - 15} more"] if len(found) > 15 else []
    many = f"{len(found)} email{'s' * (len(found) != 1)}:"
    return ToolResult("\n".join([many, *lines, *rest]), {"emails": [_data(ctx, e) for e in found[:100]]})


def recipients(ctx: Context, text: str) -> list[str]:
    """Addresses of the people named in `text`: addresses as they are, names looked up in the contacts.

    "Anna and bob@example.org" is two. Raises ToolError for an unknown or ambiguous name, or one without address.
    """
    from . import contacts

    found: list[str] = []
    for part in _people(ctx, text):
        address = re.search(r"[^\s<>@\"]+@[^\s<>@\"]+\.?[^\s<>@\".]", part)
        if address:
            found.append(address[0])
        elif part:
            person = contacts.resolve(ctx, part)
            if not person.email:
                raise ToolError(f"{person.name} has no email address in your contacts", hint="say the address")
            found.append(person.email)
    if not found:
        raise ToolError("there is nobody to write to", hint="say a name or an address")
    return list(dict.fromkeys(found))


def _people(ctx: Context, text: str) -> list[str]:
    """The names in a list of names; "Smith and Sons" is one if a contact is called so."""
    from . import contacts

    parts = re.split(r"\s*(?:[,;&]|\band\b)\s*", text.strip())
    if len(parts) > 1 and "@" not in text:
        with suppress(ToolError):
            contacts.resolve(ctx, text)
            return [text]
    return parts


def _find(ctx: Context, which: str) -> tuple[Letter, str]:
    """The newest letter that `which` names, and a remark when others fit too."""
    everything = letters.inbox(ctx)
    found = _matching(everything, which)
    if not found:
        shown = ctx.shown(ctx.folder("mail_dir", "Mail") / "Inbox")
        latest = "; ".join(_said(letter) for letter in everything[:3])
        hint = f"the newest are: {latest}" if latest else f"{shown} has no .eml files"
        raise ToolError(f"no email in {shown} matches “{which}”" if which else f"{shown} is empty", hint=hint)
    more = len(found) - 1
    return found[0], f" (the newest of {more + 1} that fit)" if more and which else ""


def _matching(everything: list[Letter], which: str) -> list[Letter]:
    words = [word for word in tokens(re.sub(r"['’]s\b", "", which)) if word not in _NOISE]

    def fits(letter: Letter) -> bool:
        parts = tokens(f"{letter.sender} {letter.address} {letter.subject}")
        return all(word_score(word, parts, frozenset(), "") >= 0.8 for word in words)

    return [letter for letter in everything if fits(letter)]


def _saved(ctx: Context, message: EmailMessage, remark: str) -> ToolResult:
    path = letters.save(ctx, message)
    shown, to, subject = ctx.shown(path), str(message["To"]), str(message["Subject"])
    text = f"Draft to {to}, “{subject}”{remark}. It is in {shown}; nothing was sent: send it with your mail program."
    return ToolResult(text, {"path": shown, "to": to, "subject": subject, "sent": False})


def _said(letter: Letter) -> str:
    return f"“{letter.subject}” from {letter.sender}, {letter.sent:%d %b %H:%M}"


def _data(ctx: Context, letter: Letter) -> dict[str, str]:
    return {
        "path": ctx.shown(letter.path),
        "from": letter.address,
        "subject": letter.subject,
        "date": letter.sent.isoformat(),
    }


def _prefixed(prefix: str, subject: str) -> str:
    return subject if subject.lower().startswith(prefix.lower() + ":") else f"{prefix}: {subject}"


def _first_words(text: str) -> str:
    first = " ".join(re.split(r"(?<=[.!?])\s|\n", text.strip(), maxsplit=1)[0].split())
    return first if len(first) <= 60 else first[:60].rsplit(" ", 1)[0] + " …"


TOOLS = (compose_email, reply_email, forward_email, read_email, list_emails)
