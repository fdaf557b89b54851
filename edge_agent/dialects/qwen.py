"""Qwen3: ChatML, `<tools>` in the system turn, `<tool_call>` JSON, results in a user turn.

Source: chat template of Qwen/Qwen3-0.6B (as kept in llama.cpp, `models/templates/Qwen-Qwen3-0.6B.jinja`):
marks, order, JSON spacing, one `<tool_call>` per call and a line break between them, the thought and the blanks around
it, and the empty thought that `enable_thinking=false` puts before the answer (`thinking` takes it away). The
instructing sentences are ours.
"""

from __future__ import annotations

from .chatml import CHATML_SPECIALS, ChatML, ToolTags


class Qwen(ToolTags, ChatML):
    name = "qwen"
    specials = CHATML_SPECIALS + ToolTags.specials
    thought = ("<think>\n", "\n</think>\n\n")
    lead_in = "<think>\n\n</think>\n\n"
    before_tool = "\n"
    after_tools = (
        "\n</tools>\n\nTo call a function, answer with its name and arguments as JSON inside "
        "<tool_call></tool_call>, one block per call:\n"
        '<tool_call>\n{"name": <function-name>, "arguments": <args-json-object>}\n</tool_call>'
    )

    def preface(self, system: str) -> str:
        lead = f"{system}\n\n" if system else ""
        return (
            f"{lead}# Tools\n\nYou can call functions to do what the user asks. "
            "Their signatures stand inside <tools></tools>:\n<tools>"
        )


DIALECT = Qwen()
