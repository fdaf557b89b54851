from __future__ import annotations

import json

import pytest
from agent_fixture import NOW, TOOLS, jot, paint, remind

from edge_agent import dialects, prompt
from edge_agent.dialects.base import Message
from edge_agent.grammar import TextMatcher
from edge_agent.retrieve import Shot
from edge_agent.tools import Example, Tool, tool_from_schema

SMOLLM2 = dialects.get("smollm2")
BY_NAME = {tool.name: tool for tool in TOOLS}


def sayable(said: str, *tools: Tool, max_calls: int = 2, askable: tuple[str, ...] = ()) -> prompt.Sayable:
    return prompt.sayable(SMOLLM2, {t.name: t for t in tools or TOOLS}, said, NOW, max_calls=max_calls, askable=askable)


WATER = "remind me to water the plants in 20 minutes"


@pytest.mark.parametrize(
    ("said", "answer", "legal"),
    [
        (WATER, 'remind {"text":"water the plants","when":"in 20 minutes"}', True),
        (WATER, 'remind {"text":"plants","when":"in 20 minutes"}', True),
        (WATER, 'remind {"text":"the roses","when":"in 20 minutes"}', False),
        (WATER, 'remind {"text":"water the plants","when":"20"}', False),
        (WATER, 'remind {"text":"water the plants","when":"tomorrow"}', False),
        (WATER, 'remind {"text":"water the plants in 20 minutes","when":"in 20 minutes"}', False),  # said twice
        (WATER, 'remind {"text":"ter the pla","when":"in 20 minutes"}', False),  # no whole words
        (WATER, 'jot {"text":"water the plants in 20 minutes"}', True),  # a note has no slot for a time
        (WATER, 'jot {"text":"milk"}', False),
        (WATER, 'paint {"colour":"red"}', True),
        (WATER, 'paint {"colour":"blue"}', False),
        (WATER, 'paint {"colour":"red","coats":2}', True),
        (WATER, "none", True),
        (WATER, "ask when", False),
        (WATER, "fly {}", False),
        ("jot down milk\nand eggs", 'jot {"text":"milk"}\njot {"text":"eggs"}', True),
        ("jot down milk\nand eggs", 'jot {"text":"milk"}\njot {"text":"eggs"}\njot {"text":"milk"}', False),
        ("jot down milk\nand eggs", r'jot {"text":"milk\nand"}', False),
        ('jot down "so it is"', r'jot {"text":"so it is"}', True),
        (r"jot down C:\temp now", r'jot {"text":"C:\\temp"}', True),
        ("remind me to eat at 5 pm or at 6 pm", 'remind {"text":"eat","when":"at 6 pm"}', True),
        ("remind me to eat at 5 pm or at 6 pm", 'remind {"text":"eat at 5 pm","when":"at 6 pm"}', True),
    ],
)
def test_what_may_be_said(said: str, answer: str, legal: bool) -> None:
    rules = sayable(said)
    assert TextMatcher(rules.grammar).accepts(answer) is legal
    assert rules.calls_only is not None
    assert TextMatcher(rules.calls_only).accepts(answer) is (legal and answer != "none")


def test_a_slot_without_a_legal_value_is_missing_and_left_out() -> None:
    rules = sayable("remind me to water the plants")
    assert rules.missing == {"remind": ("when",)}
    matcher = TextMatcher(rules.grammar)
    assert matcher.accepts('remind {"text":"water the plants"}')
    assert not matcher.accepts('remind {"text":"water the plants","when":"water"}')
    assert sayable("in 20 minutes", remind).missing == {"remind": ("text",)}


def test_asking_is_legal_where_the_model_was_trained_to() -> None:
    matcher = TextMatcher(sayable(WATER, askable=("when", "text")).grammar)
    assert matcher.accepts("ask when, text")
    assert not matcher.accepts("ask colour")


def test_without_tools_only_declining_is_left() -> None:
    rules = prompt.sayable(SMOLLM2, {}, WATER, NOW, max_calls=1)
    assert rules.calls_only is None
    assert TextMatcher(rules.grammar).accepts("none")


def test_what_the_grammar_does_not_hold_is_reported() -> None:
    parameters = {"type": "object", "properties": {"n": {"type": "integer", "multipleOf": 7}}, "required": ["n"]}
    pick = tool_from_schema({"name": "pick", "description": "Pick.", "parameters": parameters}, print)
    (note,) = sayable("pick", pick).relaxed
    assert "multipleOf" in note
    assert sayable(WATER).relaxed == ()


def build(shots: list[Shot], *turns: str, chat_shots: int = 0) -> str:
    said = [Message("user", turn) for turn in turns]
    return prompt.build(SMOLLM2, BY_NAME, shots, said, chat_shots=chat_shots).text


def test_stable_parts_come_first_and_the_nearest_example_last() -> None:
    shots = [Shot("remind", remind.examples[0], 2.0), Shot("jot", jot.examples[0], 1.0)]
    text = build(shots, "the request", chat_shots=1)
    order = ["Answer with one line", "remind(", "jot(", prompt.CHAT[0], "jot down pay rent", "buy milk", "the request"]
    places = [text.index(part) for part in order]
    assert places == sorted(places)
    assert text.endswith("<|im_start|>assistant\n")


def test_the_tools_part_is_the_same_for_every_request() -> None:
    first, second = build([], "one thing"), build([], "another")
    shared = first.index("one thing")
    assert first[:shared] == second[:shared]


@pytest.mark.parametrize("count", [0, 2, 4])
def test_examples_of_declining(count: int) -> None:
    assert build([], "hi", chat_shots=count).count("assistant\nnone") == count


def test_demonstrations_write_arguments_in_the_order_of_the_grammar() -> None:
    example = Example("remind me to buy milk at 5 pm", {"when": "at 5 pm", "text": "buy milk"})
    assert 'remind {"text":"buy milk","when":"at 5 pm"}' in build([Shot("remind", example, 1.0)], "hi")


def test_every_tools_example_of_this_file_can_be_said() -> None:
    for tool in (remind, jot, paint):
        for example in tool.examples:
            call = f"{tool.name} {json.dumps(dict(example.arguments), separators=(',', ':'))}"
            assert TextMatcher(sayable(example.text, tool).grammar).accepts(call)


def test_a_schema_that_allows_nothing_fails_no_other_tool() -> None:
    never = {"type": "object", "properties": {"n": {"type": "integer", "minimum": 3, "maximum": 2}}, "required": ["n"]}
    broken = tool_from_schema({"name": "broken", "description": "Never.", "parameters": never}, print)
    rules = prompt.sayable(SMOLLM2, {"broken": broken, **BY_NAME}, WATER, NOW, max_calls=1)
    (note,) = rules.relaxed
    assert note == "broken: no value can satisfy this schema: it cannot be called"
    assert not TextMatcher(rules.grammar).unfinished("broken")
    assert prompt.sayable(SMOLLM2, {"broken": broken}, WATER, NOW, max_calls=1).calls_only is None
