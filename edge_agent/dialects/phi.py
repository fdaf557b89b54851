"""Phi-4-mini: tools as a JSON list between `<|tool|>` marks in the system turn, calls likewise.

Sources: model card of microsoft/Phi-4-mini-instruct ("Tool-enabled function-calling format") for turns and
tools; llama.cpp, `models/templates/llama-cpp-microsoft-Phi-4-mini-instruct.jinja`, for `<|tool_response|>`
and for a single object as a call. That the model writes a list was seen in third-party parsers, not in
Microsoft's pages; both are read. The instructing sentences are ours.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from .base import Call, Message
from .calls import spaced
from .family import Family
from .reader import Reader

_SYSTEM = "You are a helpful assistant with some tools."


class Phi(Family):
    name = "phi"
    stops = ("<|end|>", "<|endoftext|>")
    specials = (
        *("<|system|>", "<|user|>", "<|assistant|>", *stops, "<|tool|>", "<|/tool|>"),
        *("<|tool_call|>", "<|/tool_call|>", "<|tool_response|>"),
    )
    turn_open = "<|"
    turn_middle = "|>"
    turn_close = "<|end|>"
    roles: ClassVar[Mapping[str, str]] = {"tool": "tool_response"}
    between_tools = ", "
    after_tools = "]<|/tool|>"
    wrapped = False
    openers = ("<|tool_call|>",)
    before_calls = "<|tool_call|>["
    between_calls = ", "
    after_calls = "]<|/tool_call|>"

    def preface(self, system: str) -> str:
        return f"{system or _SYSTEM}<|tool|>["

    def results(self, messages: Sequence[Message]) -> str:
        return "".join(self.turn("tool", self.clean_json(spaced(message.content))) for message in messages)

    def read(self, reader: Reader) -> list[Call]:
        return self.read_tagged(reader, "<|/tool_call|>")


DIALECT = Phi()
