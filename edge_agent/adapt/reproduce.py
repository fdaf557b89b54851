"""The adapter that comes with the package, rebuilt from nothing but its rows: same rows, same seeds, same recipe.

Weights agree with the shipped ones up to the order of floating-point sums, which depends on processor and threads.
"""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from ..dialects.base import Dialect, ToolSpec
from ..errors import InputError
from .compose import Composer, Pack, Recipe
from .encode import Encoded, Tokenize, encode
from .rows import Row, read
from .train import Plan, Progress, train

BUILTIN = Path(__file__).parent / "data" / "builtin.jsonl.gz"
#: fingerprints of texts that `overlap` found to resemble an evaluation sentence: their rows are not trained on
WITHHELD = frozenset((Path(__file__).parent / "data" / "withheld.txt").read_text(encoding="ascii").split())
#: public files and how many of their rows are taken
PUBLIC = {
    "toolrl": 999,
    "llamafactory_glaive": 999,
    "llamafactory_reason": 99,
    "home_llm": 150,
    "composed_recovery": 100,
}
#: what the agent shows of the built-in tools: `tools_kept` of them
_AS_KEPT = Recipe(sizes=((6, 0.75), (5, 0.1), (4, 0.1), (8, 0.05)))
RANK, ALPHA, SEED = 32, 64.0, 1


@dataclass(frozen=True, slots=True)
class Rows:
    """foreign: over invented and public tools; builtin: over our own; held: never trained on, with their tools."""

    foreign: list[Row]
    builtin: list[Row]
    held: list[Row]


def gather(folder: Path, builtin: Path = BUILTIN) -> Rows:
    """The rows of the shipped adapter. folder: the `authored_*` and public files.

    Held out are the rows that call one of 4% of the tools, by a hash of the name, and every 25th of the built-in ones.
    Raises InputError when a file is missing.
    """
    files = sorted(folder.glob("authored_*.jsonl.gz"))
    if not files:
        raise InputError(f"{folder}: no authored_*.jsonl.gz in it")
    foreign: list[Row] = []
    held: list[Row] = []
    for file in files:
        for row in _admitted(read(file)):
            (held if any(map(_held, row.concerned)) else foreign).append(row)
    rng = random.Random(5)  # noqa: S311
    for name, count in PUBLIC.items():
        found = _admitted(read(folder / f"{name}.jsonl.gz"))
        foreign += rng.sample(found, min(count, len(found)))
    ours = [replace(row, source="builtin") for row in _admitted(read(builtin, own_tools()))]
    held += ours[::25]
    kept = {fingerprint(row.text) for row in held}
    foreign, ours = ([row for row in rows if fingerprint(row.text) not in kept] for rows in (foreign, ours))
    return Rows(foreign, ours, held)


def own_tools() -> dict[str, ToolSpec]:
    """The built-in tools by the names that models see."""
    from ..toolpacks import load
    from ..tools import Registry

    registry = Registry(load(()))
    shown = {registry.shown_name(tool): tool for tool in registry}
    return {name: ToolSpec(name, tool.description, tool.parameters) for name, tool in shown.items()}


def reproduce(
    base: Path,
    folder: Path,
    out: Path,
    dialect: Dialect,
    tokenize: Tokenize,
    *,
    tokens: int,
    progress: Callable[[Progress], None] | None = None,
) -> Path:
    """Trains on the rows of `gather` and writes `out/adapter.gguf`. An interrupted run in `out` goes on.

    Cost: about 30 minutes for a million tokens on two cores.
    """
    from .base import Learner
    from .export import write_adapter

    rows = gather(folder)
    foreign, builtin = Composer(rows.foreign), Composer(rows.builtin, _AS_KEPT)

    def encoded(packs: list[Pack]) -> Iterator[Encoded]:
        return (made for pack in packs if (made := encode(pack, dialect, tokenize)))

    def passes(number: int) -> list[Encoded]:
        packs = [*foreign.packs(100 + number), *builtin.packs(100 + number)]
        random.Random(number).shuffle(packs)  # noqa: S311
        return list(encoded(packs))

    held = list(encoded(Composer(rows.held).packs(7)))[:120]
    learner = Learner(base, rank=RANK, alpha=ALPHA, seed=SEED)
    state = train(learner, passes, held, Plan(tokens, seed=SEED), out, progress)
    made = out / "adapter.gguf"
    write_adapter(state, base, made, alpha=ALPHA, about={"tokens": str(tokens), "dialect": dialect.name})
    return made


def _admitted(rows: list[Row]) -> list[Row]:
    return [row for row in rows if not WITHHELD & {fingerprint(turn.content) for turn in row.messages}]


def fingerprint(text: str) -> str:
    """Of a text's words alone, in 16 hex digits."""
    return hashlib.sha256(" ".join(re.findall(r"\w+", text.lower())).encode()).hexdigest()[:16]


def _held(name: str) -> bool:
    return hashlib.sha256(name.encode()).digest()[0] < 10
