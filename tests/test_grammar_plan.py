"""References in plans: what the grammar lets a model write, what is read as one, what is put in its place."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.errors import InputError
from edge_agent.grammar.ir import NOTHING, Grammar, Ref, assemble
from edge_agent.grammar.lint import check
from edge_agent.grammar.matcher import TextMatcher
from edge_agent.grammar.plan import MAX_FIELD_CHARS, MAX_STEPS, reference, references, resolve_references
from edge_agent.grammar.schema import compile_schema

REFERENCES = ["$1", "$12", "$2.field", "$1.items[0].id", "$1[3][120]", "$1._a-B9", "$1" + ".a" * MAX_STEPS]
PLAIN = ["", "$", "$0", "$01", "1", "$1.", "$1.50", "$1,000", "$1[01]", "$1[-1]", "$1[a]", "$1.a b", "to $1", "$1 ",
         "$$1", "$١", "$1.é", "$1\n", "$" + "1" * 30]  # fmt: skip


@pytest.fixture(scope="module")
def grammar() -> TextMatcher:
    return TextMatcher(Grammar({"root": reference(12)}))


@pytest.mark.parametrize("text", REFERENCES)
def test_references(grammar: TextMatcher, text: str) -> None:
    assert grammar.accepts(json.dumps(text))
    assert references({"a": text}) == [text]


@pytest.mark.parametrize("text", PLAIN)
def test_what_is_plain_text(grammar: TextMatcher, text: str) -> None:
    assert not grammar.accepts(json.dumps(text, ensure_ascii=False))
    assert references({"a": text}) == []
    assert resolve_references({"a": text}, ()) == {"a": text}


@pytest.mark.parametrize(
    "text", ["$13", "$1" + ".a" * (MAX_STEPS + 1), "$1." + "a" * (MAX_FIELD_CHARS + 1), "$1[1000]"]
)
def test_what_is_read_but_not_to_be_written(grammar: TextMatcher, text: str) -> None:
    assert not grammar.accepts(json.dumps(text))
    assert references({"a": text}) == [text]


def test_a_reference_passes_the_lint_and_there_is_none_to_no_call() -> None:
    assert check(Grammar({"root": reference(1)})) == ()
    assert reference(0) == NOTHING


RESULTS = ({"name": "Ann", "items": [{"id": 7, "tags": ["x"]}], "none": None}, "text", [1, 2])
ARGUMENTS = {
    "a": "$1.name", "b": ["$2", "$2 ", {"c": "$1.items[0].id", "$1": 3}], "d": "$3[1]", "e": "$1.none", "f": "$3",
    "g": 1.5,
}  # fmt: skip


def test_values_take_the_place_of_references() -> None:
    assert references(ARGUMENTS) == ["$1.name", "$2", "$1.items[0].id", "$3[1]", "$1.none", "$3"]
    before = json.dumps(ARGUMENTS)
    assert resolve_references(ARGUMENTS, RESULTS) == {
        "a": "Ann", "b": ["text", "$2 ", {"c": 7, "$1": 3}], "d": 2, "e": None, "f": [1, 2], "g": 1.5,
    }  # fmt: skip
    assert json.dumps(ARGUMENTS) == before


def test_what_a_result_says_is_not_itself_a_reference() -> None:
    assert resolve_references({"a": "$1"}, ("$2", "secret")) == {"a": "$2"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"to": "$4"}, "argument 'to': '$4' refers to call 4, but 3 come before this one"),
        ({"to": ["$1.name", "$1.mail"]}, "argument 'to[1]': '$1.mail' is not there: $1 has no field 'mail'"),
        ({"to": {"x": "$1.items[1]"}}, "argument 'to.x': '$1.items[1]' is not there: $1.items has no item 1"),
        ({"to": "$1.items[0].tags.x"}, "$1.items[0].tags has no field 'x'"),
        ({"to": "$2.x"}, "$2 has no field 'x'"),
        ({"to": "$2[0]"}, "$2 has no item 0"),
        ({"to": "$1[0]"}, "$1 has no item 0"),
        ({"to": "$1.none.x"}, "$1.none has no field 'x'"),
    ],
)
def test_references_to_what_is_not_there(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as caught:
        resolve_references(arguments, RESULTS)
    assert message in caught.value.message


def test_the_first_call_of_a_plan_can_refer_to_nothing() -> None:
    with pytest.raises(InputError, match="refers to call 1, but 0 come before"):
        resolve_references({"a": "$1"}, ())


def test_bottomless_arguments_are_an_error_of_the_input() -> None:
    deep: list[Any] = []
    for _ in range(5_000):
        deep = [deep]
    with pytest.raises(InputError, match="too deep"):
        references({"a": deep})


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.from_regex(r"[a-z_]{1,3}", fullmatch=True), inner),
    max_leaves=10,
)


@given(JSON, st.data())
def test_every_place_in_a_result_can_be_referred_to(result: Any, data: st.DataObject) -> None:
    value, path = result, "$1"
    while isinstance(value, dict | list) and value and data.draw(st.booleans()):
        key = data.draw(st.sampled_from(list(value) if isinstance(value, dict) else range(len(value))))
        value, path = value[key], path + (f".{key}" if isinstance(value, dict) else f"[{key}]")
    assert resolve_references({"a": [path]}, (result,)) == {"a": [value]}


def test_arguments_of_a_planned_call_are_values_or_references() -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer"}, "to": {"type": "string"}}, "required": ["n"]}
    first = compile_schema(schema, name="send", call=True)
    later = compile_schema(schema, name="send", call=True, instead=Ref("Earlier"))
    whole = assemble(Ref("send"), [later.grammar, Grammar({"Earlier": reference(2)}, "Earlier")])
    matcher = TextMatcher(whole)
    assert all(map(matcher.accepts, ['{"n":1}', '{"n":"$1"}', '{"n":"$2.items[0].id","to":"$1"}', '{"n":3,"to":"x"}']))
    assert not any(map(matcher.accepts, ['{"n":"$3"}', '{"n":"x"}', '{"to":"$1"}']))
    assert not first.accepts('{"n":"$1"}')
