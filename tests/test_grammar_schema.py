"""Schemas as grammars: what they must take, must refuse, what may go on; limits; random schemas and instances."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge_agent.errors import SchemaError
from edge_agent.grammar import Lit, Ref, TextMatcher, alt, assemble, compile_schema, parse_gbnf, seq
from edge_agent.grammar.gbnf import plain
from edge_agent.grammar.strings import json_text

TIMER = {
    "type": "object",
    "properties": {
        "minutes": {"type": "integer", "minimum": 1, "maximum": 1440},
        "label": {"type": "string", "maxLength": 20},
        "sound": {"enum": ["bell", "none"]},
    },
    "required": ["minutes"],
}
OPTIONAL = {"type": "object", "properties": {"a": {"type": "boolean"}, "b": {}, "c": {"type": "integer"}}}
TREE = {
    "$defs": {"node": {"type": "object", "properties": {"v": {"type": "integer"}, "kids": {"$ref": "#/$defs/kids"}}}},
    "$ref": "#/$defs/node",
}
TREE["$defs"]["kids"] = {"type": "array", "items": {"$ref": "#/$defs/node"}}  # type: ignore[index]
CIRCLE = {
    "$defs": {
        "a": {"anyOf": [{"$ref": "#/$defs/b"}, {"const": "x"}]},
        "b": {"anyOf": [{"$ref": "#/$defs/a"}, {"type": "integer"}]},
    },
    "type": "object",
    "properties": {"p": {"$ref": "#/$defs/a"}, "q": {"$ref": "#/$defs/b"}},
    "required": ["p", "q"],
}
VEHICLE = {
    "oneOf": [
        {
            "type": "object",
            "properties": {"kind": {"const": "car"}, "doors": {"type": "integer"}},
            "required": ["kind"],
        },
        {"type": "object", "properties": {"kind": {"const": "bike"}}, "required": ["kind"]},
    ]
}

#: (schema, must be accepted, must be refused, valid so far but unfinished)
TABLE: list[tuple[Any, list[str], list[str], list[str]]] = [
    (
        TIMER,
        ['{"minutes":5}', '{"minutes":1440,"sound":"bell"}', '{"minutes":1,"label":"é\\"\\n","sound":"none"}'],
        ['{"minutes":0}', '{"minutes":1441}', '{"label":"x"}', '{"minutes":5,}', '{"minutes": 5}', "{}",
         '{"minutes":5,"other":1}', '{"minutes":5,"label":"' + "x" * 21 + '"}', '{"minutes":5.0}'],
        ["", '{"min', '{"minutes":144', '{"minutes":5,"label":"tea', '{"minutes":5,"'],
    ),
    (
        OPTIONAL,
        ["{}", '{"a":true}', '{"b":{"x":[1,null]}}', '{"a":false,"c":3}', '{"b":12,"c":3}', '{"c":0}'],
        ['{,"a":true}', '{"a":true,}', '{"c":1,"a":true}', '{"a":true"c":1}', '{"d":1}'],
        ["{", '{"b":[[', '{"b":1', '{"a":true,'],
    ),
    (True, ["1", '"a"', "null", "[1,{}]", "-1.5e3", '"\\ud83d\\ude00"', "[]"],
     ["01", '"\\ud800"', "[1,]", "{1:2}", "", '"\t"', "1" * 40], ["[", '{"a":', "-", "tru"]),
    (TREE, ["{}", '{"v":1}', '{"kids":[{"v":2,"kids":[]},{}]}'], ['{"kids":[1]}', '{"kids":{}}'], ['{"kids":[{"v"']),
    (CIRCLE, ['{"p":"x","q":"x"}', '{"p":1,"q":2}'], ['{"p":"y","q":1}', '{"p":"x"}'], ['{"p":']),
    (VEHICLE, ['{"kind":"car","doors":4}', '{"kind":"bike"}'], ['{"kind":"bike","doors":2}', '{"kind":"bus"}'],
     ["{"]),
    ({"type": ["string", "null"], "maxLength": 2}, ['"ab"', '""', "null", '"\\u00e9x"'], ['"abc"', "1"], ['"ab']),
    ({"type": "string", "nullable": True}, ['"a"', "null"], ["1"], []),
    ({"type": "string", "minLength": 2}, ['"ab"', '"\\n\\""'], ['"a"'], ['"a']),
    ({"enum": [1, "a", None, [1, 2], {"k": "é"}, 2.0]}, ["1", '"a"', "null", "[1,2]", '{"k":"é"}', "2", "2.0"],
     ["3", "[1, 2]"], []),
    ({"type": "string", "enum": [1, "a", "bcd"], "maxLength": 2}, ['"a"'], ["1", '"bcd"'], []),
    ({"enum": ["\x7f\u2028", "\x00"]}, ['"\x7f\u2028"', '"\\u0000"'], ['"\x00"'], []),
    ({"const": False}, ["false"], ["true", "0"], ["f"]),
    ({"type": "array", "items": {"type": "integer"}, "minItems": 1, "maxItems": 3}, ["[1]", "[1,2,3]"],
     ["[]", "[1,2,3,4]", "[1,]"], ["[1,2"]),
    ({"type": "array", "maxItems": 0}, ["[]"], ["[1]"], []),
    ({"type": "array", "prefixItems": [{"type": "integer"}, {"type": "string"}], "items": False},
     ["[]", "[1]", '[1,"a"]'], ['["a"]', '[1,"a",2]'], ["[1,"]),
    ({"type": "array", "prefixItems": [{"type": "integer"}], "items": {"type": "null"}, "minItems": 2, "maxItems": 3},
     ["[1,null]", "[1,null,null]"], ["[1]", "[null,1]", "[1,null,null,null]"], ["[1"]),
    ({"$schema": "http://json-schema.org/draft-07/schema#", "type": "array", "items": [{"type": "null"}],
      "additionalItems": {"type": "integer"}}, ["[]", "[null,1,2]"], ["[1]"], []),
    ({"type": "object", "additionalProperties": {"type": "integer"}}, ["{}", '{"a":1,"b":2}'], ['{"a":"x"}'], ['{"a']),
    ({"type": "object", "properties": {"ab": {"type": "null"}}, "additionalProperties": {"type": "integer"}},
     ['{"ab":null}', '{"ab":null,"a":1}', '{"abc":1,"b":2}', '{"":1}'], ['{"ab":1}', '{"\\u0061b":1}', '{"a":null}'],
     ['{"ab']),
    ({"type": "object", "patternProperties": {"^x_": {"type": "integer"}}, "additionalProperties": False},
     ['{"x_a":1}', "{}"], ['{"y":1}', '{"x_a":"s"}'], []),
    ({"type": "object", "properties": {"a": {}}, "minProperties": 1}, ['{"a":1}'], ["{}"], ["{"]),
    ({"type": "object", "properties": {"a": False, "b": {}}}, ['{"b":1}', "{}"], ['{"a":1}'], []),
    ({"type": "object", "required": ["z"]}, ['{"z":1}', '{"z":1,"y":2}'], ["{}"], []),
    ({"type": "object", "properties": {}}, ["{}"], ['{"a":1}'], []),
    ({"allOf": [{"type": "object", "properties": {"a": {"type": "integer", "minimum": 3}}, "required": ["a"]},
                {"properties": {"a": {"maximum": 4}, "b": {"type": "null"}}}]},
     ['{"a":3}', '{"a":4,"b":null}'], ['{"a":2}', '{"a":5}', "{}"], []),
    ({"allOf": [{"type": ["integer", "string"]}, {"type": "number"}], "maximum": 5, "minimum": 4}, ["4", "5"],
     ["6", '"a"', "4.5"], []),
    ({"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}},
      "anyOf": [{"required": ["a"]}, {"required": ["b"]}]}, ['{"a":1}', '{"b":1}', '{"a":1,"b":2}'], ["{}"], []),
    ({"type": "object", "properties": {"a": {"$ref": "#/properties/b", "maxLength": 1}, "b": {"type": "string"}}},
     ['{"a":"x","b":"xyz"}'], ['{"a":"xy"}'], []),
    ({"properties": {"n": {"minimum": 2, "multipleOf": 5, "maximum": 20, "type": "integer"}}},
     ['{"n":5}', '{"n":20}'], ['{"n":6}', '{"n":0}', '{"n":25}', "1"], []),
    ({"type": "string", "format": "date"}, ['"2024-02-29"', '"1999-12-31"'], ['"2024-13-01"', '"2024-04-31"'], ['"20']),
    ({"type": "string", "format": "time"}, ['"09:30:00Z"', '"23:59:60.5+02:00"'], ['"24:00:00Z"', '"09:30"'], []),
    ({"type": "string", "format": "date-time"}, ['"2024-02-29T09:30:00Z"'], ['"2024-02-29 09:30"'], []),
    ({"type": "string", "format": "duration"}, ['"P3D"', '"PT1H30M"', '"P1Y2M3DT4H"', '"P2W"'],
     ['"P"', '"PT"', '"P1S"'], []),
    ({"type": "string", "format": "email"}, ['"a.b+c@ex-a.org"', '"x@y"'], ['"a@"', '"@b"', '"a..b@c"'], ['"a@b.']),
    ({"type": "string", "format": "uri"}, ['"https://a.org/b?c=d#e"', '"mailto:a@b.c"', '"urn:x:1"'], ['"a b"', '"/x"'],
     ['"https:']),
    ({"type": "string", "format": "uuid"}, ['"123e4567-e89b-12d3-a456-426614174000"'], ['"123e4567"'], []),
    ({"type": "string", "format": "x-edge-path"}, ['"/etc/hosts"', '"C:\\\\a\\\\b"', '"a b/c.txt"', '"~/x"'],
     ['""', '"/a//b"'], []),
    ({"type": "string", "pattern": "^[a-z]{2,3}-\\d+$"}, ['"ab-1"', '"abc-99"'], ['"a-1"', '"ab-"', '"wxab-1"'],
     ['"ab']),
    ({"type": "string", "pattern": "^a+$", "maxLength": 3}, ['"aaa"', '"a"'], ['"aaaa"', '"b"', '""'], ['"a']),
    ({"type": "string", "format": "hostname", "pattern": "^[a-z]"}, ['"a.b-c"'], ['"x y"', '"1.a"'], []),
    ({"type": "object", "properties": {"a": {"not": {"type": "string"}}}}, ['{"a":1}', "{}"], ['{"a":"s"}'], []),
    ({"type": "number", "multipleOf": 0.1}, ["1", "0.5", "-12.30", "0"], ["1.05", "0.55"], ["1."]),
    ({"type": "number", "multipleOf": 2.5}, ["2.5", "5", "-7.5", "0", "1002.50"], ["1.5", "2", "4.5"], []),
    ({"type": "integer", "multipleOf": 50, "minimum": 100}, ["100", "1000150"], ["50", "120", "100.0"], []),
    ({"oneOf": [{"type": "integer"}, {"minimum": 3, "type": "number"}]}, ["2", "4.5", "-1"], ["4", "2.5"], []),
    ({"allOf": [{"pattern": "^a"}, {"pattern": "b$"}], "type": "string"}, ['"ab"', '"axb"'], ['"ax"', '"b"'], ['"a']),
    ({"type": "string", "not": {"pattern": "^a|z$"}}, ['"b"', '""', '"za"'], ['"a"', '"bz"'], ['"b']),
    ({"type": "string", "pattern": "[\"\\\\]"}, ['"a\\"b"', '"\\\\"'], ['"ab"'], []),
]  # fmt: skip


@pytest.mark.parametrize(("schema", "good", "bad", "partial"), TABLE, ids=lambda value: json.dumps(value)[:50])
def test_language(schema: Any, good: list[str], bad: list[str], partial: list[str]) -> None:
    matcher = TextMatcher(compile_schema(schema, call=True).grammar)
    assert [text for text in good if not matcher.accepts(text)] == []
    assert [text for text in bad if matcher.accepts(text)] == []
    assert [text for text in partial if not matcher.unfinished(text) or matcher.accepts(text)] == []


@pytest.mark.parametrize("schema", [row[0] for row in TABLE])
def test_gbnf_reads_back_as_the_same_rules(schema: Any) -> None:
    compiled = compile_schema(schema, name="some_tool", call=True)
    again = dict(parse_gbnf(compiled.gbnf).rules)
    again.pop("root")
    assert again == dict(plain(compiled.grammar).rules)


RELAXED: list[tuple[Any, str, str, list[str]]] = [
    ({"type": "string", "maxLength": 1900}, "value", "maxLength", ['"' + "x" * 2500 + '"']),
    ({"type": "string", "minLength": 50_000}, "value", "minLength", ['"' + "x" * 1200 + '"']),
    ({"type": "array", "items": {"type": "null"}, "minItems": 50_000}, "value", "minItems",
     ["[" + ",".join(["null"] * 1200) + "]"]),
    ({"type": "array", "items": {}, "uniqueItems": True}, "value", "uniqueItems", ["[1,1]"]),
    ({"type": "string", "pattern": "(?<=a)b"}, "value", "pattern", ['"anything"']),
    ({"type": "string", "format": "regex"}, "value", "format", ['"("']),
    ({"type": "number", "multipleOf": 7}, "value", "multipleOf", ["8"]),
    ({"type": "object", "properties": {"a": {"not": {"uniqueItems": True}}}}, "value.a", "not", ['{"a":[1]}']),
    ({"oneOf": [{"type": "array", "uniqueItems": True}, {"type": "array", "minItems": 1}]}, "value", "oneOf", ["[1]"]),
    ({"type": "array", "items": {"$ref": "https://elsewhere.example/x"}}, "value[]", "$ref", ["[1]"]),
]  # fmt: skip


@pytest.mark.parametrize(("schema", "path", "keyword", "taken"), RELAXED, ids=lambda value: str(value)[:40])
def test_relaxed_and_reported(schema: Any, path: str, keyword: str, taken: list[str]) -> None:
    compiled = compile_schema(schema, call=True)
    assert (path, keyword) in [(item.path, item.keyword) for item in compiled.report]
    assert all(map(TextMatcher(compiled.grammar).accepts, taken))


def test_nothing_is_reported_for_what_is_held() -> None:
    for schema in (TIMER, OPTIONAL, TREE, VEHICLE):
        assert compile_schema(schema, call=True).report == ()


NONSENSE: list[tuple[Any, str]] = [
    ({"type": "strin"}, "t"),
    ({"type": "object", "properties": {"a": {"type": "object", "properties": {"b": {"type": 3}}}}}, "t.a.b"),
    ({"type": "object", "properties": []}, "t"),
    ({"type": "object", "required": True}, "t"),
    ({"type": "array", "items": 3}, "t[]"),
    ({"type": "string", "minLength": -1}, "t"),
    ({"type": "string", "maxLength": "x"}, "t"),
    ({"type": "string", "minLength": 3, "maxLength": 2}, "t"),
    ({"type": "integer", "minimum": "x"}, "t"),
    ({"type": "number", "multipleOf": 0}, "t"),
    ({"enum": 3}, "t"),
    ({"enum": []}, "t"),
    ({"anyOf": []}, "t"),
    ({"allOf": {}}, "t"),
    ({"$ref": "#/nowhere"}, "t"),
    ({"$ref": "#"}, "t"),
    ({"type": "object", "properties": {"me": {"$ref": "#"}}, "required": ["me"]}, "t"),
    ({"type": "integer", "minimum": 3, "maximum": 2}, "t"),
    (False, "t"),
    ("text", "t"),
]


@pytest.mark.parametrize(("schema", "path"), NONSENSE, ids=lambda value: repr(value)[:40])
def test_nonsense_is_an_error_that_names_the_place(schema: Any, path: str) -> None:
    with pytest.raises(SchemaError, match=r"^" + path.replace("[", r"\[") + r"\b|^" + path.replace("[", r"\[") + ":"):
        compile_schema(schema, name="t", call=True)


@pytest.mark.parametrize("depth", [100, 5000])
@pytest.mark.parametrize("keyword", ["properties", "allOf", "anyOf", "items"])
def test_too_deep_is_an_error(depth: int, keyword: str) -> None:
    schema: Any = {"type": "integer"}
    for _ in range(depth):
        inner: Any = {"next": schema} if keyword == "properties" else schema
        schema = {keyword: [inner] if keyword in ("allOf", "anyOf") else inner}
    if depth > 100 or keyword in ("properties", "items"):
        with pytest.raises(SchemaError, match=r"^t\b.*deep"):
            compile_schema(schema, name="t", call=True)
    else:
        assert compile_schema(schema, name="t", call=True).accepts("1")


JUNK: list[Any] = [
    None, True, 0, -1, 3.5, 1e400, 10**30, "", "x", "#", [], [[]], {}, {"a": 1}, ["string", 3], "^(", 50_000, [{}],
    {"$ref": "#"},
]  # fmt: skip
KEYWORDS = [
    "type", "properties", "required", "items", "anyOf", "oneOf", "allOf", "enum", "const", "minLength", "maxItems",
    "pattern", "format", "$ref", "x-edge-copy", "additionalProperties", "patternProperties", "minimum",
    "exclusiveMaximum", "multipleOf", "prefixItems", "nullable", "minProperties", "$schema", "$id",
]  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from([row[0] for row in TABLE if isinstance(row[0], dict)]),
    st.dictionaries(st.sampled_from(KEYWORDS), st.sampled_from(JUNK), min_size=1, max_size=3),
    st.booleans(),
)
def test_spoiled_schemas_compile_or_name_the_fault(schema: Any, junk: dict[str, Any], deeper: bool) -> None:
    spoiled = {**schema, **({"properties": {"p": {**schema, **junk}}} if deeper else junk)}
    message = "t"
    try:
        TextMatcher(compile_schema(spoiled, name="t", call=True).grammar)
    except SchemaError as error:
        message = error.message
    assert message.startswith("t")


def test_open_objects_follow_the_standard() -> None:
    schema = {"properties": {"a": {"type": "integer"}}}
    assert compile_schema(schema).accepts('{"a":1,"z":[]}')
    assert compile_schema(schema).accepts('"no object at all"')
    assert not compile_schema(schema).accepts('{"a":"x"}')
    assert not compile_schema(schema, call=True).accepts('{"a":1,"z":[]}')


def test_validate_names_places_and_bad_schemas() -> None:
    compiled = compile_schema(TIMER, call=True)
    assert compiled.validate({"minutes": 5}) == []
    assert compiled.validate({"minutes": "x"}) == ["minutes: 'x' is not of type 'integer'"]
    with pytest.raises(SchemaError):
        compile_schema({"type": "string", "title": 3}, call=True).validate("x")


REMIND = {
    "type": "object",
    "properties": {
        "text": {"type": "string", "x-edge-copy": True},
        "when": {"type": "string", "x-edge-copy": "when", "maxLength": 40},
        "place": {"type": "string", "x-edge-copy": "place"},
        "tags": {"type": "array", "items": {"type": "string", "x-edge-copy": "tag"}},
    },
    "required": ["text", "when"],
}


def test_copied_values_come_from_the_words_given() -> None:
    words = alt(Lit("buy milk"), Lit("milk"))
    compiled = compile_schema(
        REMIND, copies={"text": words, "when": Lit("at 5"), "tags[]": Lit("t"), "place": None}, call=True
    )
    matcher = TextMatcher(compiled.grammar)
    assert matcher.accepts('{"text":"milk","when":"at 5","tags":["t","t"]}')
    assert not matcher.accepts('{"text":"bread","when":"at 5"}')
    assert not matcher.unfinished('{"text":"milk","when":"at 5","place"')
    assert compiled.impossible == ()
    assert [(item.path, item.keyword) for item in compiled.report] == [("value.when", "maxLength")]


def test_copied_values_without_words() -> None:
    compiled = compile_schema(REMIND, copies={"when": None, "tag": None}, call=True)
    assert compiled.impossible == ("when",)
    assert compiled.accepts('{"text":"free","tags":[]}')
    assert not compiled.accepts('{"text":"free","when":"x"}')
    nested = {"type": "object", "properties": {"inner": REMIND, "n": {"type": "integer"}}}
    assert compile_schema(nested, copies={"when": None}, call=True).impossible == ()
    assert not TextMatcher(compile_schema(nested, copies={"when": None}, call=True).grammar).unfinished('{"inner"')
    assert compile_schema({**nested, "required": ["inner"]}, copies={"when": None}, call=True).impossible == (
        "inner.when",
    )
    assert compile_schema({"type": "string", "x-edge-copy": "when"}, copies={"when": None}, call=True).impossible == (
        "value",
    )
    assert compile_schema(REMIND, call=True).accepts('{"text":"anything","when":"at all"}')


def test_fragments_of_tools_are_assembled_without_compiling_again() -> None:
    copies = {"text": Ref("Words"), "when": Ref("Words")}
    tools = [
        compile_schema(REMIND, name=name, copies=copies, call=True) for name in ("remind_me", "remind-me", "a", "a_b")
    ]
    words = parse_gbnf('root ::= "x" | "y"').rules["root"]
    names = [tool.grammar.root for tool in tools]
    assert len(set(names)) == 4
    from edge_agent.grammar import Grammar

    whole = assemble(
        seq(Lit("call "), alt(*(seq(Lit(f"{i}"), Ref(name)) for i, name in enumerate(names)))),
        [*(tool.grammar for tool in tools), Grammar({"Words": words}, "Words")],
    )
    matcher = TextMatcher(whole)
    assert all(matcher.accepts(f'call {i}{{"text":"x","when":"y"}}') for i in range(4))
    assert not matcher.accepts('call 1{"text":"z","when":"y"}')


def test_many_optional_properties_stay_linear() -> None:
    sizes = []
    for count in (20, 40, 80):
        schema = {"type": "object", "properties": {f"p{i}": {"type": "integer"} for i in range(count)}}
        sizes.append(len(compile_schema(schema, call=True).gbnf))
    assert sizes[2] < 2.5 * sizes[1] < 6.5 * sizes[0]


_texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)


@st.composite
def _schemas(draw: st.DrawFn, depth: int = 2) -> tuple[Any, st.SearchStrategy[Any]]:
    """A schema together with the values it allows."""
    kind = draw(
        st.sampled_from(["integer", "string", "boolean", "null", "enum"] + ["object", "array", "anyOf"] * (depth > 0))
    )
    match kind:
        case "integer":
            low = draw(st.none() | st.integers(-2000, 2000))
            high = draw(st.none() | st.integers(0 if low is None else low, 3000))
            bounds = {"minimum": low, "maximum": high}
            limits = st.integers(-(10**9) if low is None else low, 10**9 if high is None else high)
            return {"type": kind, **{key: value for key, value in bounds.items() if value is not None}}, limits
        case "string":
            low, high = draw(st.integers(0, 3)), draw(st.integers(3, 9))
            text = st.text(st.characters(exclude_categories=["Cs"]), min_size=low, max_size=high)
            return {"type": kind, "minLength": low, "maxLength": high}, text
        case "boolean":
            return {"type": kind}, st.booleans()
        case "null":
            return {"type": kind}, st.none()
        case "enum":
            values = draw(st.lists(_texts | st.integers() | st.none(), min_size=1, max_size=4))
            return {"enum": values}, st.sampled_from(values)
        case "array":
            inner, values = draw(_schemas(depth - 1))
            low, high = draw(st.integers(0, 2)), draw(st.integers(2, 4))
            schema = {"type": kind, "items": inner, "minItems": low, "maxItems": high}
            return schema, st.lists(values, min_size=low, max_size=high)
        case "anyOf":
            options = [draw(_schemas(depth - 1)) for _ in range(2)]
            return {"anyOf": [schema for schema, _ in options]}, st.one_of(*(values for _, values in options))
    names = draw(st.lists(_texts, unique=True, max_size=4))
    parts = {name: draw(_schemas(depth - 1)) for name in names}
    required = [name for name in names if draw(st.booleans())]
    schema = {"type": "object", "properties": {name: part[0] for name, part in parts.items()}, "required": required}
    whole = st.fixed_dictionaries(
        {name: parts[name][1] for name in required},
        optional={name: parts[name][1] for name in names if name not in required},
    )
    return schema, whole.map(lambda value: {name: value[name] for name in names if name in value})


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(data=st.data())
def test_random_schema_takes_its_instances(data: st.DataObject) -> None:
    schema, values = data.draw(_schemas())
    compiled = compile_schema(schema, call=True)
    matcher = TextMatcher(compiled.grammar)
    for _ in range(3):
        value = data.draw(values)
        text = json_text(value)
        assert matcher.accepts(text), text
        assert not any(matcher.accepts(other) for other in [text + "}", text[:-1]] if _json(other) is None)


def _json(text: str) -> tuple[Any] | None:
    try:
        return (json.loads(text),)
    except ValueError:
        return None


def test_numbers_from_zero_as_programs_write_them() -> None:
    number = TextMatcher(compile_schema({"type": "number", "minimum": 0}).grammar)
    good = ["0", "-0", "-0.0", "0.1", "5", "12.50", "1e-07", "1e+16", "3E2"]
    assert [text for text in good if not number.accepts(text)] == []
    assert [text for text in ("-0.1", "-1", "-0.01", "-0e5.", "01", "-1e-07") if number.accepts(text)] == []
    whole = TextMatcher(compile_schema({"type": "integer", "minimum": 0}).grammar)
    assert all(map(whole.accepts, ["0", "-0", "-0.0", "7", "7.0", "1e+16"]))
    assert not any(map(whole.accepts, ["-1", "0.5", "-0.5", "1e-07"]))
