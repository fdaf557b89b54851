"""xLAM-2 (Qwen-based sizes): ChatML, an indented JSON object per tool in the system turn, a list of calls.

Source: vLLM, `examples/tool_chat_template_xlam_qwen.jinja`, contributed by Salesforce: order, indentation,
results in a turn of role `tool`, the list of calls. The instructing sentences are ours.
"""

from __future__ import annotations

from .chatml import JsonList


class Xlam(JsonList):
    name = "xlam"
    after_tool = "\n\n"
    indent = 4

    def preface(self, system: str) -> str:
        return (
            f"{system or 'You are a helpful assistant that can use tools.'}\n"
            "You have tools. To use them, answer with a single JSON array of calls:\n\n"
            '[{"name": "tool_call_name", "arguments": {"arg1": "value1", "arg2": "value2"}}, '
            "... (more calls that can be made at once)]\n\n"
            "Say so when no tool is suitable, and ask for required values that are missing. After a call, "
            "wait for its result before you answer. When no tool is needed, reply in plain text. "
            "The tools are:\n\n"
        )


DIALECT = Xlam()
