from __future__ import annotations

import os
from datetime import timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packs_fixture import NOW, RecordingContext, make_context, tree, undo
from people_fixture import write_people

from edge_agent.errors import ToolError
from edge_agent.toolpacks import letters, mail
from edge_agent.tools import ToolResult


@pytest.fixture
def ctx(tmp_path: Path) -> RecordingContext:
    ctx = make_context(tmp_path)
    write_people(ctx)
    receive(ctx, "1", "Anna Berg <anna@example.org>", "Invoice 7", "Please pay.\nThanks", days=9)
    receive(ctx, "2", "Tom Ode <tom@example.org>", "Picnic", "<p>Sun<b>day</b>?</p>", days=1, html=True)
    receive(ctx, "3", '"Berg, Anna" <anna@example.org>', "Re: Museum", "Yes!", days=0, references="<a@x> <b@x>")
    return ctx


def receive(
    ctx: RecordingContext,
    name: str,
    sender: str,
    subject: str,
    text: str,
    *,
    days: int = 0,
    html: bool = False,
    references: str = "",
) -> None:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = sender, "me@example.org", subject
    message["Date"] = format_datetime(NOW - timedelta(days=days, hours=1))
    message["Message-ID"] = f"<{name}@example.org>"
    if references:
        message["References"] = references
    message.set_content(text, subtype="html" if html else "plain")
    path = ctx.home / f"Mail/Inbox/{name}.eml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(message.as_bytes(policy=policy.SMTP))


def call(ctx: RecordingContext, name: str, /, **arguments: Any) -> ToolResult:
    return next(each for each in mail.TOOLS if each.name == name).call(arguments, ctx)


def drafted(ctx: RecordingContext) -> EmailMessage:
    (path,) = (ctx.home / "Mail/Drafts").iterdir()
    data = path.read_bytes()
    assert b"\n" not in data.replace(b"\r\n", b"")
    if os.name == "posix":
        assert path.stat().st_mode & 0o777 == 0o600
    return message_from_bytes(data, EmailMessage, policy=policy.default)


def body(message: EmailMessage) -> str:
    part = message.get_body(("plain",))
    assert part is not None
    return str(part.get_content()).replace("\r\n", "\n")


@pytest.mark.parametrize(
    ("arguments", "to", "subject", "text"),
    [
        ({"to": "Anna", "text": "I will be late"}, "anna@example.org", "I will be late", "I will be late\n"),
        ({"to": "x.y+z@example.org", "subject": "Hi"}, "x.y+z@example.org", "Hi", "\n"),
        ({"to": "Anna and Tom", "text": "Grüße. Bis bald"}, "anna@example.org, tom@example.org", "Grüße.", None),
        (
            {"to": "tom, me@example.org; anna", "text": "x"},
            "tom@example.org, me@example.org, anna@example.org",
            "x",
            None,
        ),
        ({"to": "Smith and Sons", "text": "x"}, "office@smith.example", "x", None),
        (
            {"to": "anna", "subject": "a\r\nBcc: evil@example.org", "text": "x"},
            "anna@example.org",
            "a Bcc: evil@example.org",
            None,
        ),
    ],
)
def test_compose(ctx: RecordingContext, arguments: dict[str, str], to: str, subject: str, text: str | None) -> None:
    before = tree(ctx)
    result = call(ctx, "compose_email", **arguments)
    message = drafted(ctx)
    assert (message["To"], message["Subject"], message["X-Unsent"]) == (to, subject, "1")
    assert message["Bcc"] is None
    assert body(message) == (text if text is not None else arguments["text"] + "\n")
    assert "nothing was sent" in result.text
    assert result.data == {"path": result.data["path"], "to": to, "subject": subject, "sent": False}
    undo(ctx)
    assert tree(ctx) == before


def test_compose_with_attachment(ctx: RecordingContext, monkeypatch: pytest.MonkeyPatch) -> None:
    (ctx.home / "lease.pdf").write_bytes(b"%PDF-1.4")
    result = call(ctx, "compose_email", to="anna", attachment="the lease pdf")
    (part,) = drafted(ctx).iter_attachments()
    assert (part.get_filename(), part.get_content_type()) == ("lease.pdf", "application/pdf")
    assert part.get_content() == b"%PDF-1.4"
    assert "“lease.pdf” with lease.pdf attached" in result.text
    monkeypatch.setattr(letters, "MAX_MESSAGE", 3)
    with pytest.raises(ToolError, match="too large to attach"):
        call(ctx, "compose_email", to="anna", attachment="the lease pdf")


def test_reply_threads_and_quotes(ctx: RecordingContext) -> None:
    result = call(ctx, "reply_email", text="See you there", which="Anna's last email")
    message = drafted(ctx)
    assert message["To"] == '"Berg, Anna" <anna@example.org>'
    assert message["Subject"] == "Re: Museum"
    assert message["In-Reply-To"] == "<3@example.org>"
    assert message["References"] == "<a@x> <b@x> <3@example.org>"
    assert body(message).startswith("See you there\n\nOn Sat, 28 Nov 2026 at 08:30, Berg, Anna wrote:\n> Yes!")
    assert "(the newest of 2 that fit)" in result.text


@pytest.mark.parametrize(
    ("which", "subject"),
    [
        ("", "Re: Museum"),
        ("the email about the invoice", "Re: Invoice 7"),
        ("Tom", "Re: Picnic"),
        ("tom@example.org", "Re: Picnic"),
        ("Berg's invoice", "Re: Invoice 7"),
    ],
)
def test_which_email(ctx: RecordingContext, which: str, subject: str) -> None:
    call(ctx, "reply_email", text="ok", which=which)
    assert drafted(ctx)["Subject"] == subject


def test_reply_goes_to_reply_to(ctx: RecordingContext) -> None:
    path = ctx.home / "Mail/Inbox/2.eml"
    path.write_bytes(b"Reply-To: desk@example.org\r\n" + path.read_bytes())
    assert call(ctx, "reply_email", text="ok", which="picnic").data["to"] == "desk@example.org"


def test_forward_carries_the_original(ctx: RecordingContext) -> None:
    call(ctx, "forward_email", which="the invoice", to="Tom", text="For you")
    message = drafted(ctx)
    assert (message["To"], message["Subject"]) == ("tom@example.org", "Fwd: Invoice 7")
    assert body(message).startswith("For you\n\n---------- Forwarded message")
    (part,) = message.iter_attachments()
    assert part.get_content_type() == "message/rfc822"
    inner = part.get_content()
    assert (inner["Message-ID"], body(inner)) == ("<1@example.org>", "Please pay.\nThanks\n")


def test_read_email(ctx: RecordingContext) -> None:
    result = call(ctx, "read_email", which="picnic")
    assert result.text == "From Tom Ode <tom@example.org>, Fri, 27 Nov 2026 08:30\nPicnic\n\nSunday?"
    receive(ctx, "4", "a@example.org", "Files", "see file")
    path = ctx.home / "Mail/Inbox/4.eml"
    message = message_from_bytes(path.read_bytes(), EmailMessage, policy=policy.default)
    message.add_attachment(b"x", maintype="image", subtype="png", filename="a.png")
    path.write_bytes(message.as_bytes())
    assert call(ctx, "read_email", which="files").text.endswith("see file\nAttached: a.png")


def test_list_emails(ctx: RecordingContext) -> None:
    subjects = [each["subject"] for each in call(ctx, "list_emails").data["emails"]]
    assert subjects == ["Re: Museum", "Picnic", "Invoice 7"]
    assert call(ctx, "list_emails", about="anna", when="last week").text == (
        "1 email:\n19 Nov 08:30  Anna Berg: Invoice 7"
    )
    assert call(ctx, "list_emails", about="zebra").text == "There is no such email in ~/Mail/Inbox."


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("compose_email", {"to": "anna"}, "would be empty"),
        ("compose_email", {"to": "nobody", "text": "x"}, "nobody in your contacts fits 'nobody'"),
        ("compose_email", {"to": "Anna and nobody", "text": "x"}, "nobody in your contacts fits 'nobody'"),
        ("compose_email", {"to": "mute", "text": "x"}, "Mute Mike has no email address"),
        ("compose_email", {"to": " , ", "text": "x"}, "nobody to write to"),
        ("compose_email", {"to": "anna", "attachment": "unicorn.pdf"}, "no file matches 'unicorn.pdf'"),
        ("reply_email", {"text": "x", "which": "zebra"}, "no email in ~/Mail/Inbox matches “zebra”"),
        ("forward_email", {"which": "invoice", "to": "nobody"}, "nobody in your contacts fits"),
        ("list_emails", {"when": "soon"}, "'soon' is not a day"),
    ],
)
def test_refusals_write_nothing(ctx: RecordingContext, name: str, arguments: dict[str, str], message: str) -> None:
    before = tree(ctx)
    with pytest.raises(ToolError, match=message):
        call(ctx, name, **arguments)
    assert tree(ctx) == before


def test_an_empty_inbox_is_said(tmp_path: Path) -> None:
    with pytest.raises(ToolError, match="~/Mail/Inbox is empty"):
        call(make_context(tmp_path), "read_email")


HOSTILE = [
    b"",
    b"\x00\xff\xfe",
    b"From: \r\nSubject: x\r\n\r\nno sender",
    b"From: a@b.example\r\nDate: yesterday-ish\r\nMessage-ID: <<<\r\n\r\nhi",
    b"From: =?utf-8?b?////?= <a@b.example>\r\nSubject: =?x-unknown?q?=ff?=\r\n\r\nhi",
    b"From: a@b.example\r\nContent-Type: text/plain; charset=nonsense\r\n\r\nhi\xff",
    b"From: a@b.example\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\nno boundary",
    b"From: a@b.example\r\nSubject: s\r\nContent-Transfer-Encoding: base64\r\n\r\n!!!",
    b"From: a@b.example\r\nTo: " + b"<" * 500 + b"\r\nSubject: " + b"x" * 3000 + b"\r\n\r\nhi",
]


@pytest.mark.parametrize("data", HOSTILE)
def test_hostile_letters_are_read_answered_and_passed_on(ctx: RecordingContext, data: bytes) -> None:
    path = ctx.home / "Mail/Inbox/bad.eml"
    path.write_bytes(data)
    letter = letters.read(path, ctx)
    if letter is not None:
        for old in ("1", "2", "3"):
            (ctx.home / f"Mail/Inbox/{old}.eml").unlink()
        call(ctx, "read_email")
        call(ctx, "forward_email", which="", to="anna")
        if letter.address:
            call(ctx, "reply_email", text="ok")
        else:
            with pytest.raises(ToolError, match="no sender to answer"):
                call(ctx, "reply_email", text="ok")
    call(ctx, "list_emails")


@given(html=st.text(alphabet="<>/pbr script&;\n\"='a1", max_size=80))
def test_any_html_becomes_text(html: str) -> None:
    assert "<p>" not in letters.html_text(html)


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<p>one</p><p>two</p>", "one\ntwo"),
        ("a<script>evil()</script>b", "ab"),
        ("<style>x{}</style>caf&eacute;<br>tea", "café\ntea"),
        ("a\n  b", "a b"),
    ],
)
def test_html_text(html: str, text: str) -> None:
    assert letters.html_text(html) == text
