"""Packs as tokens, with who may see whom: the exact prompts of the runtime, many at once.

A pack becomes one sequence: system text, tool blocks, then one branch per row (its turns and its answer). Every
branch stands at the same positions, sees the tools and itself, and no other branch, so each is computed as if it
were alone. In block mode the tool blocks do not see each other either and all start at the same position, behind
them the branches start where the longest block ends (block attention, arXiv 2409.15355): what the runtime does when
it puts cached tool blocks together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..dialects.base import Dialect
from .compose import Pack

#: The first token of an answer decides between calling, declining and asking.
FIRST_TOKEN_WEIGHT = 2.0

Tokenize = Callable[[str], Sequence[int]]


@dataclass(frozen=True, slots=True)
class Encoded:
    """tokens: of the whole pack. head, blocks: lengths of system text and tool blocks. branches: (prompt, answer)
    lengths, the answer's with its end-of-turn token."""

    tokens: NDArray[np.int64]
    head: int
    blocks: tuple[int, ...]
    branches: tuple[tuple[int, int], ...]

    def __len__(self) -> int:
        return len(self.tokens)


@dataclass(frozen=True, slots=True)
class Batch:
    """Arrays of `packs` sequences, padded to the longest.

    tokens, positions: [packs, length]. visible: [packs, length, length], True where a token (row) sees another.
    source: flat indexes of the tokens before each answer token; target, weight: that token, and what it counts.
    """

    tokens: NDArray[np.int64]
    positions: NDArray[np.int64]
    visible: NDArray[np.bool_]
    source: NDArray[np.int64]
    target: NDArray[np.int64]
    weight: NDArray[np.float32]


def encode(pack: Pack, dialect: Dialect, tokenize: Tokenize, *, longest: int = 1024) -> Encoded | None:
    """None when not even one branch fits into `longest` tokens; branches that do not fit are left out."""
    end = dialect.stops[0]
    prompt = dialect.render(pack.branches[0].messages, pack.tools)
    pieces = [tokenize(prompt.head), *map(tokenize, prompt.blocks)]
    tokens = [token for piece in pieces for token in piece]
    branches: list[tuple[int, int]] = []
    for branch in pack.branches:
        asked = tokenize(dialect.render(branch.messages, pack.tools).tail)
        said = tokenize(dialect.answer(branch.reply) + end)
        if len(tokens) + len(asked) + len(said) <= longest:
            tokens += [*asked, *said]
            branches.append((len(asked), len(said)))
    if not branches:
        return None
    return Encoded(np.array(tokens, np.int64), len(pieces[0]), tuple(map(len, pieces[1:])), tuple(branches))


def layout(pack: Encoded, *, blocks: bool) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Position and segment of every token; segment 0 is the shared beginning, negative ones are tool blocks,
    positive ones branches."""
    positions, segments = [np.arange(pack.head)], [np.zeros(pack.head, np.int64)]
    start = pack.head
    for number, length in enumerate(pack.blocks, 1):
        positions.append(np.arange(length) + (pack.head if blocks else start))
        segments.append(np.full(length, -number if blocks else 0))
        start += length
    after = pack.head + max(pack.blocks, default=0) if blocks else start
    for number, (asked, said) in enumerate(pack.branches, 1):
        positions.append(np.arange(asked + said) + after)
        segments.append(np.full(asked + said, number))
    return np.concatenate(positions), np.concatenate(segments)


def batch(packs: Sequence[Encoded], *, blocks: bool, shape: tuple[int, int] | None = None) -> Batch:
    """Pads to `shape` (packs, tokens), or to the longest."""
    count, longest = shape or (len(packs), max(map(len, packs)))
    tokens = np.zeros((count, longest), np.int64)
    positions = np.zeros_like(tokens)
    visible = np.zeros((count, longest, longest), np.bool_)
    visible[:, range(longest), range(longest)] = True  # padding sees itself, so that no row is empty
    source, target, weight = [], [], []
    for row, pack in enumerate(packs):
        size = len(pack)
        tokens[row, :size] = pack.tokens
        positions[row, :size], segments = layout(pack, blocks=blocks)
        ours, theirs = segments[:, None], segments[None, :]
        sees = (theirs == 0) | (ours == theirs) | ((ours > 0) & (theirs < 0))
        visible[row, :size, :size] |= np.tril(sees)
        at = pack.head + sum(pack.blocks)
        for asked, said in pack.branches:
            first = at + asked
            source.append(row * longest + np.arange(first - 1, first + said - 1))
            target.append(pack.tokens[first : first + said])
            counts = np.ones(said, np.float32)
            counts[0] = FIRST_TOKEN_WEIGHT
            weight.append(counts)
            at = first + said
    return Batch(tokens, positions, visible, np.concatenate(source), np.concatenate(target), np.concatenate(weight))


def batches(
    packs: Iterable[Encoded], tokens: int, *, step: int = 128
) -> Iterator[tuple[list[Encoded], tuple[int, int]]]:
    """Groups packs of like length, with the shape each is to be padded to: about `tokens` tokens, in few shapes, since
    every new one costs a compilation. Lengths are padded to multiples of `step`."""
    waiting: dict[int, list[Encoded]] = {}

    def shape(longest: int) -> tuple[int, int]:
        return max(1, tokens // longest), longest

    for pack in packs:
        longest = max(2 * step, -(-len(pack) // step) * step)
        group = waiting.setdefault(longest, [])
        group.append(pack)
        if len(group) == shape(longest)[0]:
            yield waiting.pop(longest), shape(longest)
    for longest, group in waiting.items():
        yield group, shape(longest)
