from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from agent_fixture import NOW, paint, remind
from hypothesis import given
from hypothesis import strategies as st

from edge_agent import when
from edge_agent.provenance import Span, candidates, copy_kinds, free_text, trace
from edge_agent.tools import tool_from_schema


def spans(kind: str, text: str) -> list[str]:
    found = candidates(kind, text, NOW)
    assert found is not None
    assert all(text[span.start : span.end] == span.text for span in found)
    return [span.text for span in found]


@pytest.mark.parametrize(
    ("kind", "text", "expected"),
    [
        ("when", "remind me to water the plants in 20 minutes", ["in 20 minutes"]),
        ("when", "call Ann tomorrow at 9 please", ["tomorrow at 9"]),
        ("when", "call Ann (tomorrow at 9).", ["tomorrow at 9"]),
        ("when", "call Ann", []),
        ("duration", "set a timer for an hour and a half", ["for an hour and a half"]),
        ("duration", "boil 9 min, then rest 2 hours", ["9 min", "2 hours"]),
        ("number", "turn it up to 40", ["40"]),
        ("number", "nothing to count", []),
        ("email", "write to ann.lee@example.org, bob@example.co.uk.", ["ann.lee@example.org", "bob@example.co.uk"]),
        ("email", "write to ann at home", []),
        (
            "url",
            "open https://example.org/a?b=1, then www.example.com.",
            ["https://example.org/a?b=1", "www.example.com"],
        ),
        ("url", "open (example.org/page).", ["example.org/page"]),
        ("url", "write to ann.lee@mail.example.org now", []),
    ],
)
def test_spans_of_a_kind_are_the_longest_and_without_punctuation(kind: str, text: str, expected: list[str]) -> None:
    assert spans(kind, text) == expected


@pytest.mark.parametrize("kind", ["text", "name", "path"])
def test_any_run_of_words_is_a_text(kind: str) -> None:
    assert candidates(kind, "anything", NOW) is None


def test_a_span_crosses_no_line() -> None:
    assert spans("when", "call Ann tomorrow\nat 9") == ["tomorrow", "at 9"]


_VOCABULARY = "in at 20 minutes tomorrow 9 am the plants next monday an hour , water half"
_WORDS = st.lists(st.sampled_from(_VOCABULARY.split()), max_size=9).map(" ".join)


@given(_WORDS)
def test_when_spans_are_understood_and_cannot_be_longer(text: str) -> None:
    found = candidates("when", text, NOW)
    assert found is not None
    words = [(at, at + len(word)) for word in text.split() for at in [text.find(word)]]
    ends = sorted({end for _, end in words})
    for span in found:
        assert text[span.start : span.end] == span.text
        assert when.parse_moment(span.text, NOW) is not None
    for before, after in pairwise(found):
        assert before.end <= after.start
    for span in found:  # no further word at its end makes a moment
        for end in ends:
            longer = text[span.start : end].rstrip(" ,")
            if end > span.end and len(longer.split()) <= 9 and longer != span.text:
                assert when.parse_moment(longer, NOW) is None


@pytest.mark.parametrize(
    ("taken", "expected"),
    [
        ([], "in twenty minutes water it"),
        ([(0, 17)], "\n water it"),
        ([(0, 17), (3, 9)], "\n\n water it"),  # a number inside a duration
        ([(3, 9), (0, 17)], "\n\n water it"),
        ([(0, 9), (3, 17)], "\n\n water it"),
        ([(18, 23)], "in twenty minutes \n it"),
    ],
)
def test_taken_words_are_no_text(taken: list[tuple[int, int]], expected: str) -> None:
    text = "in twenty minutes water it"
    assert free_text(text, [Span(a, b, text[a:b]) for a, b in taken]) == expected


@given(st.text("ab c", max_size=12), st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), max_size=4))
def test_free_text_keeps_exactly_what_is_not_taken(text: str, pairs: list[tuple[int, int]]) -> None:
    taken = [Span(a, b, text[a:b]) for a, b in pairs if a < b <= len(text)]
    inside = {i for span in taken for i in range(span.start, span.end)}
    kept = "".join(c for i, c in enumerate(text) if i not in inside)
    assert free_text(text, taken).replace("\n", "") == kept


def test_copy_kinds_are_found_in_plain_and_optional_parameters() -> None:
    properties: dict[str, Any] = {
        "a": {"type": "string", "x-edge-copy": "when"},
        "b": {"anyOf": [{"type": "string", "x-edge-copy": "text"}, {"type": "null"}]},
        "c": {"type": "string"},
    }
    definition = {"name": "t", "description": "d", "parameters": {"type": "object", "properties": properties}}
    assert copy_kinds(tool_from_schema(definition, print)) == {"a": "when", "b": "text"}
    assert copy_kinds(remind) == {"text": "text", "when": "when"}
    assert copy_kinds(paint) == {}


@pytest.mark.parametrize(
    ("value", "schema", "text", "source"),
    [
        ("plants", {}, "water the plants", "request"),
        ("Water  The", {}, "water the plants", "request"),
        ("roses", {}, "water the plants", "model"),
        ("", {}, "water the plants", "model"),
        ("red", {"enum": ["red", "green"]}, "paint it", "option"),
        ("red", {"const": "red"}, "paint it", "option"),
        ("red", {"anyOf": [{"enum": ["red"]}, {"type": "null"}]}, "paint it", "option"),
        ("here", {"default": "here"}, "where am I", "default"),
        (None, {}, "paint it", "default"),
        (True, {}, "paint it", "option"),
        (True, {"default": True}, "paint it", "default"),
        (20, {}, "in 20 minutes", "request"),
        (20, {}, "in twenty minutes", "request"),
        (20, {}, "in a while", "model"),
        (2.5, {}, "about 2.5 km", "request"),
        (1, {"default": 1}, "paint it", "default"),
        (["milk", "eggs"], {"items": {}}, "milk and eggs", "request"),
        (["milk", "ham"], {"items": {}}, "milk and eggs", "model"),
        (["red"], {"items": {"enum": ["red"]}}, "paint it", "request"),
        ({"name": "Ann", "age": 41}, {}, "Ann is 41", "request"),
        ({"name": "Ann", "age": 40}, {}, "Ann is 41", "model"),
        ({"colour": "red"}, {"properties": {"colour": {"enum": ["red"]}}}, "paint it", "request"),
    ],
)
def test_every_value_has_a_source(value: Any, schema: dict[str, Any], text: str, source: str) -> None:
    assert trace(value, schema, text) == source
