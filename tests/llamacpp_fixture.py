"""A stand-in for llama.cpp that reads GBNF as we do, and errs where a test wants it to."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from edge_agent.evals.contenders import Attempt, Instance
from edge_agent.grammar import TextMatcher, parse_gbnf
from edge_agent.grammar.matcher import byte_tokenizer

Err = Callable[[str, Sequence[Instance]], Attempt | None]


class Stand:
    """`err` may give the answer to a GBNF and its texts."""

    def __init__(self) -> None:
        self.err: Err = lambda *_: None
        self.seen: list[str] = []
        self.closed = False

    def read(self, gbnf: str, instances: Sequence[Instance] = ()) -> Attempt:
        self.seen.append(gbnf)
        if answer := self.err(gbnf, instances):
            return answer
        matcher = TextMatcher(parse_gbnf(gbnf))
        accepted = [matcher.accepts(each.text) for each in instances]
        return Attempt(compile_ms=1.0, accepted=accepted, reached=[matcher.prefix(each.text) for each in instances])

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def stand(monkeypatch: pytest.MonkeyPatch) -> Stand:
    """What both suites take for llama.cpp, along the bytes of a text."""
    made = Stand()

    @contextmanager
    def bundled() -> Iterator[tuple[Any, Path]]:
        yield byte_tokenizer(), Path("none.gguf")

    for suite in ("gbnf", "tool_schemas"):
        monkeypatch.setattr(f"edge_agent.evals.{suite}.bundled", bundled)
        monkeypatch.setattr(f"edge_agent.evals.{suite}.LlamaCpp", lambda _: made)
    return made
