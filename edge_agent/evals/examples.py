"""Leave-one-out over the tools' own example sentences: how well does the model call these tools?

Each example sentence is asked while it is not among the demonstrations; the answer must be one call of its tool
with equal arguments. Sentences that no tool of a laptop fits (`UNFIT`) must be declined. This is the set on which
prompts and thresholds are chosen; suites that are reported are never used for that.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .statistics import percentile, wilson

if TYPE_CHECKING:
    from ..agent import Agent

UNFIT = (
    "how are you today",
    "good morning!",
    "thank you so much",
    "what is the meaning of life",
    "write a poem about the sea",
    "who is the president of france",
    "do you like music",
    "order me a pizza",
    "book a flight to rome",
    "sing me a song",
    "turn off the kitchen lights",
    "what's the capital of australia",
    "are you a robot",
    "you are useless",
    "why is the sky blue",
    "translate hello into japanese",
    "who wrote hamlet",
    "pay my electricity bill",
    "call a taxi",
    "i feel sad",
    "play some jazz",
    "make me a coffee",
    "what is the price of gold",
    "lock the front door",
    "how tall is mount everest",
    "buy two tickets for the concert",
    "is it going to rain tomorrow",
    "explain quantum physics",
    "never mind",
    "bye",
)


def run(
    agent: Agent, *, limit: int | None = None, progress: Callable[[int, int], None] | None = None
) -> dict[str, Any]:
    """`rows` holds one entry per sentence: expected and given call, probability of calling, milliseconds."""
    from ..events import Answered, Decoded

    asked = [(example.text, tool, example) for tool in agent.registry for example in tool.examples][:limit]
    rows = []
    for number, (text, tool, example) in enumerate([*asked, *((text, None, None) for text in UNFIT)]):
        agent.index.hide(text)
        calling = 0.0
        result: Any = {}
        for event in agent.run(text, dry_run=True):
            if isinstance(event, Decoded):
                calling = event.call_probability
            if isinstance(event, Answered):
                result = event.result
        calls = [(call["tool"], call["arguments"]) for call in result["calls"]]
        wanted = [(tool.qualified, dict(example.arguments))] if tool and example else []
        rows.append(
            {
                "text": text,
                "wanted": wanted,
                "calls": calls,
                "right": calls == wanted,
                "right_tool": [name for name, _ in calls] == [name for name, _ in wanted],
                "decision": result["decision"],
                "call_probability": calling,
                "confidence": result["confidence"],
                "elapsed_ms": result["elapsed_ms"],
            }
        )
        if progress:
            progress(number + 1, len(asked) + len(UNFIT))
    agent.index.hide()
    tools, chat = rows[: len(asked)], rows[len(asked) :]
    right = sum(row["right"] for row in tools)
    return {
        "suite": "examples",
        "cases": len(rows),
        "exact": right / len(tools) if tools else None,
        "interval": wilson(right, len(tools)),
        "right_tool": sum(row["right_tool"] for row in tools) / len(tools) if tools else None,
        "declined_chat": sum(row["decision"] == "decline" for row in chat) / len(chat),
        "p50_ms": percentile([row["elapsed_ms"] for row in rows], 50),
        "rows": rows,
    }
