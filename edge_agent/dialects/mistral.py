"""Ministral 3 and other Mistral models of tokenizer v13: `[AVAILABLE_TOOLS]`, `[TOOL_CALLS]name[ARGS]{…}`.

Source: mistralai/mistral-common, tests of the v13 instruct tokenizer: order of system prompt, tools and
turns, one `[TOOL_CALLS]` per call, results without identifiers. Also read, because earlier tokenizers write
them: the JSON list of v3 to v7 (`[TOOL_CALLS] [{"name": …, "arguments": …, "id": …}]`) and `[CALL_ID]` of
v11. Thoughts of the Reasoning models stand in `[THINK]` without blanks (llama.cpp, parser for Ministral 3). Prompts are
written for v13 only: v3 to v11 models expect call identifiers in the results, and a blank
after some marks.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from .base import Call, Message, Prompt, ToolSpec
from .calls import read_json
from .family import Family
from .reader import NAME, Reader

_FUNCTION = re.compile(rf"(?P<name>{NAME.pattern})(?:\[CALL_ID\]\w+)?\s*(?:\[ARGS\])?")


class Mistral(Family):
    name = "mistral"
    stops = ("</s>",)
    specials = (
        *("<s>", "</s>", "<unk>", "<pad>", "[INST]", "[/INST]", "[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]"),
        *("[AVAILABLE_TOOLS]", "[/AVAILABLE_TOOLS]", "[TOOL_CALLS]", "[ARGS]", "[CALL_ID]", "[TOOL_CONTENT]"),
        *("[TOOL_RESULTS]", "[/TOOL_RESULTS]", "[THINK]", "[/THINK]", "[IMG]", "[IMG_BREAK]", "[IMG_END]"),
    )
    between_tools = ", "
    openers = ("[TOOL_CALLS]",)
    thought = ("[THINK]", "[/THINK]")

    def start(self, role: str) -> str:
        return {"system": "[SYSTEM_PROMPT]", "user": "[INST]", "tool": "[TOOL_RESULTS]"}.get(role, "")

    def turn(self, role: str, body: str) -> str:
        ends = {"system": "[/SYSTEM_PROMPT]", "user": "[/INST]", "tool": "[/TOOL_RESULTS]"}
        return f"{self.start(role)}{body}{ends.get(role, '</s>')}"

    def render(self, messages: Sequence[Message], tools: Sequence[ToolSpec]) -> Prompt:
        system, rest = self.split(messages)
        head = self.turn("system", system) if system else ""
        tail = self.conversation(rest)
        if not tools:
            return Prompt(head, (), tail)
        return Prompt(f"{head}[AVAILABLE_TOOLS][", self.render_tools(tools), f"][/AVAILABLE_TOOLS]{tail}")

    def frame(self, name: str) -> tuple[str, str]:
        return f"[TOOL_CALLS]{self.bare(name)}[ARGS]", ""

    def read(self, reader: Reader) -> list[Call]:
        calls: list[Call] = []
        while reader.take(self.openers[0]):
            reader.blanks()
            if reader.peek("["):
                calls += read_json(reader)
                continue
            name = reader.match(_FUNCTION, "a tool name")["name"]
            at = reader.pos
            arguments = reader.json()
            if not isinstance(arguments, dict):
                raise reader.refuse("one JSON object of arguments", at)
            calls.append(Call(name, arguments))
        return calls


DIALECT = Mistral()
