"""Text messages: drafts as plain files. This machine cannot send one, and nothing here says it did."""

from __future__ import annotations

import re
from typing import Annotated

from ..errors import ToolError
from ..tools import Effect, Example, ToolResult, copied, tool
from ..workspace import Context, unused


@tool(
    effect=Effect.WRITE,
    pack="messages",
    examples=(
        Example("Text Anna that I am on my way", {"to": "Anna", "text": "I am on my way"}),
        Example("send a message to mom saying happy birthday", {"to": "mom", "text": "happy birthday"}),
        Example(
            "sms +49 170 1234567: the keys are with Tom", {"to": "+49 170 1234567", "text": "the keys are with Tom"}
        ),
        Example("Tell Bob I'll call him back", {"to": "Bob", "text": "I'll call him back"}),
    ),
)
def draft_message(ctx: Context, to: Annotated[str, copied("name")], text: Annotated[str, copied("text")]) -> ToolResult:
    """Write a text message (SMS) to somebody, as a draft.

    Args:
        to: Who it is for: a name or a phone number.
        text: What it says.
    """
    if not text.strip():
        raise ToolError("draft_message: the message would be empty", hint="say what it should say")
    name, number = _recipient(ctx, to)
    who = re.sub(r"\W+", "-", name or number).strip("-")
    path = unused(ctx.folder("messages_dir", "Messages/Drafts") / f"{ctx.now:%Y-%m-%d}-{who}.txt")
    address = f"{name} <{number}>" if name else f"<{number}>"
    ctx.write(path, f"To: {address}\n\n{text.strip()}\n", private=True)
    shown = ctx.shown(path)
    said = f"Message to {name or number}{f' ({number})' if name else ''}: “{text.strip()}”."
    return ToolResult(
        f"{said} It is a draft in {shown}; nothing was sent: send it from your phone.",
        {"path": shown, "name": name, "number": number, "text": text.strip(), "sent": False},
    )


def _recipient(ctx: Context, to: str) -> tuple[str, str]:
    """(name, number) of a contact, or ("", number) of a number of at least three digits."""
    from . import contacts

    if re.fullmatch(r"\+?[\d\s()./-]+", to.strip()) and len(re.findall(r"\d", to)) >= 3:
        return "", " ".join(to.split())
    person = contacts.resolve(ctx, to)
    if not person.phone:
        raise ToolError(f"{person.name} has no phone number in your contacts", hint="say the number")
    return " ".join(person.name.split()), " ".join(person.phone.split())


TOOLS = (draft_message,)
