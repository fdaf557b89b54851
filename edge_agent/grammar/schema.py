"""JSON Schema (2020-12; draft-07 and OpenAPI's `nullable` too) to a grammar.

Two readings. The standard's, by default: every JSON text of a valid value that a program may write. A call's: the one
text that a model is to write for it, compact (`{"minutes":5,"label":"tea"}`), properties in the order of the schema
and none that an object does not declare. What a grammar cannot hold is relaxed, so that it accepts more than the
schema, never less, and each such place is in the report; `Compiled.validate` checks what was relaxed.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Hashable, Mapping
from functools import lru_cache
from typing import Any, TypeAlias

from ..errors import SchemaError
from . import digits
from .arrays import array
from .compiled import Compiled, Relaxation
from .ir import EMPTY, NOTHING, Alt, And, Grammar, Lit, Minus, Node, Ref, Seq, Token, alt, both, minus, seq, token, walk
from .library import grammar_file
from .logic import KINDS, SCALARS, conditions, exclusive
from .merge import ABOUT, ASSERTIONS, LOGIC, Schema, frozen, merge
from .objects import Missing, object_
from .references import References
from .regular import is_empty
from .rewriting import draft, meant
from .scalars import literals, number, string
from .strings import DUMPED, SHORT, quote
from .tidy import tidy

Path: TypeAlias = tuple[str, ...]

#: Deepest nesting of a schema, and most sub-schemas of one; beyond, SchemaError names the place.
MAX_SCHEMA_DEPTH = 48
MAX_SCHEMAS = 20_000
#: Most schemas that are joined with another; what combines schemas beyond that is relaxed.
MAX_MERGES = 5_000
#: The last draft in which 5.0 is no integer.
OLD_INTEGERS = 4
#: Most values of an `enum`.
MAX_VALUES = 10_000
#: Nesting from which on circles are looked for.
CIRCLE_DEPTH = 10

#: The keyword of ours: this string is to be copied from the person's words (`true`, or which kind of words).
COPY = "x-edge-copy"

#: Keywords that `_flat` has work with.
_JOINED = {*LOGIC, "unevaluatedProperties", "unevaluatedItems"} - {"anyOf", "oneOf"}
#: A note in a schema that conditions were written out in it, which `unevaluated...` depends on.
_CONDITIONAL = "x-edge-conditional"
_MARKS = {"{": "begin-object", "}": "end-object", "[": "begin-array", "]": "end-array", ",": "value-separator"}


def compile_schema(
    schema: Any,
    *,
    name: str = "value",
    copies: Mapping[str, Node | None] | None = None,
    call: bool = False,
    formats: bool = True,
    remotes: Mapping[str, Any] | None = None,
    instead: Node | None = None,
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
        call: Read the schema as authors of tools mean it and write it as a model is to: an object with `properties`
            has no others, keywords imply their type, one order, one spelling, no blanks. False: as the standard
            has it, in any text that `json.dumps` may give.
        formats: Whether `format` is to be held; the standard makes it a note unless one asks.
        remotes: Documents that `$ref`s may name, by URI. Nothing else is ever fetched.
        instead: What each property of the outermost object may be instead of its value, such as a reference to an
            earlier call's result (`plan.reference`).

    Raises:
        SchemaError: The schema is not JSON Schema, or is too deep or large, or (for a `call`) allows no value;
            naming the property.

    Linear in the schema, save for the distribution of `anyOf` over the keywords beside it; a typical tool takes
    well under a millisecond. The first call of a process reads `grammars/` (about 0.1 s, mostly importing lark).
    """
    try:
        schema = meant(schema, remotes or {})
        compiler = Compiler(schema, name, copies or {}, call, formats, remotes, instead)
    except RecursionError:
        raise SchemaError(f"{name}: the schema is too deep to be a grammar") from None
    except (TypeError, ValueError, AttributeError) as error:
        raise SchemaError(f"{name}: not JSON Schema ({error})") from error
    try:
        node = compiler.value(compiler.references.document, ())
    except Missing as error:
        compiler.impossible += error.paths
        node = compiler.use("string")
    except RecursionError:
        raise SchemaError(f"{name}: the schema is too deep to be a grammar") from None
    except (TypeError, ValueError, AttributeError, KeyError, ArithmeticError) as error:
        # keywords of the wrong kind in places that are not looked at one by one
        raise SchemaError(f"{compiler.at(compiler.here)}: not JSON Schema ({error})") from error
    root = compiler.slug
    compiler.rules[root] = node
    rules = tidy(compiler.rules, root)
    if rules[root] == NOTHING and call:
        raise SchemaError(f"{name}: no value can satisfy this schema")
    notes = {rule: note for rule, note in compiler.notes.items() if rule in rules}
    report = tuple(dict.fromkeys(compiler.report))
    narrowed = tuple(dict.fromkeys(compiler.narrowed))
    impossible = tuple(dict.fromkeys(compiler.impossible))
    return Compiled(
        Grammar(rules, root, notes, tidy=True), report, narrowed, impossible, schema, remotes or {}, formats
    )


class Compiler:
    """One compilation: the rules made so far, and what had to be relaxed."""

    def __init__(
        self,
        document: Any,
        name: str,
        copies: Mapping[str, Node | None],
        call: bool,
        formats: bool,
        remotes: Mapping[str, Any] | None,
        instead: Node | None,
    ) -> None:
        self.references = References(document, remotes)
        self.name, self.copies, self.call, self.formats = name, copies, call, formats
        self.instead = instead or NOTHING
        self.json, self.spelling, self.numbers = (
            ("json", SHORT, digits.SHORT) if call else ("json-text", DUMPED, digits.DUMPED)
        )
        self.slug = slug(name)
        self.rules: dict[str, Node] = {self.slug: EMPTY}  # holds the place of the root
        self.notes: dict[str, str] = {self.slug: name}
        self.report: list[Relaxation] = []
        self.narrowed: list[Relaxation] = []
        self.impossible: list[str] = []
        self._refs: dict[str, str] = {}
        self._merges = 0
        self._shared: dict[Hashable, Ref] = {}
        self._seen: dict[int, tuple[Any, int]] = {}
        self._keys: dict[Hashable, int] = {}
        self._named: dict[tuple[str, Node], Ref] = {}
        self._numbers: dict[str, int] = {}
        self._title = self._file(self.json)
        self._count = 0
        self.here: Path = ()
        self._draft = draft(document)
        if self._draft <= OLD_INTEGERS and not call:
            self.numbers = digits.OLD

    # -- what the parts of a schema share --------------------------------------------------------------

    def at(self, path: Path) -> str:
        """`path` for people: `set_timer.tags[].name`."""
        return ".".join((self.name, *map(str, path))).replace(".[", "[")

    def relax(self, path: Path, keyword: str, action: str) -> None:
        self.report.append(Relaxation(self.at(path), keyword, action))

    def narrow(self, path: Path, keyword: str, action: str) -> None:
        self.narrowed.append(Relaxation(self.at(path), keyword, action))

    def _file(self, name: str) -> str:
        grammar = grammar_file(name, escaped=None if name == self.json else self.spelling)
        self.rules.update(grammar.rules)
        return grammar.root

    def use(self, rule: str = "") -> Ref:
        """A rule of JSON's own grammar; that of any value by default."""
        return Ref(f"{self._title}-{rule}" if rule else self._title)

    def integer(self) -> Node:
        """Any integer, as the draft has it."""
        return token(self.numbers.integers(None, None)) if self.numbers is digits.OLD else self.use("integer")

    def format(self, kind: str) -> Ref:
        """The strings of a format, without their quotes."""
        return Ref(self._file(kind))

    def mark(self, char: str) -> Node:
        """One of `{}[],`, with the blanks around it where there may be any."""
        return Lit(char) if self.call else self.use(_MARKS[char])

    def member(self, name: Node, value: Node) -> Node:
        """A name, which is a string, and its value."""
        return seq(name, Lit(":") if self.call else self.use("name-separator"), value)

    def rule(self, path: Path, node: Node) -> Node:
        """A reference to a new rule for `node`, or `node` itself where a rule would only hide it."""
        if isinstance(node, Ref | Lit) or node == NOTHING:
            return node
        base = "--".join((self.slug, *map(slug, path)))[:200]
        if (base, node) not in self._named:
            self._named[base, node] = self._new(base, path, node)
        return self._named[base, node]

    def _new(self, base: str, path: Path, node: Node) -> Ref:
        name = base
        while name in self.rules:
            self._numbers[base] = self._numbers.get(base, 1) + 1
            name = f"{base}-{self._numbers[base]}"
        self.rules[name], self.notes[name] = node, self.at(path)
        return Ref(name)

    def part(self, schema: Any, path: Path) -> Node:
        """The value of a property or item, as a rule of its own. Where schemas are joined, or so deep that it may go
        round in a circle that no `$ref` shows, equal ones share a rule."""
        if not isinstance(schema, Mapping) or (len(path) < CIRCLE_DEPTH and "allOf" not in schema):
            return self.rule(path, self.value(schema, path))
        key = self._identity(schema)
        if key not in self._shared:
            base = "--".join((self.slug, *map(slug, path[:CIRCLE_DEPTH])))[:200]
            self._shared[key] = held = self._new(base, path, EMPTY)
            try:
                self.rules[held.name] = self.value(schema, path)
            except Missing:
                del self._shared[key], self.rules[held.name]
                raise
        return self._shared[key]

    def _identity(self, schema: Any) -> Hashable:
        """A key that equal schemas share. What is joined mentions the same parts over and over, so that each object
        is looked at once."""
        if not isinstance(schema, dict | list | tuple):
            return frozen(schema)
        if id(schema) not in self._seen:
            if isinstance(schema, dict):
                key: Hashable = frozenset((name, self._identity(sub)) for name, sub in schema.items())
            else:
                key = tuple(map(self._identity, schema))
            self._seen[id(schema)] = schema, self._keys.setdefault(key, len(self._keys))
        return self._seen[id(schema)][1]

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
        if not isinstance(kinds, list) or not all(kind in KINDS for kind in kinds):
            raise SchemaError(f"{self.at(path)}: {schema['type']!r} is not a type", hint="one of " + ", ".join(KINDS))
        return kinds

    # -- a schema ----------------------------------------------------------------------------------------

    def value(self, schema: Any, path: Path) -> Node:
        """The node for values of `schema`. Raises SchemaError, or Missing when words to copy are not there."""
        self._counted(path)
        self.here = path
        if len(path) > MAX_SCHEMA_DEPTH:
            raise SchemaError(f"{self.at(path[:8])}: nested more than {MAX_SCHEMA_DEPTH} deep")
        if isinstance(schema, bool):
            return self.use() if schema else NOTHING
        if not isinstance(schema, Mapping):
            raise SchemaError(f"{self.at(path)}: {type(schema).__name__} is not a schema")
        says = ASSERTIONS & schema.keys()
        if not says:
            return self.use()
        if "$ref" in schema and (self._draft <= 7 or says <= {"$ref"}):
            return self._reference(schema["$ref"], path)
        flat = self._flat(schema, path, frozenset())
        if isinstance(flat, bool):
            return self.use() if flat else NOTHING
        for keyword in ("anyOf", "oneOf"):
            if keyword in flat:
                return self._alternatives(flat, keyword, path)
        if "const" in flat or "enum" in flat:
            values = flat.get("enum", [flat.get("const")])
            if not isinstance(values, list):
                raise SchemaError(f"{self.at(path)}: enum is not a list")
            if "const" in flat:
                values = [value for value in values if frozen(value) == frozen(flat["const"])]
            if len(values) <= MAX_VALUES:
                return literals(self, flat, values, path)
            self.relax(path, "enum", f"more than {MAX_VALUES} values: checked after decoding")
            flat = {key: flat[key] for key in flat if key not in ("enum", "const")}
        return self._typed(flat, path)

    def _counted(self, path: Path) -> None:
        self._count += 1
        if self._count > MAX_SCHEMAS:
            raise SchemaError(f"{self.at(path)}: the schema has more than {MAX_SCHEMAS} parts")

    def _typed(self, schema: Schema, path: Path) -> Node:
        kinds = self.types(schema, path)
        if kinds is None:
            about = list(dict.fromkeys(ABOUT[key] for key in schema if key in ABOUT))
            kinds = about if about and self.call else ["object", "array", "string", "number", "boolean", "null"]
        return alt(*(self._one(kind, schema, path) for kind in kinds if kind != "integer" or "number" not in kinds))

    def _one(self, kind: str, schema: Schema, path: Path) -> Node:
        opposite = schema.get("not")
        if opposite is not None and kind in SCALARS:
            return self._without(kind, {key: schema[key] for key in schema if key != "not"}, opposite, path)
        if all(ABOUT.get(key) != ("number" if kind == "integer" else kind) for key in schema):
            return self.integer() if kind == "integer" else self.use(kind)
        match kind:
            case "object":
                return object_(self, schema, path)
            case "array":
                return array(self, schema, path)
            case "string":
                return self._copied(schema, path) if schema.get(COPY) else string(self, schema, path)
        return number(self, schema, path, whole=kind == "integer")

    def _without(self, kind: str, schema: Schema, opposite: Any, path: Path) -> Node:
        """Values of a scalar type that `opposite` refuses."""
        whole = self._one(kind, schema, path)
        if whole == NOTHING:
            return NOTHING
        before = len(self.report)
        taken = self.value({"allOf": [{"type": kind}, opposite]}, path)
        if len(self.report) > before:  # wider than it says: taking it away would take too much
            del self.report[before:]
            self.relax(path, "not", "checked after decoding")
            return whole
        if kind == "string":
            return self.filled(quote(minus(self.unquoted(whole), self.unquoted(taken))))
        return self.filled(token(minus(whole, taken)))

    def filled(self, node: Node) -> Node:
        """`node`, or NOTHING where it is an intersection or difference of which nothing is left. Looks at few states,
        since most are plainly not empty."""
        if any(isinstance(part, And | Minus) for part in walk(node)) and is_empty(node, self.rules, limit=200):
            return NOTHING
        return node

    def unquoted(self, node: Node) -> Node:
        """A node of JSON strings without their quotes, in the spelling of this compilation."""
        match node:
            case Ref() if node == self.use("string"):
                return self.spelling.any_text
            case Ref(name):
                return self.unquoted(self.rules[name])
            case Token(item):
                return self.unquoted(item)
            case Alt(options):
                return alt(*map(self.unquoted, options))
            case And(first, second):
                return both(self.unquoted(first), self.unquoted(second))
            case Minus(first, second):
                return minus(self.unquoted(first), self.unquoted(second))
            case Lit(text):
                return Lit(text[1:-1])
            case Seq((Lit(first), *middle, Lit(last))):
                return seq(Lit(first[1:]), *middle, Lit(last[:-1]))
        raise AssertionError(f"not a string: {node}")

    def _copied(self, schema: Schema, path: Path) -> Node:
        kind = schema[COPY]
        if kind is not True and not isinstance(kind, str):
            raise SchemaError(f"{self.at(path)}: {COPY} is neither true nor a kind of words")
        keys = [self.at(path)[len(self.name) + 1 :], "text" if kind is True else kind]
        key = next((key for key in keys if key in self.copies), None)
        if key is None:
            return string(self, {name: schema[name] for name in schema if name != COPY}, path)
        node = self.copies[key]
        if node is None:
            raise Missing([self.at(path)[len(self.name) + 1 :] or self.name])
        for keyword in ("pattern", "format", "minLength", "maxLength"):
            if keyword in schema:
                self.relax(path, keyword, "the person's words are checked after decoding")
        return quote(node)

    # -- schemas made of schemas ---------------------------------------------------------------------------

    def _reference(self, ref: Any, path: Path) -> Node:
        if isinstance(ref, str) and ref in self._refs:
            return Ref(self._refs[ref])
        target = self.references.follow(ref, self.at(path))
        if target is None:
            self.relax(path, "$ref", f"any value ({ref} is outside this schema)")
            return self.use()
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

    def _flat(self, schema: Mapping[str, Any], path: Path, seen: frozenset[str]) -> Any:
        """`schema` with `allOf`, and `$ref` that has neighbours, merged into it, and all other logic as `anyOf`."""
        flat: Any = dict(schema)
        if not _JOINED & flat.keys():
            return flat
        parts: list[Any] = []
        for keyword in ("$ref", "$dynamicRef", "$recursiveRef"):
            if keyword in flat:
                ref = flat.pop(keyword)
                find = self.references.follow if keyword == "$ref" else self.references.dynamic
                target = find(ref, self.at(path))
                if target is None:
                    self.relax(path, keyword, f"any value ({ref} is outside this schema)")
                elif ref not in seen:
                    seen |= {ref}
                    parts.append(target)
        branches = flat.pop("allOf", [])
        if not isinstance(branches, list):
            raise SchemaError(f"{self.at(path)}: allOf is not a list")
        if self._merges > MAX_MERGES:
            for keyword in sorted({*LOGIC} & flat.keys()):
                del flat[keyword]
                self.relax(path, keyword, "too many combinations: checked after decoding")
        try:
            further, widened = conditions(flat, lambda ref: self.references.follow(ref, self.at(path)))
        except (TypeError, AttributeError, ValueError):
            raise SchemaError(f"{self.at(path)}: one of not, if, dependencies is not as it must be") from None
        for keyword, why in widened.items():
            self.relax(path, keyword, why)
        if further or "$dynamicRef" in schema:
            flat[_CONDITIONAL] = True
        for part in (*parts, *branches, *further):
            self._counted(path)
            if isinstance(part, Mapping):
                part = self._flat(part, path, seen)
            elif not isinstance(part, bool):
                raise SchemaError(f"{self.at(path)}: {type(part).__name__} is not a schema")
            self._merges += 1
            flat = merge(flat, part, lambda keyword, action: self.relax(path, keyword, action))
        return flat if isinstance(flat, bool) else self._evaluated(flat, path)

    def _evaluated(self, schema: Schema, path: Path) -> Schema:
        """`unevaluatedProperties` and `unevaluatedItems` as `additionalProperties` and `items`, once all that
        evaluates is in one schema; dropped where that hangs on conditions."""
        for keyword, plain in (("unevaluatedProperties", "additionalProperties"), ("unevaluatedItems", "items")):
            if keyword not in schema:
                continue
            value = schema[keyword]
            schema = {key: sub for key, sub in schema.items() if key != keyword}
            if not schema.keys() & {_CONDITIONAL, "anyOf", "oneOf", "contains"}:
                schema.setdefault(_CONDITIONAL if value is True else plain, value)
            elif value is not True:
                self.relax(path, keyword, "checked after decoding")
        return schema

    def _alternatives(self, schema: Schema, keyword: str, path: Path) -> Node:
        branches = schema.pop(keyword)
        if not isinstance(branches, list) or not branches:
            raise SchemaError(f"{self.at(path)}: {keyword} is not a list of schemas")
        bare = not ASSERTIONS & schema.keys()
        if self._merges > MAX_MERGES and not bare:
            self.relax(path, keyword, "too many combinations: checked after decoding")
            return self.value(schema, path)
        if keyword == "oneOf":
            apart = exclusive(branches, lambda ref: self.references.follow(ref, self.at(path)))
            if apart is None:
                self.relax(path, "oneOf", "read as anyOf: that only one matches is checked after decoding")
            branches = branches if apart is None else apart
        nodes: list[Node] = []
        missing: list[str] = []
        for branch in branches:
            try:
                joined = branch if bare else {"allOf": [schema, branch]}
                nodes.append(self.part(joined, path))
            except Missing as error:
                missing += error.paths
        if missing and not nodes:
            raise Missing(missing)
        return alt(*nodes)

    def regular(self, schema: Any, path: Path) -> Node:
        """The strings that `schema` allows, without their quotes."""
        return self.unquoted(self.value({"allOf": [{"type": "string"}, schema]}, path))


@lru_cache(4096)
def slug(name: str) -> str:
    """`name` as part of a rule name. Names of the usual shape (`set_timer`) stay readable; any other gets a hash,
    so that two different names never become one."""
    if re.fullmatch(r"[a-z0-9]+(_[a-z0-9]+)*", name):
        return name.replace("_", "-")
    plain = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:40]
    return f"{plain or 'x'}-{hashlib.sha256(name.encode(errors='replace')).hexdigest()[:6]}"
