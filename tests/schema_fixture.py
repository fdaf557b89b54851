"""Random JSON Schemas, values near their edges in every spelling, and a judge that owes nothing to the compiler."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Iterator
from functools import cache, reduce
from graphlib import CycleError, TopologicalSorter
from random import Random
from typing import Any

from hypothesis import strategies as st
from jsonschema import Draft202012Validator, FormatChecker

from edge_agent.grammar import Grammar, TokenMatcher
from edge_agent.grammar.matcher import byte_tokenizer

NAMES = ("a", "b", "ab", "x_1", "é", "")
NAME_PATTERNS = ("^a", "b$", "^x_[0-9]", "^[^a]*$")
#: Where Python and ECMA-262 agree, and texts that match.
PATTERNS = {
    "^a+$": ("a", "aaa"),
    "b": ("b", "ab", "xbé"),
    "^[a-c]{1,2}$": ("a", "cb"),
    "[0-9]{2,}": ("12", "x123"),
    "^(?!a)": ("b", "", "é"),
    "^$": ("",),
    "^a|b$": ("ax", "xb"),
    "^[^a]{2}": ("bb", "é\\x"),
    "^(ab|c)*\\.$": (".", "abc."),
    '["\\\\]': ('"', "x\\"),
}
FORMATS = {
    "date": ("2024-02-29", "1999-12-31", "2023-02-29", "2024-2-1"),
    "ipv4": ("127.0.0.1", "255.255.255.255", "256.1.1.1", "1.2.3"),
    "uuid": ("123e4567-e89b-12d3-a456-426614174000", "123e4567e89b12d3a456426614174000"),
}
TEXTS = ("", "a", "b", "ab", "aab", "é", '"', "\\", "a\nb", "😀", "\u2028", "\x7f", "12", "a1", "A", " ", "abcabc", "/")
NUMBERS = (0, 1, -1, 2, 3, 5, 10, 7, 12, 100, -7, 0.5, -0.5, 1.5, 2.25, 2.0, 1e-7, 1e16, 99, 1234567)
KINDS = ("null", "boolean", "object", "array", "string", "number", "integer")
DEFINITIONS = ("d0", "d1")

# -- schemas ---------------------------------------------------------------------------------------------

_scalars = st.none() | st.booleans() | st.sampled_from(NUMBERS) | st.sampled_from(TEXTS)
_values = st.recursive(
    _scalars,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=2),
    max_leaves=4,
)
_names = st.lists(st.sampled_from(NAMES), unique=True, max_size=3)
_few = st.integers(0, 3)
_bounds = st.integers(-12, 12) | st.sampled_from((-100, 99, 1000, 0.5, -0.25, 1.5, 9.75, -3.125))


_NAMES = ({"maxLength": 1}, {"pattern": "^a"}, {"enum": ["a", "é"]}, {"not": {"const": "b"}}, False)
_LEAVES = ({}, {"type": "integer"}, {"type": "string"}, {"const": 1})
_FORMS = (*["typed"] * 5, *["untyped", "logic"] * 2, "listed", "enum", "const", "bool")


def _keywords(kind: str, inner: st.SearchStrategy[Any]) -> dict[str, st.SearchStrategy[Any]]:
    """What may stand beside a type, and its values."""
    named = st.dictionaries(st.sampled_from(NAMES), inner, max_size=3)
    match kind:
        case "object":
            return {
                "properties": named,
                "required": _names,
                "additionalProperties": st.booleans() | inner,
                "patternProperties": st.dictionaries(st.sampled_from(NAME_PATTERNS), inner, min_size=1, max_size=2),
                "propertyNames": st.sampled_from(_NAMES),
                "minProperties": _few,
                "maxProperties": _few,
                "dependentRequired": st.dictionaries(st.sampled_from(NAMES), _names, min_size=1, max_size=2),
                "dependentSchemas": st.dictionaries(st.sampled_from(NAMES), inner, min_size=1, max_size=1),
                "unevaluatedProperties": st.booleans() | inner,
            }  # fmt: skip
        case "array":
            return {
                "items": st.booleans() | inner,
                "prefixItems": st.lists(inner, min_size=1, max_size=3),
                "contains": inner,
                "minContains": st.integers(0, 2),
                "maxContains": st.integers(0, 2),
                "minItems": _few,
                "maxItems": _few,
                "uniqueItems": st.booleans(),
                "unevaluatedItems": st.booleans() | inner,
            }
        case "string":
            return {
                "minLength": _few,
                "maxLength": _few,
                "pattern": st.sampled_from([*PATTERNS]),
                "format": st.sampled_from([*FORMATS]),
            }
        case "number" | "integer":
            steps = st.sampled_from((1, 2, 3, 5, 10, 0.5, 0.25, 2.5))
            return {
                "minimum": _bounds,
                "maximum": _bounds,
                "exclusiveMinimum": _bounds,
                "exclusiveMaximum": _bounds,
                "multipleOf": steps,
            }
    return {}


def _logic(inner: st.SearchStrategy[Any]) -> dict[str, st.SearchStrategy[Any]]:
    several = st.lists(inner, min_size=1, max_size=3)
    ref = st.sampled_from(("#", *(f"#/$defs/{name}" for name in DEFINITIONS)))
    return {"allOf": several, "anyOf": several, "oneOf": several, "not": inner, "if": inner, "$ref": ref}


_LOGIC = _logic(st.nothing()).keys()


@st.composite
def _schema(draw: st.DrawFn, depth: int) -> Any:
    inner = _schema(depth - 1) if depth > 0 else st.sampled_from(_LEAVES)
    form = draw(st.sampled_from(_FORMS))
    if form == "bool":
        return draw(st.booleans())
    schema: dict[str, Any] = {}
    kinds: list[str] = []
    match form:
        case "typed":
            kinds = [schema.setdefault("type", draw(st.sampled_from((*KINDS, "object", "array", "string"))))]
        case "untyped":
            kinds = [draw(st.sampled_from(("object", "array", "string", "number")))]
        case "listed":
            kinds = schema["type"] = draw(st.lists(st.sampled_from(KINDS), min_size=1, max_size=3, unique=True))
        case "enum":
            schema["enum"] = draw(st.lists(_values, min_size=1, max_size=4))
        case "const":
            schema["const"] = draw(_values)
    for kind in kinds:
        known = _keywords(kind, inner)
        for keyword in draw(st.lists(st.sampled_from([*known]), unique=True, max_size=4)) if known else ():
            schema[keyword] = draw(known[keyword])
    if depth > 0:
        logic = _logic(inner)
        least = 1 if form == "logic" else 0
        most = least + (draw(st.integers(0, 3)) == 0)
        for keyword in draw(st.lists(st.sampled_from([*logic]), unique=True, min_size=least, max_size=most)):
            schema[keyword] = draw(logic[keyword])
        if "if" in schema:
            schema |= {keyword: draw(inner) for keyword in ("then", "else") if draw(st.booleans())}
    if form == "typed" and not _LOGIC & schema.keys() and draw(st.integers(0, 9)) == 0:
        schema["nullable"] = True  # beside anything else than a type, nobody says what it means
    return schema


@st.composite
def schemas(draw: st.DrawFn, depth: int = 2) -> Any:
    """Any schema of draft 2020-12 whose keywords are used as they must be."""
    schema = draw(_schema(depth))
    if "$ref" in json.dumps(schema):
        schema = {**schema, "$defs": {name: draw(_schema(depth - 1)) for name in DEFINITIONS}}
    return schema


@st.composite
def tools(draw: st.DrawFn, depth: int = 2) -> Any:
    """A schema as authors of tools write it: types are named, objects say what they have."""
    kind = draw(st.sampled_from(KINDS[1:] + ("enum",) + ("object", "array", "anyOf") * (depth > 0)))
    inner = tools(depth - 1) if depth > 0 else st.just({"type": "integer"})
    match kind:
        case "enum":
            return {"enum": draw(st.lists(_values, min_size=1, max_size=4))}
        case "anyOf":
            return {draw(st.sampled_from(("anyOf", "oneOf"))): draw(st.lists(inner, min_size=1, max_size=3))}
        case "object":
            properties = draw(st.dictionaries(st.sampled_from(NAMES), inner, max_size=4))
            required = draw(st.lists(st.sampled_from([*properties]), unique=True)) if properties else []
            return {"type": kind, "properties": properties, "required": required}
        case "array":
            chosen = ["items", *draw(st.lists(st.sampled_from(("minItems", "maxItems", "prefixItems")), unique=True))]
        case _:
            known = _keywords(kind, inner)
            chosen = draw(st.lists(st.sampled_from([*known]), unique=True, max_size=3)) if known else []
    known = _keywords(kind, inner)
    nullable = {"nullable": True} if draw(st.integers(0, 6)) == 0 else {}
    return {"type": kind, **{keyword: draw(known[keyword]) for keyword in chosen}, **nullable}


# -- the judge -------------------------------------------------------------------------------------------


def standard(schema: Any) -> Any:
    """`schema` as `jsonschema` reads it rightly: no `nullable`, patterns that end at the end."""
    if isinstance(schema, list):
        return [standard(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    plain = {key: standard(value) for key, value in schema.items() if key != "nullable"}
    if schema.get("nullable") is True and "type" in plain:
        plain["type"] = [plain["type"], "null"]
    if isinstance(plain.get("pattern"), str):
        plain["pattern"] = _ended(plain["pattern"])
    if isinstance(plain.get("patternProperties"), dict):
        plain["patternProperties"] = {_ended(key): value for key, value in plain["patternProperties"].items()}
    return plain


def _ended(pattern: str) -> str:
    return pattern.replace("$", "\\Z")


class Judge:
    """Says whether a value is valid; None where the schema refers to itself without going into the value."""

    def __init__(self, schema: Any) -> None:
        self._circular = _circular(schema)
        self._validator = Draft202012Validator(standard(schema), format_checker=_formats())

    def __call__(self, value: Any) -> bool | None:
        return None if self._circular else bool(self._validator.is_valid(value))


@cache
def _formats() -> FormatChecker:
    checker = FormatChecker(formats=["date", "ipv4"])
    uuid = re.compile("-".join(f"[0-9a-fA-F]{{{size}}}" for size in (8, 4, 4, 4, 12)))  # UUID() takes blanks too
    checker.checks("uuid")(lambda value: not isinstance(value, str) or bool(uuid.fullmatch(value)))
    return checker


def _circular(schema: Any) -> bool:
    if not isinstance(schema, dict):
        return False
    targets = {"#": schema} | {f"#/$defs/{name}": sub for name, sub in schema.get("$defs", {}).items()}
    try:
        TopologicalSorter({name: [*_beside(sub)] for name, sub in targets.items()}).prepare()
    except CycleError:
        return True
    return False


def _beside(schema: Any) -> Iterator[str]:
    """What `schema` refers to for the value itself, not for a part of it."""
    if isinstance(schema, list):
        for item in schema:
            yield from _beside(item)
    if isinstance(schema, dict):
        if "$ref" in schema:
            yield schema["$ref"]
        for keyword in _LOGIC | {"then", "else"}:
            yield from _beside(schema.get(keyword))
        yield from _beside([*schema.get("dependentSchemas", {}).values()])


# -- values ----------------------------------------------------------------------------------------------


def values(schema: Any, random: Random, count: int) -> Iterator[Any]:
    """Values that `schema` allows, or nearly."""
    for _ in range(count):
        value = _near(schema, schema, random, 5)
        yield value
        yield _mutated(value, random)


def _near(schema: Any, root: Any, random: Random, depth: int) -> Any:
    if not isinstance(schema, dict) or depth <= 0 or random.random() < 0.03:
        return _anything(random, min(depth, 2))
    schema = _chosen(schema, root, random, depth)
    if "const" in schema:
        return schema["const"]
    if schema.get("enum"):
        return random.choice(schema["enum"])
    kinds = schema.get("type", [])
    kinds = [kinds] if isinstance(kinds, str) else [*kinds]
    if not kinds:
        about = [kind for kind in KINDS[2:6] if _keywords(kind, st.nothing()).keys() & schema.keys()]
        kinds = [*about * 4, random.choice(KINDS)]
    if schema.get("nullable") and random.random() < 0.3:
        return None
    match random.choice(kinds):
        case "null":
            return None
        case "boolean":
            return random.random() < 0.5
        case "object":
            return _object(schema, root, random, depth)
        case "array":
            return _array(schema, root, random, depth)
        case "string":
            return _string(schema, random)
        case kind:
            return _number(schema, random, kind == "integer")


def _chosen(schema: dict[str, Any], root: Any, random: Random, depth: int) -> dict[str, Any]:
    """One way to read the logic in `schema`, as far as putting keywords together goes."""
    parts: list[Any] = [*schema.get("allOf", [])]
    for keyword in ("anyOf", "oneOf"):
        if schema.get(keyword):
            parts.append(random.choice(schema[keyword]))
    if "if" in schema:
        parts += [schema["if"], schema.get("then")] if random.random() < 0.5 else [schema.get("else")]
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        parts.append(root if name == "#" else root["$defs"][name])
    if isinstance(schema.get("dependentSchemas"), dict) and random.random() < 0.5:
        parts += schema["dependentSchemas"].values()
    nested = [_chosen(part, root, random, depth - 1) for part in parts if isinstance(part, dict) and depth > 0]
    return reduce(_together, nested, schema)


def _together(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    merged = {**first, **second}
    for keyword in ("properties", "patternProperties"):
        if keyword in first and keyword in second:
            merged[keyword] = {**first[keyword], **second[keyword]}
    merged["required"] = [*first.get("required", []), *second.get("required", [])]
    return merged


def _object(schema: dict[str, Any], root: Any, random: Random, depth: int) -> dict[str, Any]:
    declared, patterns = schema.get("properties", {}), schema.get("patternProperties", {})
    extra = schema.get("additionalProperties", schema.get("unevaluatedProperties", True))
    names = [*schema.get("required", []), *(name for name in declared if random.random() < 0.6)]
    if (extra is not False and random.random() < 0.5) or (patterns and random.random() < 0.7):
        names += random.sample([*NAMES, "x_12", "q", "\n"], random.randint(1, 2))
    for name in [*names]:
        names += schema.get("dependentRequired", {}).get(name, []) if random.random() < 0.8 else []
    names = [*dict.fromkeys(names)]
    spare = [name for name in (*declared, *NAMES) if name not in names]
    names += spare[: max(0, schema.get("minProperties", 0) - len(names))]
    if random.random() < 0.7:
        names = names[: schema.get("maxProperties")]
    made = {}
    for name in names:
        subs = [declared[name]] if name in declared else []
        subs += [sub for pattern, sub in patterns.items() if re.search(_ended(pattern), name)]
        made[name] = _near(random.choice(subs or [extra]), root, random, depth - 1)
    return made


def _array(schema: dict[str, Any], root: Any, random: Random, depth: int) -> list[Any]:
    places = schema.get("prefixItems", [])
    rest = schema.get("items", schema.get("unevaluatedItems", True))
    low = schema.get("minItems", 0)
    size = random.randint(low, max(low, min(schema.get("maxItems", 4), low + 3)))
    if rest is False and random.random() < 0.9:
        size = min(size, len(places))
    made = [_near(places[i] if i < len(places) else rest, root, random, depth - 1) for i in range(size)]
    for _ in range(random.choice((schema.get("minContains", 1), schema.get("maxContains", 1)))):
        if "contains" in schema and made and random.random() < 0.9:
            made[random.randrange(len(made))] = _near(schema["contains"], root, random, depth - 1)
    return made


def _string(schema: dict[str, Any], random: Random) -> str:
    low, high = schema.get("minLength", 0), schema.get("maxLength", 6)
    fitting = PATTERNS.get(schema.get("pattern", "")) or FORMATS.get(schema.get("format", "")) or TEXTS
    text = random.choice(fitting)
    if len(text) < low:
        text += random.choice(("b", "a", "é", "😀", '"')) * (low - len(text))
    return text[:high] if random.random() < 0.8 and "format" not in schema else text


def _number(schema: dict[str, Any], random: Random, whole: bool) -> int | float:
    bounds = [schema[key] for key in _keywords("number", st.nothing()) if key in schema and key != "multipleOf"]
    step = schema.get("multipleOf", 1 if whole else random.choice((1, 0.5, 0.25, 0.125)))
    near = random.choice(bounds or NUMBERS) + random.choice((0, 0, 1, -1, 3, -3)) * step
    value: int | float = round(near / step) * step if random.random() < 0.8 else near
    if whole and random.random() < 0.9:
        value = math.floor(value)
    return float(value) if random.random() < 0.1 else value


def _anything(random: Random, depth: int) -> Any:
    match random.randrange(8 if depth > 0 else 5):
        case 0:
            return random.choice((None, True, False))
        case 1 | 2:
            return random.choice(NUMBERS)
        case 3 | 4:
            return random.choice(TEXTS)
        case 5:
            return [_anything(random, depth - 1) for _ in range(random.randint(0, 3))]
    return {name: _anything(random, depth - 1) for name in random.sample(NAMES, random.randint(0, 3))}


def _mutated(value: Any, random: Random) -> Any:
    """`value` with one thing changed somewhere."""
    if isinstance(value, dict | list) and value and random.random() < 0.6:
        keys = [*value] if isinstance(value, dict) else [*range(len(value))]
        changed, key = value.copy(), random.choice(keys)
        changed[key] = _mutated(value[key], random)
        return changed
    if random.random() < 0.2:
        return _anything(random, 1)
    match value:
        case bool():
            return random.choice((not value, int(value)))
        case int() | float():
            other = (-value, value * 10, float(value), str(value))
            return random.choice((value + 1, value - 1, value + 0.5, value - 0.25, *other))
        case str():
            return _mutated_text(value, random)
        case list():
            return random.choice((value[1:], [*value, _anything(random, 0)], value[::-1], value * 2, value[:-1]))
        case dict():
            kept = dict(random.sample([*value.items()], max(0, len(value) - 1)))
            more = {random.choice(NAMES): _anything(random, 0)}
            return random.choice((kept, kept | more, value | more))
    return _anything(random, 1)


def _mutated_text(text: str, random: Random) -> str:
    i = random.randint(0, len(text))
    before, char, after = text[:i], random.choice('abc0é"\\\n😀'), text[i + 1 :]
    return random.choice((before + after, before + char + text[i:], before + char + after, text * 2))


# -- texts -----------------------------------------------------------------------------------------------


def spellings(value: Any, random: Random) -> dict[str, str]:
    """`value` as programs write it."""
    return {
        "compact": json.dumps(value, separators=(",", ":")),
        "spaced": json.dumps(value),
        "unicode": json.dumps(value, ensure_ascii=False, separators=(",", ":")),
        "indented": json.dumps(value, indent=random.choice((1, 2, "\t")), ensure_ascii=random.random() < 0.5),
        "shuffled": json.dumps(_shuffled(value, random), ensure_ascii=random.random() < 0.5),
    }


def _shuffled(value: Any, random: Random) -> Any:
    if isinstance(value, list):
        return [_shuffled(item, random) for item in value]
    if not isinstance(value, dict):
        return value
    return {name: _shuffled(value[name], random) for name in random.sample([*value], len(value))}


def sampled(grammar: Grammar, random: Random, count: int) -> Iterator[str]:
    """Texts that the grammar itself allows, most of them short."""
    start = TokenMatcher(grammar, byte_tokenizer())
    for _ in range(count):
        matcher, text = start.copy(), bytearray()
        while len(text) < 300:
            allowed = [] if matcher.stopped else matcher.mask()[:256].nonzero()[0].tolist()
            if matcher.complete and (not allowed or random.random() < 0.5 or len(text) > 80):
                yield text.decode()
                break
            assert allowed, f"a dead end after {text.decode(errors='replace')}"
            code = _picked(allowed, random, hurry=len(text) > 60)
            matcher.accept(code)
            text.append(code)


_ENDS = b'"}]'
_COMMON = b'"}],:{[abx_1250-.tfn'


def _picked(allowed: list[int], random: Random, hurry: bool) -> int:
    for favoured, chance in ((_ENDS, 0.9 if hurry else 0.35), (_COMMON, 0.8)):
        if random.random() < chance and (found := [code for code in allowed if code in favoured]):
            return random.choice(found)
    return random.choice([code for code in allowed if code not in b" \t\n\r"] or allowed)


def read(text: str) -> tuple[Any] | None:
    """The value of a JSON text; None where readers differ: names given twice, numbers beyond a double's precision."""
    try:
        value = json.loads(text, object_pairs_hook=_once)
    except (_Twice, ValueError):
        return None
    exact = all(len(re.sub(r"\D", "", found)) < 15 and "e" not in found.lower() for found in _numbers(text))
    return (value,) if exact and "0000-" not in text else None


def _numbers(text: str) -> Iterable[str]:
    return re.findall(r"-?\d[\d.eE+-]*", re.sub(r'"(\\.|[^"\\])*"', "", text))


class _Twice(Exception):
    pass


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({name for name, _ in pairs}) < len(pairs):
        raise _Twice
    return dict(pairs)
