"""FunctionGemma 270M: declarations, calls and responses in tokens of their own, `<escape>` around strings.

Sources: "FunctionGemma formatting and best practices"
(https://ai.google.dev/gemma/docs/functiongemma/formatting-and-best-practices): roles, tokens, the sentence
that switches tool use on (kept to the letter, the model was tuned to it), extra stop;
google-ai-edge/LiteRT-LM, tests of the FunctionGemma data processor: a turn with calls is not closed but
followed by the responses, and the answer goes on in the same turn. Keys are sorted and types in capitals as
in the documented prompts. A result that is no JSON object is shown as `{value:…}` (so does CAMEL's
FunctionGemma client; Google documents objects only).

Grammar: the native form of arguments is `{a:<escape>x<escape>,n:2}`: bare keys, sorted, strings between tokens. The
arguments of `CallRules` are one JSON object, compiled elsewhere, so a constrained call is `call:name{"a":"x","n":2}`:
tokens and name are native, the inside is not. Prompts and `need_tool` are in the native form. Both are read. Calls
follow one another without anything between them.

Limits: strings know no escapes, so text that contains a control token comes back with a zero-width space in
it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from .base import Call, Message, Prompt, ToolSpec
from .family import Family
from .reader import ESCAPE, KEY, Reader

_CALL, _CALLED = "<start_function_call>", "<end_function_call>"
_RESPONSE, _RESPONDED = "<start_function_response>", "<end_function_response>"
_DECLARE, _DECLARED = "<start_function_declaration>", "<end_function_declaration>"
_FUNCTION = re.compile(r"call:(?P<name>[^\s{}<>]+)")


class FunctionGemma(Family):
    name = "functiongemma"
    stops = ("<end_of_turn>", _RESPONSE, "<eos>")
    specials = (
        *("<start_of_turn>", "<end_of_turn>", "<bos>", "<eos>", "<pad>", ESCAPE),
        *(_CALL, _CALLED, _RESPONSE, _RESPONDED, _DECLARE, _DECLARED),
    )
    turn_open = "<start_of_turn>"
    turn_middle = "\n"
    turn_close = "<end_of_turn>\n"
    roles: ClassVar[Mapping[str, str]] = {"assistant": "model", "system": "developer"}
    openers = (_CALL,)

    def render(self, messages: Sequence[Message], tools: Sequence[ToolSpec]) -> Prompt:
        prompt = super().render(messages, tools)
        if messages and messages[-1].role == "tool":
            # the model goes on in the turn that called
            return Prompt(prompt.head, prompt.blocks, prompt.tail.removesuffix(self.start("assistant")))
        return prompt

    def preface(self, system: str) -> str:
        lead = f"{system}\n" if system else ""
        return f"{lead}You are a model that can do function calling with the following functions"

    def conversation(self, messages: Sequence[Message]) -> str:
        text = ""
        unfinished = False  # a model turn stands open after tool results
        for index, message in enumerate(messages):
            if message.role == "tool":
                text += f"{_RESPONSE}response:{self._result(message)}{_RESPONDED}"
                unfinished = True
                continue
            goes_on = unfinished and message.role == "assistant"
            if unfinished and not goes_on:
                text += self.turn_close
            text += ("" if goes_on else self.start(message.role)) + self.body(message)
            answered = index + 1 < len(messages) and messages[index + 1].role == "tool"
            text += "" if answered else self.turn_close
            unfinished = False
        return text

    def describe(self, tool: ToolSpec) -> str:
        declared = {"description": tool.description, "parameters": _declared(dict(tool.parameters))}
        return f"{_DECLARE}declaration:{self.clean(tool.name)}{self._value(declared)}{_DECLARED}"

    def frame(self, name: str) -> tuple[str, str]:
        return f"{_CALL}call:{self.bare(name)}", _CALLED

    def arguments(self, call: Call) -> str:
        return self._value(dict(call.arguments))

    def _value(self, value: Any) -> str:
        if isinstance(value, str):
            return f"{ESCAPE}{self.clean(value)}{ESCAPE}"
        if isinstance(value, Mapping):
            members = sorted(value.items(), key=lambda member: member[0].lower())
            return "{" + ",".join(f"{self._key(key)}:{self._value(item)}" for key, item in members) + "}"
        if isinstance(value, list):
            return "[" + ",".join(map(self._value, value)) + "]"
        return json.dumps(value, allow_nan=False)

    def _key(self, key: str) -> str:
        return key if KEY.fullmatch(key) else self.clean_json(json.dumps(key, ensure_ascii=False))

    def _result(self, message: Message) -> str:
        try:
            value = json.loads(message.content)
        except (ValueError, RecursionError):
            value = None
        shown = value if isinstance(value, dict) else {"value": message.content}
        return f"{self.clean(message.name or '')}{self._value(shown)}"

    def read(self, reader: Reader) -> list[Call]:
        calls: list[Call] = []
        while reader.take(_CALL):
            reader.blanks()
            name = reader.match(_FUNCTION, "call: and a function name")["name"]
            reader.need("{")
            calls.append(Call(name, reader.members("}", ":")))
            reader.need(_CALLED)
        return calls


def _declared(schema: Any) -> Any:
    """A JSON Schema with its type names in capitals, as declarations spell them."""
    if isinstance(schema, list):
        return [_declared(item) for item in schema]
    if not isinstance(schema, Mapping):
        return schema
    return {
        key: value.upper() if key == "type" and isinstance(value, str) else _declared(value)
        for key, value in schema.items()
    }


DIALECT = FunctionGemma()
