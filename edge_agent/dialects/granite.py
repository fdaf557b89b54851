"""Granite 4: role tags of its own, `<tools>` in the system turn, `<tool_call>` JSON, results in a user turn.

Source: chat template of ibm-granite/granite-4.0 (as kept in llama.cpp,
`models/templates/ibm-granite-granite-4.0.jinja`). Its models do
not think. The instructing sentences are ours.
"""

from __future__ import annotations

from .chatml import ToolTags


class Granite(ToolTags):
    name = "granite"
    stops = ("<|end_of_text|>",)
    specials = ("<|start_of_role|>", "<|end_of_role|>", "<|end_of_text|>", *ToolTags.specials)
    turn_open = "<|start_of_role|>"
    turn_middle = "<|end_of_role|>"
    turn_close = "<|end_of_text|>\n"
    before_tool = "\n"
    after_tools = (
        "\n</tools>\n\nFor each call, return a JSON object with the tool's name and arguments inside "
        "<tool_call></tool_call> tags:\n<tool_call>\n"
        '{"name": <function-name>, "arguments": <args-json-object>}\n'
        "</tool_call>. Tell the user when no tool can do what was asked."
    )

    def preface(self, system: str) -> str:
        lead = f"{system}\n\n" if system else ""
        return (
            f"{lead}You are a helpful assistant with tools, and may call one or more of them. "
            "Their signatures stand inside <tools></tools> tags:\n<tools>"
        )


DIALECT = Granite()
