"""Llama 3.2: tools in the first user turn, one bare JSON call with `parameters`, results from role `ipython`.

Source: chat template of meta-llama/Llama-3.2-3B-Instruct (as kept in llama.cpp,
`models/templates/meta-llama-Llama-3.2-3B-Instruct.jinja`): marks, JSON with four blanks of indentation, the
form of the call, `Environment: ipython`. Left out: its "Cutting Knowledge Date" and "Today Date" lines,
because a date in the first line would make every cached prefix worthless after midnight; the runtime gives
dates with the turn. The template allows one call per turn; several are written with `; ` between them, which
the 3.x models do on their own (vLLM's `llama3_json` parser splits there). `<|python_tag|>` is accepted before
a call, never written. The instructing sentences are ours.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from .base import Call, Message, Prompt, ToolSpec
from .calls import call_of, spaced
from .family import Family
from .reader import Reader

_PYTHON_TAG = "<|python_tag|>"


class Llama3(Family):
    name = "llama3"
    stops = ("<|eot_id|>", "<|eom_id|>", "<|end_of_text|>")
    specials = ("<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", *stops, _PYTHON_TAG)
    turn_open = "<|start_header_id|>"
    turn_middle = "<|end_header_id|>\n\n"
    turn_close = "<|eot_id|>"
    roles: ClassVar[Mapping[str, str]] = {"tool": "ipython"}
    after_tool = "\n\n"
    indent = 4
    openers = ("{", _PYTHON_TAG)
    inline = False
    between_calls = "; "

    def render(self, messages: Sequence[Message], tools: Sequence[ToolSpec]) -> Prompt:
        if not tools:
            return super().render(messages, tools)
        system, rest = self.split(messages)
        first = ""
        if rest and rest[0].role == "user":
            first, rest = self.clean(rest[0].content), rest[1:]
        head = self.turn("system", f"Environment: ipython\n\n{system}") + self.start("user") + self.preface(system)
        tail = first + self.turn_close + self.conversation(rest) + self.start("assistant")
        return Prompt(head, self.render_tools(tools), tail)

    def preface(self, system: str) -> str:
        return (
            "Answer with a JSON call of the function below that best serves the request.\n\n"
            'The format is {"name": function name, "parameters": dictionary of argument name and its value}; '
            "write values, no variables.\n\n"
        )

    def frame(self, name: str) -> tuple[str, str]:
        return f'{{"name": {self.clean_json(spaced(name))}, "parameters": ', "}"

    def read(self, reader: Reader) -> list[Call]:
        reader.take(_PYTHON_TAG)
        calls: list[Call] = []
        while True:
            reader.blanks()
            at = reader.pos
            calls.append(call_of(reader.json(), reader, at))
            separated = reader.take(";") or reader.take(",")
            reader.blanks()
            if not separated and not reader.peek("{"):
                return calls


DIALECT = Llama3()
