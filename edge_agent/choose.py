"""Which tool does an untuned model mean? Its own opinion of every kept tool, weighed with how well each was found.

A small model that was never trained on tools prefers some names for their sound. So each kept tool's name is
scored as the start of the answer, log P(name | prompt), and added to its retrieval score times a weight, a
log-linear pool of two experts. The weight is fitted on the tools' own example sentences, each left out in turn
(`evals/examples.py`). Costs one short forward pass per kept tool.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .decode import Session
    from .engine.base import Logits

#: Nats that the score of a typical best match is worth.
RETRIEVAL_WEIGHT = 8.0


def posterior(
    session: Session, logits: Logits, openings: Mapping[str, str], scores: Mapping[str, float]
) -> dict[str, float]:
    """Probability of each tool, best first; they sum to 1.

    openings: tool -> the text its call begins with. scores: retrieval's, in units of a typical best match.
    logits: after the prompt. The session is left as it was.
    """
    pooled = {
        name: session.log_probability(logits, opening) + RETRIEVAL_WEIGHT * scores[name]
        for name, opening in openings.items()
    }
    top = max(pooled.values())
    weights = {name: math.exp(value - top) for name, value in pooled.items()}
    total = sum(weights.values())
    return {name: weight / total for name, weight in sorted(weights.items(), key=lambda item: -item[1])}
