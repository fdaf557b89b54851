"""JSON Schema (2020-12; draft-07 and OpenAPI's `nullable` too) to a grammar of compact JSON.

Compact means no blanks: `{"minutes":5,"label":"tea"}`, properties in the order the schema lists them. What a
grammar cannot hold is relaxed, so the grammar accepts more than the schema, never less, and each such place is in
the report; `Compiled.validate` checks what was relaxed. Narrower on purpose: one order and one spelling of each
value, and, when `closed`, no properties beyond those an object declares unless it says `additionalProperties`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from ..errors import SchemaError
from .ir import EMPTY, NOTHING, Grammar, Lit, Node, Ref, alt
from .library import grammar_file
from .merge import ABOUT, ASSERTIONS, UNHELD, Schema, merge, resolve
from .objects import Missing, array, object_
from .scalars import literals, number, string
from .strings import quote
from .tidy import tidy

Path: TypeAlias = tuple[str, ...]

#: Deepest nesting of a schema, and most sub-schemas of one; beyond, SchemaError names the place.
MAX_SCHEMA_DEPTH = 48
MAX_SCHEMAS = 20_000

#: The keyword of ours: this string is to be copied from the person's words (`true`, or which kind of words).
COPY = "x-edge-copy"

_KINDS = ("null", "boolean", "object", "array", "string", "number", "integer")


@dataclass(frozen=True, slots=True)
class Relaxation:
    """At `path` (`set_timer.label`) the grammar does not hold `keyword`; `action` says what it does instead."""

    path: str
    keyword: str
    action: str

    def __str__(self) -> str:
        return f"{self.path}: {self.keyword} -> {self.action}"


@dataclass(frozen=True)
class Compiled:
    """A schema as grammar. `grammar` is a fragment: `ir.assemble` joins those of several tools.

    `impossible` lists the required properties that have to be copied from words that are not there; the grammar
    then describes the value without them, and the person has to be asked.
    """

    grammar: Grammar
    report: tuple[Relaxation, ...]
    impossible: tuple[str, ...]
    schema: Any

    @property
    def gbnf(self) -> str:
        """The grammar for llama.cpp and for people. Raises GrammarError if it refers to rules given as copies."""
        from .gbnf import to_gbnf

        return to_gbnf(self.grammar)

    def accepts(self, text: str) -> bool:
        """Whether the grammar, alone, accepts `text`. Builds a matcher each time (about a millisecond)."""
        from .matcher import accepts

        return accepts(self.grammar, text)

    def validate(self, value: Any) -> list[str]:
        """What the schema itself says against `value`, each with its place; empty when valid.

        Raises SchemaError when the schema is not valid JSON Schema. Formats are checked as far as jsonschema can
        without further packages.
        """
        from jsonschema.exceptions import SchemaError as BadSchema
        from jsonschema.validators import Draft202012Validator, validator_for
        from jsonschema_specifications import REGISTRY
        from referencing.exceptions import Unresolvable

        kind = validator_for(self.schema, default=Draft202012Validator)
        try:
            kind.check_schema(self.schema)
            # only the specifications' own schemas: jsonschema would fetch what other `$ref`s name from the network
            found = kind(self.schema, format_checker=kind.FORMAT_CHECKER, registry=REGISTRY).iter_errors(value)
            return [f"{error.json_path.removeprefix('$.')}: {error.message}" for error in found]
        except BadSchema as error:
            raise SchemaError(f"{error.json_path.removeprefix('$.')}: {error.message}") from None
        except Unresolvable as error:
            raise SchemaError(f"cannot follow {error}") from None


def compile_schema(
    schema: Any, *, name: str = "value", copies: Mapping[str, Node | None] | None = None, closed: bool = True
) -> Compiled:
    """The grammar of the values that `schema` allows, with its rules named after `name` (a tool, as a rule).

    Args:
        schema: JSON Schema, as an object or a boolean.
        name: First part of rule names and of paths in the report. Equal names give equal rules, other names
            never clash, so fragments of several tools can be assembled.
        copies: For strings marked `"x-edge-copy": KIND` (`true` counts as "text"): the node that yields the words
            to choose from, already JSON-escaped, by the property's path without `name` or by kind. It may be a
            Ref to a rule defined elsewhere. A kind that is not there makes a free string. None means there is
            nothing to copy: the property cannot be given.
        closed: Read the schema as authors of tools mean it: an object with `properties` has no others, and
            keywords imply their type. False: as the standard has it.

    Raises:
        SchemaError: The schema is not JSON Schema, allows no value, or is too deep or large; naming the property.

    Linear in the schema, save for the distribution of `anyOf` over the keywords beside it; a typical tool takes
    well under a millisecond. The first call of a process reads `grammars/` (about 0.1 s, mostly importing lark).
    """
    compiler = Compiler(schema, name, copies or {}, closed)
    try:
        node = compiler.value(schema, ())
    except Missing as error:
        compiler.impossible += error.paths
        node = compiler.use("json", "string")
    except RecursionError:
        raise SchemaError(f"{name}: the schema is too deep to be a grammar") from None
    root = compiler.slug
    compiler.rules[root] = node
    rules = tidy(compiler.rules, root)
    if rules[root] == NOTHING:
        raise SchemaError(f"{name}: no value can satisfy this schema")
    notes = {rule: note for rule, note in compiler.notes.items() if rule in rules}
    report = tuple(dict.fromkeys(compiler.report))
    return Compiled(Grammar(rules, root, notes), report, tuple(dict.fromkeys(compiler.impossible)), schema)


class Compiler:
    """One compilation: the rules made so far, and what had to be relaxed."""

    def __init__(self, document: Any, name: str, copies: Mapping[str, Node | None], closed: bool) -> None:
        self.document, self.name, self.copies, self.closed = document, name, copies, closed
        self.slug = slug(name)
        self.rules: dict[str, Node] = {self.slug: EMPTY}  # holds the place of the root
        self.notes: dict[str, str] = {self.slug: name}
        self.report: list[Relaxation] = []
        self.impossible: list[str] = []
        self._refs: dict[str, str] = {}
        self.use("json")  # for `strings.SPECIAL`
        self._count = 0
        self._draft7 = isinstance(document, dict) and bool(re.search(r"draft-0[3-7]", str(document.get("$schema", ""))))

    def at(self, path: Path) -> str:
        """`path` for people: `set_timer.tags[].name`."""
        return ".".join((self.name, *path)).replace(".[", "[")

    def relax(self, path: Path, keyword: str, action: str) -> None:
        self.report.append(Relaxation(self.at(path), keyword, action))

    def use(self, name: str, rule: str = "", *, escaped: bool = False) -> Ref:
        """A rule of `grammars/{name}.gbnf`, its root by default, together with all the rules beside it."""
        grammar = grammar_file(name, escaped=escaped)
        self.rules.update(grammar.rules)
        return Ref(f"{grammar.root}-{rule}" if rule else grammar.root)

    def rule(self, path: Path, node: Node) -> Node:
        """A reference to a new rule for `node`, or `node` itself where a rule would only hide it."""
        if isinstance(node, Ref | Lit) or node == NOTHING:
            return node
        name = base = "--".join((self.slug, *map(slug, path)))[:200]
        number = 2
        while self.rules.get(name, node) != node:
            name, number = f"{base}-{number}", number + 1
        self.rules[name] = node
        self.notes[name] = self.at(path)
        return Ref(name)

    def part(self, schema: Any, path: Path) -> Node:
        """The value of a property or item, as a rule of its own."""
        return self.rule(path, self.value(schema, path))

    def counts(self, schema: Schema, least: str, most: str, path: Path) -> tuple[int, int | None]:
        """A pair of counts such as minItems and maxItems. Raises SchemaError for what is no count."""
        for keyword in (least, most):
            value = schema.get(keyword, 0)
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e18 or value % 1:
                raise SchemaError(f"{self.at(path)}: {keyword} is not a whole number from 0")
        return int(schema.get(least, 0)), int(schema[most]) if most in schema else None

    def types(self, schema: Schema, path: Path) -> list[str] | None:
        """The types that `schema` names, None when it names none."""
        kinds = schema.get("type")
        if kinds is None:
            return None
        kinds = [kinds] if isinstance(kinds, str) else kinds
        if not isinstance(kinds, list) or not all(kind in _KINDS for kind in kinds):
            raise SchemaError(f"{self.at(path)}: {schema['type']!r} is not a type", hint="one of " + ", ".join(_KINDS))
        return [*kinds, "null"] if schema.get("nullable") is True and "null" not in kinds else kinds

    def value(self, schema: Any, path: Path) -> Node:
        """The node for values of `schema`. Raises SchemaError, or Missing when words to copy are not there."""
        self._count += 1
        if len(path) > MAX_SCHEMA_DEPTH:
            raise SchemaError(f"{self.at(path[:8])}: nested more than {MAX_SCHEMA_DEPTH} deep")
        if self._count > MAX_SCHEMAS:
            raise SchemaError(f"{self.at(path)}: the schema has more than {MAX_SCHEMAS} parts")
        if isinstance(schema, bool):
            return self.use("json") if schema else NOTHING
        if not isinstance(schema, Mapping):
            raise SchemaError(f"{self.at(path)}: {type(schema).__name__} is not a schema")
        says = ASSERTIONS & schema.keys()
        if not says:
            return self.use("json")
        if "$ref" in schema and (self._draft7 or says <= {"$ref", "nullable"}):
            target = self._reference(schema["$ref"], path)
            return alt(target, Lit("null")) if schema.get("nullable") is True else target
        flat = self._flat(dict(schema), path, frozenset())
        if isinstance(flat, bool):
            return self.use("json") if flat else NOTHING
        for keyword in ("anyOf", "oneOf"):
            if keyword in flat:
                return self._alternatives(flat, keyword, path)
        for keyword in UNHELD:
            if keyword in flat and not (self.closed and keyword == "unevaluatedProperties"):
                self.relax(path, keyword, "checked after decoding")
        if "const" in flat or "enum" in flat:
            values = flat.get("enum", [flat.get("const")])
            if not isinstance(values, list):
                raise SchemaError(f"{self.at(path)}: enum is not a list")
            if "const" in flat:
                values = [value for value in values if value == flat["const"]]
            return literals(self, flat, values, path)
        return self._typed(flat, path)

    def _typed(self, schema: Schema, path: Path) -> Node:
        kinds = self.types(schema, path)
        if kinds is None:
            about = list(dict.fromkeys(ABOUT[key] for key in schema if key in ABOUT))
            if not about:
                return self.use("json")
            kinds = about if self.closed else list(_KINDS)
            kinds = [*kinds, "null"] if schema.get("nullable") is True else kinds
        return alt(*(self._one(kind, schema, path) for kind in kinds if kind != "integer" or "number" not in kinds))

    def _one(self, kind: str, schema: Schema, path: Path) -> Node:
        match kind:
            case "object":
                return object_(self, schema, path)
            case "array":
                return array(self, schema, path)
            case "string":
                return self._copied(schema, path) if schema.get(COPY) else string(self, schema, path)
            case "number" | "integer":
                return number(self, schema, path, whole=kind == "integer")
        return Lit("null") if kind == "null" else alt(Lit("true"), Lit("false"))

    def _copied(self, schema: Schema, path: Path) -> Node:
        kind = schema[COPY]
        if kind is not True and not isinstance(kind, str):
            raise SchemaError(f"{self.at(path)}: {COPY} is neither true nor a kind of words")
        keys = [self.at(path)[len(self.name) + 1 :], "text" if kind is True else kind]
        key = next((key for key in keys if key in self.copies), None)
        if key is None:
            return string(self, schema, path)
        node = self.copies[key]
        if node is None:
            raise Missing([self.at(path)[len(self.name) + 1 :] or self.name])
        for keyword in ("pattern", "format", "minLength", "maxLength"):
            if keyword in schema:
                self.relax(path, keyword, "the person's words are checked after decoding")
        return quote(node)

    def _reference(self, ref: Any, path: Path) -> Node:
        if not isinstance(ref, str):
            raise SchemaError(f"{self.at(path)}: $ref is not a text")
        if ref in self._refs:
            return Ref(self._refs[ref])
        target = resolve(self.document, ref, self.at(path))
        if target is None:
            self.relax(path, "$ref", f"any value ({ref} is outside this schema)")
            return self.use("json")
        name = f"{self.slug}--{slug(ref.rpartition('/')[2].lstrip('#') or 'root')}-ref"
        while name in self.rules:
            name += "-2"
        self._refs[ref] = name
        self.rules[name] = EMPTY  # holds the place until the rule is known, for references back to it
        try:
            self.rules[name] = self.value(target, path)
        except Missing:
            del self._refs[ref], self.rules[name]
            raise
        self.notes[name] = f"{self.name} {ref}"
        return Ref(name)

    def _flat(self, schema: Schema, path: Path, seen: frozenset[str]) -> Any:
        """`schema` with `allOf`, and `$ref` that has neighbours, merged into it."""
        parts: list[Any] = []
        if "$ref" in schema:
            ref = schema.pop("$ref")
            target = resolve(self.document, ref, self.at(path)) if isinstance(ref, str) else None
            if target is None:
                self.relax(path, "$ref", f"any value ({ref} is outside this schema)")
            elif ref not in seen:
                seen |= {ref}
                parts.append(target)
        if "allOf" in schema:
            branches = schema.pop("allOf")
            if not isinstance(branches, list):
                raise SchemaError(f"{self.at(path)}: allOf is not a list")
            parts += branches
        flat: Any = schema
        for part in parts:
            if isinstance(part, Mapping):
                part = self._flat(dict(part), path, seen)
            elif not isinstance(part, bool):
                raise SchemaError(f"{self.at(path)}: {type(part).__name__} is not a schema")
            flat = merge(flat, part, lambda keyword, action: self.relax(path, keyword, action))
        return flat

    def _alternatives(self, schema: Schema, keyword: str, path: Path) -> Node:
        branches = schema.pop(keyword)
        if not isinstance(branches, list) or not branches:
            raise SchemaError(f"{self.at(path)}: {keyword} is not a list of schemas")
        if keyword == "oneOf" and not self._disjoint(branches):
            self.relax(path, "oneOf", "read as anyOf: that only one matches is checked after decoding")
        bare = not ASSERTIONS & schema.keys()
        nodes: list[Node] = [Lit("null")] if schema.get("nullable") is True else []
        missing: list[str] = []
        for branch in branches:
            try:
                both = branch if bare else {"allOf": [schema, branch]}
                nodes.append(self.rule(path, self.value(both, path)))
            except Missing as error:
                missing += error.paths
        if missing and not nodes:
            raise Missing(missing)
        return alt(*nodes)

    def _disjoint(self, branches: list[Any]) -> bool:
        """Whether no value can match two of `branches`, as far as types and fixed values tell."""
        targets = [self._target(branch) for branch in branches]
        return all(_apart(a, b) for i, a in enumerate(targets) for b in targets[:i])

    def _target(self, schema: Any) -> Any:
        if isinstance(schema, Mapping) and isinstance(schema.get("$ref"), str):
            return resolve(self.document, schema["$ref"], self.name)
        return schema


def _apart(a: Any, b: Any) -> bool:
    """Whether two schemas obviously share no value: other types, other constants, or a tag property with such."""
    if not isinstance(a, Mapping) or not isinstance(b, Mapping):
        return a is False or b is False
    first, second = _constants(a), _constants(b)
    if first is not None and second is not None:
        return not any(value in second for value in first)
    kinds = _kinds(a), _kinds(b)
    if not kinds[0] & kinds[1]:
        return True
    if kinds[0] | kinds[1] != {"object"}:
        return False
    tags, others = _required(a), _required(b)
    return any(_apart(tags[name], others[name]) for name in tags if name in others)


def _required(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The schemas of the properties that are both required and declared."""
    required, declared = schema.get("required"), schema.get("properties")
    if not isinstance(required, list) or not isinstance(declared, Mapping):
        return {}
    return {name: declared[name] for name in required if isinstance(name, str) and name in declared}


def _kinds(schema: Mapping[str, Any]) -> set[str]:
    kinds = schema.get("type", _KINDS)
    kinds = [kinds] if isinstance(kinds, str) else kinds
    known = isinstance(kinds, list) and all(kind in _KINDS for kind in kinds)
    return {"number" if kind == "integer" else kind for kind in (kinds if known else _KINDS)}


def _constants(schema: Mapping[str, Any]) -> list[Any] | None:
    values = schema.get("enum", [schema["const"]] if "const" in schema else None)
    return values if isinstance(values, list) else None


def slug(name: str) -> str:
    """`name` as part of a rule name. Names of the usual shape (`set_timer`) stay readable; any other gets a hash,
    so that two different names never become one."""
    if re.fullmatch(r"[a-z0-9]+(_[a-z0-9]+)*", name):
        return name.replace("_", "-")
    plain = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:40]
    return f"{plain or 'x'}-{hashlib.sha256(name.encode(errors='replace')).hexdigest()[:6]}"
