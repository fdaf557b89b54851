"""Is any evaluation sentence, or a near copy of one, among the training rows?

Near copies: the same words; ten words in a row in common; or word sets whose Jaccard similarity is at least 0.8,
for sentences of four words and more (shorter ones agree by chance: "turn it off").
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..evals.bfcl import Bfcl
from ..evals.cases import load_cases
from ..evals.clinc import Clinc
from ..evals.home_assistant import HomeAssistant
from ..evals.nestful import Nestful
from ..evals.when2call import When2Call
from .reproduce import gather

RUN_WORDS, ALIKE, LEAST_WORDS = 10, 0.8, 4


@dataclass(frozen=True, slots=True)
class Copy:
    """An evaluation sentence, the row that resembles it, and how."""

    suite: str
    case: str
    text: str
    source: str
    row: str
    why: str


@dataclass(frozen=True, slots=True)
class Overlap:
    """rows: training texts looked at. sentences: evaluation sentences by suite."""

    rows: int
    sentences: Mapping[str, int]
    copies: Sequence[Copy]


def check(folder: Path, data: Path) -> Overlap:
    """The rows of the shipped adapter in `folder` against all suites in `data`. A minute or so.

    Raises InputError when something is missing.
    """
    rows = gather(folder)
    texts = [
        (row.source, turn.content)
        for row in (*rows.foreign, *rows.builtin)
        for turn in row.messages
        if turn.role == "user"
    ]
    sentences = [("everyday", case.id, case.text) for case in load_cases()]
    for suite in (Bfcl(), HomeAssistant(), When2Call(), Clinc(), Nestful()):
        for case in suite.load(data):
            said = [turn["content"] for turn in case.row["messages"] if turn["role"] == "user"]
            sentences += [(suite.name, case.id, text) for text in said]
    counts: dict[str, int] = defaultdict(int)
    for suite_name, _, _ in sentences:
        counts[suite_name] += 1
    return Overlap(len(texts), counts, list(copies(texts, sentences)))


def copies(texts: Sequence[tuple[str, str]], sentences: Iterable[tuple[str, str, str]]) -> Iterable[Copy]:
    """texts: (source, text) trained on; sentences: (suite, case, text). The first resemblance of each sentence."""
    split = [tuple(re.findall(r"\w+", text.lower())) for _, text in texts]
    whole = {words: place for place, words in enumerate(split)}
    runs = {run: place for place, words in enumerate(split) for run in _runs(words)}
    by_word: dict[str, set[int]] = defaultdict(set)
    for number, words in enumerate(split):
        for word in {*words}:
            by_word[word].add(number)
    for suite, case, text in sentences:
        words = tuple(re.findall(r"\w+", text.lower()))
        if len(words) < LEAST_WORDS:
            continue
        place, why = whole.get(words), "the same words"
        if place is None:
            place, why = next((runs[run] for run in _runs(words) if run in runs), None), "ten words in a row"
        if place is None:
            place, why = _alike({*words}, by_word, split), "nearly the same words"
        if place is not None:
            yield Copy(suite, case, text, *texts[place], why)


def _runs(words: tuple[str, ...]) -> Iterable[tuple[str, ...]]:
    return (words[at : at + RUN_WORDS] for at in range(len(words) - RUN_WORDS + 1))


def _alike(words: set[str], by_word: Mapping[str, set[int]], split: Sequence[tuple[str, ...]]) -> int | None:
    """A text that shares four fifths of the words; it must hold one of the rarest fifth of them, and one more."""
    rarest = sorted(words, key=lambda word: len(by_word.get(word, ())))[: int(len(words) * (1 - ALIKE)) + 1]
    for place in set().union(*(by_word.get(word, set()) for word in rarest)):
        theirs = {*split[place]}
        if len(words & theirs) >= ALIKE * len(words | theirs):
            return place
    return None
