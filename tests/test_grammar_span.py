"""Spans of the person's words."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.grammar import TextMatcher, assemble, choices, seq, word_spans
from edge_agent.grammar.ir import Lit, Ref
from edge_agent.grammar.span import has_words

#: (text, most words, taken, refused)
TABLE: list[tuple[str, int, list[str], list[str]]] = [
    (
        "Remind me to water the plants.",
        9,
        ["plants", "water the plants", "Remind", "Remind me to water the plants"],
        ["plants.", "ater the", "water plants", " water", "water ", "water the  plants", ""],
    ),
    (
        'Call "Ann Lee", please!',
        9,
        ["Ann Lee", 'Call "Ann', "Lee", 'Ann Lee", please'],
        ['"Ann Lee"', "Lee,", "please!"],
    ),
    ("add Bob's party at 5 p.m. to it", 9, ["Bob", "Bob's party", "5 p.m.", "5 p.m", "p.m. to"], ["Bob'", "5 p."]),
    ("one  two\nthree", 9, ["one  two", "two\nthree"], ["one two", "two three"]),
    (
        "f(x) (y) $5, #a @b ~/c.txt -3 50% C++",
        9,
        ["f(x)", "y", "$5", "#a @b", "~/c.txt", "-3", "50%", "C++"],
        ["f(x", "(y"],
    ),
    ("one two three four", 2, ["one", "one two", "three four"], ["one two three"]),
    ("one one one", 2, ["one one"], ["one one one"]),
    ("see – that", 9, ["see – that", "see", "–"], ["see –t"]),
    ("go ... now", 9, ["go ... now", "now"], ["...", "go ..."]),
    ("明日3時に会議", 9, ["会議", "明日", "明日3時"], ["議会"]),
    ('say \\ and "', 9, ["say \\ and", "\\"], ['and "']),
]


@pytest.mark.parametrize(("text", "most", "good", "bad"), TABLE)
def test_spans(text: str, most: int, good: list[str], bad: list[str]) -> None:
    matcher = TextMatcher(word_spans(text, max_words=most))
    assert [one for one in good if not matcher.accepts(json.dumps(one, ensure_ascii=False)[1:-1])] == []
    assert [one for one in bad if matcher.accepts(json.dumps(one, ensure_ascii=False)[1:-1])] == []


def test_texts_without_words() -> None:
    assert not has_words(" ... !? ")
    assert has_words(" ... a")


def test_size_is_linear() -> None:
    def size(words: int) -> int:
        return len(word_spans(" ".join(f"w{i}" for i in range(words)), max_words=words).rules)

    assert size(400) <= 2 * size(200) + 2 <= 4 * size(100) + 6


@settings(max_examples=80, deadline=None)
@given(st.lists(st.text("abé'.\"(1", min_size=1, max_size=5).filter(has_words), min_size=1, max_size=6), st.data())
def test_every_run_of_trimmed_words_is_taken(words: list[str], data: st.DataObject) -> None:
    text = " ".join(words)
    start = data.draw(st.integers(0, len(words) - 1))
    end = data.draw(st.integers(start, len(words) - 1))
    run = " ".join(words[start : end + 1]).lstrip("'\"(").rstrip("'\".")
    assert TextMatcher(word_spans(text, max_words=6)).accepts(json.dumps(run, ensure_ascii=False)[1:-1])


def test_choices_and_shared_names() -> None:
    first, second = word_spans("a b", max_words=2), word_spans("c d", max_words=2, name="Others")
    whole = assemble(seq(Ref("Words"), Lit("|"), Ref("Others"), Lit("|"), choices(["x", 'y"z'])), [first, second])
    matcher = TextMatcher(whole)
    assert matcher.accepts('a b|d|y\\"z')
    assert not matcher.accepts("c|d|x")
