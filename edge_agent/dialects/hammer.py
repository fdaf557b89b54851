"""Hammer 2.1: ChatML with a fixed system turn; task, tools and format are a first user turn of their own.

Source: gorilla, BFCL handler `hammer.py` by the model's authors: the bracketed section marks, their order,
tools whose `parameters` are the properties with `required` inside each, `[]` for "no call". The system text
of a conversation is joined to its first user text, as that handler does. The instructing sentences are ours.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..grammar.ir import Node
from .base import CallRules, Message, Prompt, ToolSpec
from .calls import spaced
from .chatml import CHATML_SPECIALS, JsonList
from .family import mark

_SECTIONS = ("TASK INSTRUCTION", "AVAILABLE TOOLS", "FORMAT INSTRUCTION")


class Hammer(JsonList):
    name = "hammer"
    specials = (*CHATML_SPECIALS, *(f"[{edge} OF {name}]" for name in _SECTIONS for edge in ("BEGIN", "END")))
    between_tools = ", "
    after_tools = (
        "]\n[END OF AVAILABLE TOOLS]\n\n[BEGIN OF FORMAT INSTRUCTION]\n\n"
        "Answer with JSON in the following form and with no other text. Mind the types of the parameters. "
        "If no call is needed, answer with an empty list '[]'.\n```\n[\n"
        '    {"name": "func_name1", "arguments": {"argument1": "value1", "argument2": "value2"}},\n'
        "    ... (more tool calls as required)\n]\n```\n\n[END OF FORMAT INSTRUCTION]\n\n"
    )

    def render(self, messages: Sequence[Message], tools: Sequence[ToolSpec]) -> Prompt:
        system, rest = self.split(messages)
        head = self.turn("system", "You are a helpful assistant.")
        if system and rest and rest[0].role == "user":
            turns = self.turn("user", f"{system}\n\n{self.clean(rest[0].content)}") + self.conversation(rest[1:])
        else:
            turns = (self.turn("user", system) if system else "") + self.conversation(rest)
        turns += self.start("assistant")
        if not tools:
            return Prompt(head, (), turns)
        head += self.start("user") + self.preface(system)
        return Prompt(head, self.render_tools(tools), self.after_tools + self.turn_close + turns)

    def preface(self, system: str) -> str:
        return (
            "[BEGIN OF TASK INSTRUCTION]\nYou are a tool calling assistant. Select the tools that serve "
            "the user's request and fill in the values of their parameters:\n"
            "1. Make one or more tool calls for the request.\n"
            "2. If no tool can be used, say so and do not answer.\n"
            "3. If a required value is missing from the request, say so.\n\n"
            "You will hear from\n1. user: asks, or gives more information.\n"
            "2. tool: returns the results of calls.\n\n"
            "[END OF TASK INSTRUCTION]\n\n[BEGIN OF AVAILABLE TOOLS]\n["
        )

    def describe(self, tool: ToolSpec) -> str:
        properties: Mapping[str, Any] = tool.parameters.get("properties", {})
        required = tool.parameters.get("required", ())
        shown = {
            name: {**schema, "required": True} if name in required and isinstance(schema, Mapping) else schema
            for name, schema in properties.items()
        }
        return self.clean_json(spaced({"name": tool.name, "description": tool.description, "parameters": shown}))

    def declining(self, rules: CallRules) -> list[Node]:
        return [*([mark("[]")] if rules.allow_none else []), *super().declining(rules)]


DIALECT = Hammer()
