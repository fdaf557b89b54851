"""Caches of compiled schemas and of matchers: same content, same object; bounded in bytes; safe with threads."""

from __future__ import annotations

import copy
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from edge_agent.errors import GrammarError, SchemaError
from edge_agent.grammar import Lit, Ref, cache, parse_gbnf
from edge_agent.grammar.cache import BytesLRU, compile_cached, matcher_cached
from edge_agent.grammar.ir import Grammar, Node, Repeat
from edge_agent.grammar.matcher import byte_tokenizer

TIMER: dict[str, Any] = {
    "type": "object",
    "properties": {"minutes": {"type": "integer"}, "label": {"type": "string", "x-edge-copy": "text"}},
}


@pytest.fixture(autouse=True)
def _empty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "schemas", BytesLRU())
    monkeypatch.setattr(cache, "matchers", BytesLRU())


def test_least_recently_used_goes_first() -> None:
    lru: BytesLRU[str] = BytesLRU(100)
    made: list[str] = []

    def get(key: str, size: int = 40) -> str:
        def make() -> str:
            made.append(key)
            return key.upper()

        return lru.get(key, make, lambda _: size)

    assert [get(key) for key in "abab"] == ["A", "B", "A", "B"]
    get("a")
    get("c")  # b goes
    get("a")
    get("b")  # c goes
    assert made == ["a", "b", "c", "b"]
    assert get("huge", 101) == "HUGE"
    info = lru.info()
    assert (info.entries, info.bytes, info.limit_bytes) == (2, 80, 100)
    assert (info.hits, info.misses) == (4, 5)
    lru.clear()
    assert (lru.info().entries, lru.info().bytes, lru.info().hits) == (0, 0, 0)


def test_values_that_are_false_are_values() -> None:
    lru: BytesLRU[int] = BytesLRU()
    assert [lru.get("k", lambda: 0, lambda _: 1) for _ in range(2)] == [0, 0]
    assert lru.info().hits == 1


def test_what_raises_is_not_kept() -> None:
    lru: BytesLRU[int] = BytesLRU()
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            lru.get("k", lambda: 1 // 0, lambda _: 1)
    assert lru.info().entries == 0


def test_threads_agree() -> None:
    lru: BytesLRU[int] = BytesLRU(50 * 8)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda i: lru.get(i % 100, lambda: i % 100, lambda _: 8), range(4000)))
    assert found == [i % 100 for i in range(4000)]
    info = lru.info()
    assert info.hits + info.misses == 4000
    assert info.bytes == info.entries * 8 <= 400


def test_same_content_compiles_once() -> None:
    first = compile_cached(TIMER, name="set_timer", call=True)
    assert compile_cached(copy.deepcopy(TIMER), name="set_timer", call=True) is first
    assert cache.schemas.info().hits == 1
    assert first.schema == TIMER
    assert first.accepts('{"minutes":5}')


SCHEMA: dict[str, Any] = {"properties": {"a": {"type": "string"}, "b": {"type": "integer"}}}
DIFFERENT: list[tuple[Any, dict[str, Any]]] = [
    (SCHEMA, {"name": "u"}),
    (SCHEMA, {"call": True}),
    (SCHEMA, {"formats": False}),
    (SCHEMA, {"remotes": {"http://x/": True}}),
    (SCHEMA, {"copies": {"text": Lit("x")}}),
    (SCHEMA, {"copies": {"text": Ref("x")}}),
    (SCHEMA, {"copies": {"text": None}}),
    ({"properties": dict(reversed(SCHEMA["properties"].items()))}, {}),  # their order is the grammar's
    ({"const": 1}, {}),
    ({"const": True}, {}),
    ({"const": "1"}, {}),
]


def test_whatever_matters_is_part_of_the_key() -> None:
    found = [compile_cached(SCHEMA)] + [compile_cached(schema, **more) for schema, more in DIFFERENT]
    assert len({id(each) for each in found}) == len(found)
    assert [compile_cached(schema, **more) for schema, more in DIFFERENT] == found[1:]
    assert cache.schemas.info().hits == len(DIFFERENT)


def test_changing_a_schema_later_changes_nothing_kept() -> None:
    schema = copy.deepcopy(TIMER)
    compiled = compile_cached(schema, name="t")
    schema["properties"]["minutes"]["type"] = "string"
    assert compiled.validate({"minutes": 5}) == []
    assert compile_cached(schema, name="t").validate({"minutes": 5})


@pytest.mark.parametrize("schema", [{"type": "objekt"}, {"const": {1, 2}}, {"enum": 5}, 7, {"const": 10**5000}])
def test_errors_are_raised_each_time(schema: Any) -> None:
    for _ in range(2):
        with pytest.raises(SchemaError, match="bad_tool"):
            compile_cached(schema, name="bad_tool")
    assert cache.schemas.info().entries == 0


def test_foreign_schemas_are_kept_too() -> None:
    first = compile_cached(TIMER, name="foreign", call=True, foreign=True)
    assert compile_cached(TIMER, name="foreign", call=True) is first


def test_bound_in_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    one = compile_cached(TIMER, name="t0", call=True)
    size = cache.schemas.info().bytes
    assert cache.size_bytes(one.grammar) <= size < 200_000
    monkeypatch.setattr(cache.schemas, "limit_bytes", 10 * size)
    for number in range(30):
        compile_cached(TIMER, name=f"t{number}", call=True)
        assert cache.schemas.info().bytes <= 10 * size
    assert 5 <= cache.schemas.info().entries <= 10


def test_matchers_are_copies_of_one() -> None:
    grammar = parse_gbnf('root ::= "ab" | "ac"')
    first = matcher_cached(grammar, byte_tokenizer())
    assert first.accept(ord("a"))
    second = matcher_cached(parse_gbnf('root ::= "ab" | "ac"'), byte_tokenizer())
    assert second is not first
    assert second.forced_text() == "a"
    assert first.accept(ord("b"))
    assert first.complete
    info = cache.matchers.info()
    assert (info.hits, info.misses, info.entries) == (1, 1, 1)


def test_another_root_or_tokenizer_is_another_matcher() -> None:
    from llguidance import LLTokenizer

    rules: dict[str, Node] = {"a": Lit("a"), "b": Lit("b")}
    other = LLTokenizer("byte")
    assert matcher_cached(Grammar(rules, "a"), byte_tokenizer()).forced_text() == "a"
    assert matcher_cached(Grammar(rules, "b"), byte_tokenizer()).forced_text() == "b"
    matcher_cached(Grammar(rules, "a"), other)
    assert cache.matchers.info().misses == 3


def test_grammar_errors_pass_through() -> None:
    nested: Node = Lit("a")
    for _ in range(5000):
        nested = Repeat(nested, 0, 1)
    for grammar in (Grammar({"root": Ref("nope")}), Grammar({"root": nested})):
        for _ in range(2):
            with pytest.raises(GrammarError):
                matcher_cached(grammar, byte_tokenizer())
    assert cache.matchers.info().entries == 0
