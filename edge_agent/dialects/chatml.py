"""ChatML turns, `<|im_start|>role … <|im_end|>`, and two forms of calls that families share.

Sources: see the families (`qwen.py`, `hermes.py`, `xlam.py`, `hammer.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from .base import Call, Message
from .calls import read_fenced, spaced
from .family import Family
from .reader import Reader

CHATML_SPECIALS = ("<|im_start|>", "<|im_end|>", "<|endoftext|>")


class ChatML(Family):
    stops: ClassVar[tuple[str, ...]] = ("<|im_end|>", "<|endoftext|>")
    specials: ClassVar[tuple[str, ...]] = CHATML_SPECIALS
    turn_open = "<|im_start|>"
    turn_middle = "\n"
    turn_close = "<|im_end|>\n"


class JsonList(ChatML):
    """The whole answer is a JSON list of calls: `[{"name": …, "arguments": {…}}, …]`."""

    openers = ("[", "```")
    inline = False
    before_calls = "["
    between_calls = ", "
    after_calls = "]"
    wrapped = False

    def read(self, reader: Reader) -> list[Call]:
        return read_fenced(reader)


class ToolTags(Family):
    """Calls as `<tool_call>` JSON `</tool_call>`, results of one step together in one user turn."""

    specials: ClassVar[tuple[str, ...]] = (
        *("<tools>", "</tools>", "<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>"),
        *("<think>", "</think>"),
    )
    openers: ClassVar[tuple[str, ...]] = ("<tool_call>",)
    between_calls = "\n"

    def frame(self, name: str) -> tuple[str, str]:
        quoted = self.clean_json(spaced(name))
        return f'<tool_call>\n{{"name": {quoted}, "arguments": ', "}\n</tool_call>"

    def body(self, message: Message) -> str:
        said = self.clean(message.content)
        return said + ("\n" if said and message.calls else "") + self.write(message.calls)

    def results(self, messages: Sequence[Message]) -> str:
        contents = (self.clean(message.content) for message in messages)
        blocks = (f"\n<tool_response>\n{content}\n</tool_response>" for content in contents)
        # The newline after the role belongs to the first block in ChatML and is the block's own elsewhere.
        return self.start("user").removesuffix("\n") + "".join(blocks) + self.turn_close

    def read(self, reader: Reader) -> list[Call]:
        return self.read_tagged(reader, "</tool_call>")
