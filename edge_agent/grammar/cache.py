"""What was compiled once is kept: schemas as grammars, grammars as native matchers, each bounded in bytes.

Keys are contents, never identities, so a tool that is registered twice, or comes back from its server unchanged,
costs a look-up.
"""

from __future__ import annotations

import hashlib
import json
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from threading import Lock
from typing import Any, Generic, TypeVar

from .compiled import Compiled
from .ir import Chars, Grammar, Lit, Node, walk
from .matcher import TokenMatcher
from .schema import compile_schema
from .worker import compile_foreign, json_text

Value = TypeVar("Value")

LIMIT_BYTES = 8 * 2**20
#: Measured means: a node with its share of tuples and numbers, and what llguidance holds per matcher and per node.
_NODE_BYTES = 150
_MATCHER_BYTES = 32_000
_MATCHER_NODE_BYTES = 500


@dataclass(frozen=True, slots=True)
class Info:
    """What a cache did and holds; `bytes` is an estimate of the memory its entries keep."""

    hits: int
    misses: int
    entries: int
    bytes: int
    limit_bytes: int


class BytesLRU(Generic[Value]):
    """The least recently used values go when all together are larger than `limit_bytes`. For any number of threads.

    Two threads that miss the same key at once both make the value; the second replaces the first. A value larger
    than the whole limit is handed out and not kept. What raises is not kept.
    """

    def __init__(self, limit_bytes: int = LIMIT_BYTES) -> None:
        self.limit_bytes = limit_bytes
        self._entries: OrderedDict[Hashable, tuple[Value, int]] = OrderedDict()
        self._lock = Lock()
        self._hits = self._misses = self._bytes = 0

    def get(self, key: Hashable, make: Callable[[], Value], size_bytes: Callable[[Value], int]) -> Value:
        """The value of `key`, by `make` and measured by `size_bytes` when it is not here."""
        with self._lock:
            if found := self._entries.get(key):
                self._entries.move_to_end(key)
                self._hits += 1
                return found[0]
            self._misses += 1
        value = make()
        size = size_bytes(value)
        with self._lock:
            if size <= self.limit_bytes:
                self._bytes += size - self._entries.pop(key, (value, 0))[1]
                self._entries[key] = (value, size)
            while self._bytes > self.limit_bytes:
                self._bytes -= self._entries.popitem(last=False)[1][1]
        return value

    def info(self) -> Info:
        with self._lock:
            return Info(self._hits, self._misses, len(self._entries), self._bytes, self.limit_bytes)

    def clear(self) -> None:
        """Forgets all values and counts."""
        with self._lock:
            self._entries.clear()
            self._hits = self._misses = self._bytes = 0


#: The caches of the process; `limit_bytes` may be set.
schemas: BytesLRU[Compiled] = BytesLRU()
matchers: BytesLRU[TokenMatcher] = BytesLRU()


def compile_cached(
    schema: Any,
    *,
    name: str = "value",
    copies: Mapping[str, Node | None] | None = None,
    call: bool = False,
    formats: bool = True,
    remotes: Mapping[str, Any] | None = None,
    foreign: bool = False,
) -> Compiled:
    """As `compile_schema`, from the cache when the same was asked before; costs a hash of the schema's JSON.

    `foreign`: on a miss, compile as `worker.compile_foreign` does, which takes no `copies`. `Compiled.schema` is a
    copy of the schema as it was, whatever becomes of the original.

    Raises SchemaError as those do, and when the schema is not JSON; errors are not cached.
    """
    # In its own order: the order of properties is part of the grammar.
    text, others = json_text(schema, name), json_text(remotes or {}, name)

    def make() -> Compiled:
        copied = json.loads(text)
        if foreign:
            return compile_foreign(copied, name=name, call=call, formats=formats, remotes=remotes)
        return compile_schema(copied, name=name, copies=copies, call=call, formats=formats, remotes=remotes)

    digest = hashlib.sha256(f"{len(text)} {text}{others}".encode()).digest()
    key = (digest, name, call, formats, frozenset((copies or {}).items()))
    return schemas.get(key, make, lambda made: len(text) + size_bytes(made.grammar))


def matcher_cached(grammar: Grammar, tokenizer: Any) -> TokenMatcher:
    """A matcher at the start of `grammar`, for the caller alone: a copy of the one kept for this tokenizer object.

    Costs a hash of the grammar and about 10 µs. Raises GrammarError as `TokenMatcher` does; errors are not cached.
    """
    key: Hashable = (grammar.root, tuple(grammar.rules.items()), id(tokenizer))  # kept alive by its matcher
    try:
        hash(key)
    except RecursionError:
        return TokenMatcher(grammar, tokenizer)  # which says that it is too deep
    return matchers.get(key, lambda: TokenMatcher(grammar, tokenizer), lambda _: _matcher_bytes(grammar)).copy()


def size_bytes(grammar: Grammar) -> int:
    """About the memory that the nodes of `grammar` take, those it shares with others included."""
    return sum(_NODE_BYTES + _own_bytes(part) for node in grammar.rules.values() for part in walk(node))


def _own_bytes(node: Node) -> int:
    return len(node.text) if isinstance(node, Lit) else 120 * len(node.ranges) if isinstance(node, Chars) else 0


def _matcher_bytes(grammar: Grammar) -> int:
    nodes = sum(1 for node in grammar.rules.values() for _ in walk(node))
    return _MATCHER_BYTES + _MATCHER_NODE_BYTES * nodes + size_bytes(grammar)
