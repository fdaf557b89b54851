from __future__ import annotations

import pytest

from edge_agent.clauses import split

KNOWN = ("timer", "volume", "email", "milk")


def relevance(text: str) -> float:
    return float(any(word in text for word in KNOWN))


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("set a timer and turn the volume down", ["set a timer", "turn the volume down"]),
        ("set a timer, then email Bob. Turn the volume up", ["set a timer", "email Bob", "Turn the volume up"]),
        ("buy milk and eggs", ["buy milk and eggs"]),
        ("start a timer for eggs and then toast", ["start a timer for eggs and then toast"]),
        ("timer", ["timer"]),
    ],
)
def test_a_sentence_is_cut_only_between_requests(text: str, parts: list[str]) -> None:
    assert split(text, relevance) == parts


def test_nothing_is_lost_or_made_up() -> None:
    text = "email Ann and milk and volume; then the timer"
    words = [word for part in split(text, relevance) for word in part.split()]
    assert [word for word in text.replace(";", " ").split() if word in words or word not in ("and", "then")] == words
