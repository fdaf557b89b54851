"""Step 1: which few of the registered tools may this sentence need?

Lexical ranking with SQLite's FTS5 (BM25, Porter stemming), in memory: one document per tool, of its name,
description, parameters and example sentences. The same index picks the example sentences nearest to the
request. Exact, about a millisecond for a hundred tools.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from .tools import Example, Tool

#: BM25 column weights: name, description, parameters, examples
_WEIGHTS = "3.0, 2.0, 0.5, 1.0"
_INSERT = "INSERT INTO tool(rowid, name, description, parameters, examples) VALUES (?,?,?,?,?)"
#: Words that say nothing about which tool is meant, yet are rare enough in short example sentences to mislead BM25.
_STOP = frozenset(
    re.findall(
        r"\w+",
        "a an the i me my mine we our you your it its of to in on for at with from and or that this these there is are"
        " am be been do does did have has had can could would will should please just so some any s t m re ll ve d",
    )
)


@dataclass(frozen=True, slots=True)
class Ranked:
    """A tool by its shown name; higher scores are better, 0 means no word matched."""

    name: str
    score: float


@dataclass(frozen=True, slots=True)
class Shot:
    """An example sentence of a kept tool, with its similarity to the request."""

    name: str
    example: Example
    score: float


class ToolIndex:
    """Index of tools by the names the model sees. Built once per registry (milliseconds), then read-only."""

    def __init__(self, tools: Mapping[str, Tool]) -> None:
        self.hidden: frozenset[str] = frozenset()
        self._tools = dict(tools)
        self._names = list(self._tools)
        self._examples = [(name, example) for name, tool in self._tools.items() for example in tool.examples]
        self._connection = sqlite3.connect(":memory:", check_same_thread=False)
        self._connection.executescript(
            "CREATE VIRTUAL TABLE tool USING fts5(name, description, parameters, examples, tokenize='porter');"
            "CREATE VIRTUAL TABLE example USING fts5(text, tokenize='porter');"
        )
        self._connection.executemany(_INSERT, [self._document(row, name) for row, name in enumerate(self._names)])
        self._connection.executemany(
            "INSERT INTO example(rowid, text) VALUES (?,?)", [(i, e.text) for i, (_, e) in enumerate(self._examples)]
        )

    def _document(self, row: int, name: str) -> tuple[int, str, str, str, str]:
        tool = self._tools[name]
        parameters = " ".join(tool.parameters.get("properties", {}))
        sentences = " ".join(each.text for each in tool.examples if each.text not in self.hidden)
        return row, _words(f"{name} {tool.pack}"), tool.description, _words(parameters), sentences

    def hide(self, *sentences: str) -> None:
        """Leaves these example sentences out from now on (and others in again): an evaluation hides what it asks."""
        changed = self.hidden ^ frozenset(sentences)
        self.hidden = frozenset(sentences)
        for row, name in enumerate(self._names):
            if any(each.text in changed for each in self._tools[name].examples):
                self._connection.execute("DELETE FROM tool WHERE rowid=?", (row,))
                self._connection.execute(
                    "INSERT INTO tool(rowid, name, description, parameters, examples) VALUES (?,?,?,?,?)",
                    self._document(row, name),
                )

    def rank(self, text: str, count: int) -> list[Ranked]:
        """The best `count` tools, best first; filled up in registry order when fewer match."""
        scores = dict.fromkeys(self._names, 0.0)
        query = _query(text)
        if query:
            sql = f"SELECT rowid, bm25(tool, {_WEIGHTS}) FROM tool WHERE tool MATCH ?"  # noqa: S608
            scores.update({self._names[row]: -score for row, score in self._connection.execute(sql, (query,))})
        order = sorted(self._names, key=lambda name: -scores[name])
        return [Ranked(name, scores[name]) for name in order[:count]]

    def shots(self, text: str, names: Sequence[str], count: int) -> list[Shot]:
        """The `count` examples of the named tools that are most like `text`, best first.

        Where fewer resemble it, the first examples of the best tools follow."""
        similar = [shot for shot in self._shots(_query(text)) if shot.name in names]
        chosen = sorted(similar, key=lambda shot: -shot.score)[:count]
        seen = {shot.example.text for shot in chosen}
        others = [Shot(n, e, 0.0) for n in names for e in self._tools[n].examples[:1] if e.text not in self.hidden]
        return [*chosen, *(shot for shot in others if shot.example.text not in seen)][:count]

    @cached_property
    def typical(self) -> tuple[float, float]:
        """(low, median) best score of the tools' own example sentences, each left out while it is asked.

        BM25 has no scale of its own: it grows with the number of tools. 95% of sentences that do mean a tool score
        above `low`. Both are 0 where fewer than 20 examples say too little. Measured once, on at most 64 (0.1 s).
        """
        if len(self._examples) < 20:
            return 0.0, 0.0
        sample = self._examples[:: max(1, len(self._examples) // 64)][:64]
        scores = []
        for _, example in sample:
            self.hide(example.text)
            scores.append(self.rank(example.text, 1)[0].score)
        self.hide()
        scores.sort()
        return scores[len(scores) // 20], scores[len(scores) // 2]

    def _shots(self, query: str) -> list[Shot]:
        if not query:
            return []
        rows = self._connection.execute("SELECT rowid, bm25(example) FROM example WHERE example MATCH ?", (query,))
        found = [(self._examples[row], -score) for row, score in rows]
        return [Shot(name, example, score) for (name, example), score in found if example.text not in self.hidden]


def _words(text: str) -> str:
    return re.sub(r"[_\W]+", " ", text)


def _query(text: str) -> str:
    words = dict.fromkeys(word for word in re.findall(r"\w+", text.lower()) if word not in _STOP)
    return " OR ".join(f'"{word}"' for word in list(words)[:64])
