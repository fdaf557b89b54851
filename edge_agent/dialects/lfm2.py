"""LFM2 and LFM2.5: ChatML, tools as a JSON list in the system turn, pythonic calls between own tokens.

Sources: model card of LiquidAI/LFM2 and https://docs.liquid.ai/docs/key-concepts/tool-use: tokens, Python
lists of calls, text that may follow the calls, JSON as a form that can be asked for (read, not asked for: a
report says that not every checkpoint obeys). LFM2.5 drops the tokens around tool list and results (llama.cpp,
`LFM2.5-8B-A1B.jinja`); the tokens of LFM2 are written for both. Whether LFM2.5 loses accuracy by that was not
measured. Thoughts (LFM2.5 Thinking, LFM2.5-8B-A1B) stand in `<think>` without blanks, as in that template.

Grammar: the native form of a call is `name(a="x", n=2)`: keywords, values in Python's spelling (that template: strings
in single quotes, `True`), calls in one list. The arguments of `CallRules` are one JSON object, compiled elsewhere, so
a constrained call is `name({"a":"x","n":2})`: list, names and brackets are native, the inside is not. Prompts, and
`need_tool(description="…")`, have keywords with JSON values. All of these are read.
"""

from __future__ import annotations

from collections.abc import Sequence

from .base import Call, Message
from .calls import python_arguments, read_any
from .chatml import CHATML_SPECIALS, ChatML
from .family import THINK
from .reader import Reader


class Lfm2(ChatML):
    name = "lfm2"
    specials = (
        *CHATML_SPECIALS,
        *(
            "<|startoftext|>",
            "<|tool_list_start|>",
            "<|tool_list_end|>",
            "<|tool_call_start|>",
            "<|tool_call_end|>",
        ),
        *("<|tool_response_start|>", "<|tool_response_end|>", *THINK),
    )
    between_tools = ", "
    after_tools = "]<|tool_list_end|>"
    wrapped = False
    openers = ("<|tool_call_start|>",)
    before_calls = "<|tool_call_start|>["
    between_calls = ", "
    after_calls = "]<|tool_call_end|>"
    trailing = True
    thought = THINK

    def preface(self, system: str) -> str:
        return (f"{system}\n" if system else "") + "List of tools: <|tool_list_start|>["

    def body(self, message: Message) -> str:
        return self.write(message.calls) + self.clean(message.content)

    def results(self, messages: Sequence[Message]) -> str:
        return "".join(
            self.turn("tool", f"<|tool_response_start|>{self.clean(message.content)}<|tool_response_end|>")
            for message in messages
        )

    def frame(self, name: str) -> tuple[str, str]:
        return f"{self.bare(name)}(", ")"

    def arguments(self, call: Call) -> str:
        return self.clean_json(python_arguments(call.arguments))

    def read(self, reader: Reader) -> list[Call]:
        return self.read_tagged(reader, "<|tool_call_end|>", read_any)


DIALECT = Lfm2()
