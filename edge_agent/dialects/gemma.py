"""Gemma 3: no system role, no tool tokens; functions are explained in the first user turn.

Sources: "Function calling with Gemma" (https://ai.google.dev/gemma/docs/capabilities/function-calling), which
documents two forms, `[f(a=1), g()]` and `{"name": …, "parameters": …}`: the second is asked for, both and a
code fence around them are read; the meme generator page there shows results in a
`tool_output` fence. A list of call objects for several calls is our extension of the documented form. Turn
marks and the system text in front of the first user text as in the chat template (as kept in vLLM,
`examples/tool_chat_template_gemma3_pythonic.jinja`). The instructing sentences are ours.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from ..grammar.ir import Node, alt, repeat, seq
from .base import Call, Message, Prompt, ToolSpec
from .calls import read_fenced, spaced
from .family import Family, mark
from .reader import Reader


class Gemma(Family):
    name = "gemma"
    stops = ("<end_of_turn>", "<eos>")
    # the fence is no token, but it would let a result pose as the end of a result
    specials = ("<start_of_turn>", *stops, "<bos>", "<pad>", "<start_of_image>", "<end_of_image>", "```")
    turn_open = "<start_of_turn>"
    turn_middle = "\n"
    turn_close = "<end_of_turn>\n"
    roles: ClassVar[Mapping[str, str]] = {"assistant": "model", "system": "user", "tool": "user"}
    between_tools = ",\n"
    after_tools = "\n]"
    wrapped = False
    openers = ("{", "[", "```")
    inline = False
    between_calls = ", "

    def render(self, messages: Sequence[Message], tools: Sequence[ToolSpec]) -> Prompt:
        system, rest = self.split(messages)
        first = ""
        if rest and rest[0].role == "user":
            first, rest = self.clean(rest[0].content), rest[1:]
        tail = self.conversation(rest) + self.start("assistant")
        lead = f"{system}\n\n" if system else ""
        if tools:
            head = self.start("user") + self.preface(lead)
            turn = f"{self.after_tools}\n\n{first}".rstrip() + self.turn_close
            return Prompt(head, self.render_tools(tools), turn + tail)
        return Prompt(self.turn("user", f"{lead}{first}") if lead or first else "", (), tail)

    def preface(self, system: str) -> str:
        return (
            f"{system}You have access to functions. To call one, answer with nothing but "
            '{"name": function name, "parameters": dictionary of argument name and its value}; '
            "to call several, with a JSON list of such objects. The functions are:\n[\n"
        )

    def results(self, messages: Sequence[Message]) -> str:
        blocks = (f"```tool_output\n{self.clean(message.content)}\n```" for message in messages)
        return self.turn("tool", "\n".join(blocks))

    def write(self, calls: Sequence[Call]) -> str:
        written = super().write(calls)
        return f"[{written}]" if len(calls) > 1 else written

    def frame(self, name: str) -> tuple[str, str]:
        return f'{{"name": {self.clean_json(spaced(name))}, "parameters": ', "}"

    def listed(self, first: Node, then: Node, more: int) -> Node:
        return alt(first, seq(mark("["), first, repeat(then, 1, more), mark("]"))) if more else first

    def read(self, reader: Reader) -> list[Call]:
        return read_fenced(reader)


DIALECT = Gemma()
