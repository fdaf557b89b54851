from __future__ import annotations

import time

import pytest
from agent_fixture import TOOLS, jot, remind
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.retrieve import ToolIndex
from edge_agent.tools import Example, Tool, tool_from_schema

INDEX = ToolIndex({tool.name: tool for tool in TOOLS})


def plain(name: str, description: str, examples: tuple[Example, ...] = ()) -> Tool:
    made = tool_from_schema({"name": name, "description": description}, print)
    return Tool(made.name, made.description, made.schema, print, examples=examples)


@pytest.mark.parametrize(
    ("text", "best"),
    [
        ("please remind me of something", "remind"),
        ("paint my wall green", "paint"),
        ("letters were sent", "send"),  # stems: letter
        ("PAINTING", "paint"),
        ("i have to buy milk", "remind"),  # by its example
        ("rent to pay", "jot"),
        ("colour", "paint"),  # by its parameter
    ],
)
def test_words_find_their_tool(text: str, best: str) -> None:
    ranked = INDEX.rank(text, 4)
    assert ranked[0].name == best
    assert ranked[0].score > ranked[1].score


@pytest.mark.parametrize(
    "text", ["", "?!", "日本", "zzz", "the of a", "_", "OR AND NOT", 'a" OR "b', "NEAR(a, b)", "*", "col:x"]
)
def test_without_a_match_the_registrys_order_fills_up(text: str) -> None:
    assert [each.name for each in INDEX.rank(text, 3)] == ["remind", "jot", "send"]
    assert {each.score for each in INDEX.rank(text, 3)} == {0.0}


@given(st.text(max_size=200))
def test_no_text_breaks_the_search(text: str) -> None:
    ranked = INDEX.rank(text, 2)
    assert len({each.name for each in ranked}) == 2
    assert ranked[0].score >= ranked[1].score >= 0
    INDEX.shots(text, ["remind", "jot"], 3)


@pytest.mark.parametrize(("count", "kept"), [(1, 1), (4, 4), (9, 4)])
def test_count_bounds_the_tools(count: int, kept: int) -> None:
    assert len(INDEX.rank("remind me", count)) == kept


def test_no_tools() -> None:
    assert ToolIndex({}).rank("remind me", 5) == []


def test_shots_are_the_most_similar_examples_of_the_named_tools() -> None:
    milk, rent = remind.examples[0], jot.examples[0]
    shots = INDEX.shots("buy milk at noon", ["jot", "remind"], 5)
    assert [(shot.name, shot.example) for shot in shots] == [("remind", milk), ("jot", rent)]
    assert shots[0].score > shots[1].score == 0.0
    assert [shot.example for shot in INDEX.shots("buy milk at noon", ["jot"], 5)] == [rent]
    assert [shot.example for shot in INDEX.shots("buy milk at noon", ["jot", "remind"], 1)] == [milk]
    assert INDEX.shots("buy milk at noon", ["send"], 5) == []


def test_hidden_examples_neither_rank_nor_show() -> None:
    index = ToolIndex({tool.name: tool for tool in TOOLS})
    index.hide(remind.examples[0].text)
    assert index.shots("buy milk at 5 pm", ["remind"], 5) == []
    assert index.rank("buy milk pm", 1)[0].score == 0.0
    index.hide(jot.examples[0].text)  # and the earlier one is back
    assert index.shots("buy milk at 5 pm", ["remind", "jot"], 5)[0].example == remind.examples[0]
    assert [each.name for each in index.rank("buy milk or pay rent", 4) if each.score > 0] == ["remind"]
    index.hide()
    assert len(index.shots("buy milk at 5 pm", ["remind", "jot"], 5)) == 2


def test_a_hundred_tools_take_milliseconds() -> None:
    tools = [plain(f"tool_{i}", f"Do thing number {i} with words{i}.", (Example(f"do words{i}"),)) for i in range(100)]
    index = ToolIndex({tool.name: tool for tool in tools})
    began = time.perf_counter()
    for i in range(100):
        assert index.rank(f"do thing with words{i}", 5)[0].name == f"tool_{i}"
    assert time.perf_counter() - began < 5
