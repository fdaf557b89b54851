"""Hermes 2 Pro, Hermes 3 and what is tuned like them (SmolLM3): ChatML, `<tools>`, `<tool_call>`.

Sources: tool template of NousResearch/Hermes-2-Pro (as kept in vLLM,
`examples/tool_chat_template_hermes.jinja`): marks, `{"name", "content"}` inside `<tool_response>` in a turn
of role `tool`. SmolLM3-3B shows the same tags under its own "Metadata" heading, which is not rendered here,
and takes results in a user turn; its chat template was seen only in the copy without tools that llama.cpp
keeps, and as rendered output. Thoughts are written as SmolLM3 does, also read without the line breaks; Hermes 3 does
not think. The instructing sentences are ours.
"""

from __future__ import annotations

from collections.abc import Sequence

from .base import Message
from .calls import spaced
from .chatml import CHATML_SPECIALS, ChatML, ToolTags


class Hermes(ToolTags, ChatML):
    name = "hermes"
    specials = CHATML_SPECIALS + ToolTags.specials
    thought = ("<think>\n", "\n</think>\n")
    between_tools = "\n"
    after_tools = (
        " </tools> For each call return a JSON object with the function's name and arguments inside "
        "<tool_call></tool_call> tags:\n"
        '<tool_call>\n{"name": <function-name>, "arguments": <args-dict>}\n</tool_call>'
    )

    def preface(self, system: str) -> str:
        lead = f"{system}\n\n" if system else ""
        return (
            f"{lead}You are a function calling AI model. You may call the functions inside <tools></tools> "
            "tags for the user; do not guess values that were not given. Here are the tools: <tools> "
        )

    def results(self, messages: Sequence[Message]) -> str:
        return "".join(self.turn("tool", self._result(message)) for message in messages)

    def _result(self, message: Message) -> str:
        result = self.clean_json(spaced({"name": message.name or "", "content": message.content}))
        return f"<tool_response>\n{result}\n</tool_response>"


DIALECT = Hermes()
