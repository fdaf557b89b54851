"""E-mails as files: reading `.eml` files and writing drafts that every mail program opens (RFC 5322, MIME).

What a message says is a stranger's data: headers are one line, HTML is reduced to its text, attachments are
named and never opened.
"""

from __future__ import annotations

import mimetypes
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from email.utils import format_datetime, parseaddr
from html.parser import HTMLParser
from pathlib import Path

from ..errors import ToolError
from ..workspace import Context, unused

MAX_INBOX = 1_000  # newest files that are looked through; each takes 1 to 2 ms
MAX_MESSAGE = 25_000_000  # bytes, of a message that is read and of the attachments of a draft


@dataclass(frozen=True, slots=True)
class Letter:
    """One e-mail on disk. `sent` is aware; a message without a date has its file's."""

    path: Path
    message: EmailMessage
    sender: str
    address: str
    subject: str
    sent: datetime

    @property
    def text(self) -> str:
        """The plain text, or the HTML part's text."""
        part = self.message.get_body(("plain", "html"))
        try:
            content = str(part.get_content()) if part is not None else ""
        except (LookupError, ValueError, KeyError):  # an unknown charset, a container in place of text
            content = ""
        html = part is not None and part.get_content_subtype() == "html"
        return html_text(content) if html else content.replace("\r\n", "\n").strip()

    @property
    def attachments(self) -> list[str]:
        return [part.get_filename() or "unnamed" for part in self.message.iter_attachments()]


def inbox(ctx: Context) -> list[Letter]:
    """The newest letters of `Inbox`, newest first. Files too large or not e-mail are left out."""
    folder = ctx.folder("mail_dir", "Mail") / "Inbox"
    paths = [path for path in folder.glob("*.eml") if path.stat().st_size <= MAX_MESSAGE]
    newest = sorted(paths, key=lambda path: path.stat().st_mtime, reverse=True)[:MAX_INBOX]
    letters = (read(path, ctx) for path in newest)
    return sorted((each for each in letters if each), key=lambda letter: letter.sent, reverse=True)


def read(path: Path, ctx: Context) -> Letter | None:
    """One `.eml` file; None when it has neither sender nor subject."""
    message = message_from_bytes(path.read_bytes(), EmailMessage, policy=policy.default)
    name, address = parseaddr(header(message, "From"))
    subject = header(message, "Subject")
    if not (address or subject):
        return None
    try:
        sent: datetime | None = message["Date"].datetime
    except (AttributeError, ValueError, TypeError, IndexError):
        sent = None
    sent = sent or datetime.fromtimestamp(path.stat().st_mtime, UTC)
    sent = sent if sent.tzinfo else sent.replace(tzinfo=UTC)
    return Letter(path, message, name or address, address, subject, sent.astimezone(ctx.now.tzinfo))


def header(message: EmailMessage, name: str) -> str:
    """One header as a line of text; "" when it is missing or cannot be understood."""
    try:
        return " ".join(str(message[name] or "").split())
    except (AttributeError, ValueError, TypeError, IndexError):  # what email's parser raises on hostile headers
        return ""


def html_text(html: str) -> str:
    """The words of an HTML page, a line for each block."""
    parser = _Text()
    parser.feed(html)
    parser.close()
    return re.sub(r"\s*\n\s*", "\n", re.sub(r"[^\S\n]+", " ", "".join(parser.parts))).strip()


class _Text(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.parts: list[str] = []
        self._hidden = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in ("script", "style", "head") and not self._hidden:
            self._hidden = tag
        if tag in ("p", "div", "br", "tr", "li", "h1", "h2", "h3", "blockquote"):
            self.parts.append("\n")

    def handle_endtag(self, tag: str) -> None:
        if tag == self._hidden:
            self._hidden = ""

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.parts.append(" ".join(data.split("\n")))


def draft(to: Iterable[str], subject: str, text: str, now: datetime) -> EmailMessage:
    """A message not yet sent (`X-Unsent`); its sender is filled in by the mail program that sends it."""
    message = EmailMessage(policy=policy.SMTP)
    message["To"] = ", ".join(to)
    message["Subject"] = " ".join(subject.split())
    message["Date"] = format_datetime(now)
    message["X-Unsent"] = "1"
    message.set_content(text.rstrip() + "\n")
    return message


def attach(ctx: Context, message: EmailMessage, path: Path) -> None:
    """Adds a file. Raises ToolError above 25 MB, which no mail server takes."""
    if path.stat().st_size > MAX_MESSAGE:
        raise ToolError(f"{ctx.shown(path)} is too large to attach: more than {MAX_MESSAGE // 1_000_000} MB")
    kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    main, _, sub = kind.partition("/")
    message.add_attachment(path.read_bytes(), maintype=main, subtype=sub, filename=path.name)


def save(ctx: Context, message: EmailMessage) -> Path:
    """Writes a draft to `Drafts`, readable by its owner only, and returns where it lies."""
    words = re.sub(r"[^\w]+", "-", str(message["Subject"] or "draft")).strip("-")[:40] or "draft"
    path = unused(ctx.folder("mail_dir", "Mail") / "Drafts" / f"{ctx.now:%Y-%m-%d-%H%M}-{words}.eml")
    as_received = policy.SMTP.clone(refold_source="none")  # headers of a letter passed on are not rewritten
    ctx.write(path, message.as_bytes(policy=as_received), private=True)
    return path
