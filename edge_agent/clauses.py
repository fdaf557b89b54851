"""Several wishes in one sentence, for models that answer one at a time.

A sentence is cut at "and", "then" or a full stop only where what stands on both sides would be a request of its
own: each resembles some tool as well as a whole request must. "Buy milk and eggs" stays whole.
"""

from __future__ import annotations

import re
from collections.abc import Callable

_JOINT = re.compile(r"\s*(?:[.!?;]\s+|,?\s+)(?:and\s+then|and\s+also|then|and|also)\s+|[.!?;]\s+", re.IGNORECASE)


def split(text: str, relevance: Callable[[str], float]) -> list[str]:
    """The requests in `text`, in order. relevance: how well a text resembles the best tool; requests reach 1."""
    parts: list[str] = []
    start = 0
    for joint in _JOINT.finditer(text):
        left, right = text[start : joint.start()], text[joint.end() :]
        if min(relevance(left), relevance(right)) >= 1.0:
            parts.append(left)
            start = joint.end()
    return [*parts, text[start:]]
