"""What the families share: turns, where tools stand in the prompt, the shape of an answer.

A family fills in the marks of its turns, its calls and its thoughts; grammar, writing and reading follow from them.
An answer of a foreign family is one or more calls, or plain text: declining and asking have no form of their own
there. Needing a tool that is not shown is a call of the reserved name `need_tool`, in each family's own form of a
call, so that a model knows it from a tool block (`base.NEED`). Calls of a plan are written like any others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any, ClassVar

from ..errors import InputError
from ..grammar.ir import (
    EMPTY,
    MAX_COUNT,
    NOTHING,
    Alt,
    And,
    Chars,
    Lit,
    Node,
    Repeat,
    Seq,
    alt,
    optional,
    repeat,
    seq,
    token,
)
from .base import NEED, Call, CallRules, Message, Prompt, Reply, ToolSpec
from .calls import read_json, spaced
from .escape import escape, escape_json
from .reader import BLANKS, MAX_ANSWER_CHARS, NAME, Reader

#: longest plain-text answer a grammar allows, in characters
MAX_TEXT_CHARS = 400
#: longest description of a needed tool
MAX_NEED_CHARS = 200
#: the marks of most families that think
THINK = ("<think>", "</think>")
_HOLE = "…"


def one_of(options: Sequence[Node]) -> Node:
    """Raises InputError when nothing at all may be said."""
    if not options:
        raise InputError(
            "no tool may be called, declining and asking are not allowed: nothing can be answered",
            hint="Allow at least one tool or set allow_none.",
        )
    return options[0] if len(options) == 1 else Alt(tuple(options))


def mark(text: str) -> Node:
    """`text` as a piece of its own, so that matchers need not ask where it may end: of two marks that may stand at one
    place, where one begins the other, they go on differently (names end in a quote or in what is in no name).
    """
    return token(Lit(text))


def plain_text(without: Iterable[str], high: int = MAX_TEXT_CHARS) -> Node:
    """1 to `high` characters, none of them in `without` or a control other than a new line, the first not blank."""
    others = tuple((ord(char), ord(char)) for char in sorted(set(without)))
    first = Chars(((0, 0x20), *others), negated=True)
    later = Chars(((0, 9), (0xB, 0x1F), *others), negated=True)
    return token(Seq((first, Repeat(later, 0, high - 1))))


def free_of(closing: str) -> Node:
    """Any text in which `closing` does not occur; the first character of `closing` is not in it again.

    Written out, since llguidance runs out of room with the `Minus` of a bounded text.
    """
    head = ord(closing[0])
    other = repeat(Chars(((head, head),), negated=True))
    rest: Node = NOTHING  # after the first character and some more of the mark: anything but all of it
    for char in reversed(closing[1:]):
        wrong = Chars(((head, head), (ord(char), ord(char))), negated=True)
        rest = optional(alt(seq(wrong, other), seq(Lit(char), rest)))
    return seq(other, repeat(seq(Lit(closing[0]), rest)))


class Family:
    """Base of all dialects; stateless. Implements `base.Dialect`."""

    name: ClassVar[str]
    stops: ClassVar[tuple[str, ...]]
    #: every spelling that content from outside must not contain
    specials: ClassVar[tuple[str, ...]]

    #: a turn is `turn_open role turn_middle body turn_close`
    turn_open: ClassVar[str]
    turn_middle: ClassVar[str]
    turn_close: ClassVar[str]
    roles: ClassVar[Mapping[str, str]] = {}
    #: what follows the open assistant turn in a prompt
    lead_in: ClassVar[str] = ""

    #: around and between tool descriptions
    before_tool: ClassVar[str] = ""
    between_tools: ClassVar[str] = ""
    after_tool: ClassVar[str] = ""
    after_tools: ClassVar[str] = ""
    indent: ClassVar[int | None] = None
    #: whether a tool is shown inside {"type": "function", "function": …}
    wrapped: ClassVar[bool] = True

    #: an answer with calls starts with, or (`inline`) contains, an opener
    openers: ClassVar[tuple[str, ...]]
    inline: ClassVar[bool] = True
    #: around and between all calls of an answer
    before_calls: ClassVar[str] = ""
    between_calls: ClassVar[str] = ""
    after_calls: ClassVar[str] = ""
    #: whether the family writes text after its calls
    trailing: ClassVar[bool] = False
    #: around a thought, blanks included; None: the family was not trained to think
    thought: ClassVar[tuple[str, str] | None] = None

    # -- writing: the prompt and the calls in it

    def clean(self, text: str) -> str:
        return escape(text, self.specials)

    def clean_json(self, text: str) -> str:
        return escape_json(text, self.specials)

    def start(self, role: str) -> str:
        return f"{self.turn_open}{self.roles.get(role, role)}{self.turn_middle}"

    def turn(self, role: str, body: str) -> str:
        return f"{self.start(role)}{body}{self.turn_close}"

    def render(self, messages: Sequence[Message], tools: Sequence[ToolSpec]) -> Prompt:
        system, rest = self.split(messages)
        tail = self.conversation(rest) + self.start("assistant") + self.lead_in
        if not tools:
            return Prompt(self.turn("system", system) if system else "", (), tail)
        head = self.start("system") + self.preface(system)
        return Prompt(head, self.render_tools(tools), self.after_tools + self.turn_close + tail)

    def thinking(self, prompt: Prompt) -> Prompt:
        return Prompt(prompt.head, prompt.blocks, prompt.tail.removesuffix(self.lead_in))

    def split(self, messages: Sequence[Message]) -> tuple[str, Sequence[Message]]:
        """Cleaned text of the leading system message (may be empty), and the other messages."""
        if messages and messages[0].role == "system":
            return self.clean(messages[0].content), messages[1:]
        return "", messages

    def preface(self, system: str) -> str:
        """System text up to the first tool."""
        raise NotImplementedError

    def conversation(self, messages: Sequence[Message]) -> str:
        parts: list[str] = []
        for is_result, group in groupby(messages, lambda message: message.role == "tool"):
            if is_result:
                parts.append(self.results(list(group)))
            else:
                parts.extend(self.turn(message.role, self.body(message)) for message in group)
        return "".join(parts)

    def body(self, message: Message) -> str:
        return self.clean(message.content) + self.write(message.calls)

    def results(self, messages: Sequence[Message]) -> str:
        """Consecutive tool messages."""
        return "".join(self.turn("tool", self.clean(message.content)) for message in messages)

    def render_tools(self, tools: Sequence[ToolSpec]) -> tuple[str, ...]:
        return tuple(
            f"{self.between_tools if index else ''}{self.before_tool}{self.describe(tool)}{self.after_tool}"
            for index, tool in enumerate(tools)
        )

    def describe(self, tool: ToolSpec) -> str:
        shown: dict[str, Any] = {
            "name": tool.name,
            "description": tool.description,
            "parameters": dict(tool.parameters),
        }
        if self.wrapped:
            shown = {"type": "function", "function": shown}
        return self.clean_json(spaced(shown, self.indent))

    def write(self, calls: Sequence[Call]) -> str:
        """An assistant's answer that makes these calls; empty without any."""
        if not calls:
            return ""
        written = []
        for call in calls:
            before, after = self.frame(call.name)
            written.append(f"{before}{self.arguments(call)}{after}")
        return f"{self.before_calls}{self.between_calls.join(written)}{self.after_calls}"

    def answer(self, reply: Reply) -> str:
        """A whole answer as the family writes it, end-of-turn marker not included; `parse_calls` reads it back."""
        return self.write(reply.calls) or self.clean(reply.text)

    def opening(self, name: str) -> str:
        return f"{self.before_calls}{self.frame(name)[0]}".rstrip()

    def frame(self, name: str) -> tuple[str, str]:
        """What stands before and after the arguments of a call."""
        return f'{{"name": {self.clean_json(spaced(name))}, "arguments": ', "}"

    def bare(self, name: str) -> str:
        """`name`, for families that cannot quote it. Raises InputError if it would need quotes."""
        if not NAME.fullmatch(name):
            raise InputError(
                f"tool {name!r} cannot be called in {self.name}: blanks, quotes or brackets in its name",
                hint="Rename the tool, or choose another dialect.",
            )
        return name

    def arguments(self, call: Call) -> str:
        return self.clean_json(spaced(dict(call.arguments)))

    # -- the language of one answer

    def wrap_grammar(self, rules: CallRules) -> Node:
        if NEED.name in {*rules.arguments, *(rules.planned or ())}:
            raise InputError(
                f"a tool cannot be named {NEED.name!r}: the name says that a tool is missing",
                hint="Rename the tool.",
            )
        options = [self.calls_node(rules)] if rules.arguments and rules.max_calls > 0 else []
        if rules.need_tool:
            options.append(self.need_node())
        return seq(self.thought_node(rules.think), one_of([*options, *self.declining(rules)]))

    def declining(self, rules: CallRules) -> list[Node]:
        """The answers without a call."""
        said = plain_text({"<", *(opener[0] for opener in self.openers)})
        return [said] if rules.allow_none or rules.askable else []

    def calls_node(self, rules: CallRules) -> Node:
        first = self.call_node(rules.arguments)
        more = 0 if rules.planned == {} else rules.max_calls - 1
        later = self.call_node(rules.planned) if more and rules.planned else first
        return self.listed(first, seq(mark(self.between_calls), later), more)

    def listed(self, first: Node, then: Node, more: int) -> Node:
        """`first`, and up to `more` of `then`."""
        return seq(mark(self.before_calls), first, repeat(then, 0, more), mark(self.after_calls))

    def call_node(self, arguments: Mapping[str, Node]) -> Node:
        frames = ((self.frame(name), node) for name, node in arguments.items())
        return one_of([seq(mark(before), node, mark(after)) for (before, after), node in frames])

    def need_node(self) -> Node:
        """`NEED` called as this family writes any call, with a description of one line."""
        before, after = self.arguments(Call(NEED.name, {"description": _HOLE})).split(_HOLE)
        described = seq(mark(before), plain_text('<"\\\n', MAX_NEED_CHARS), mark(after))
        return self.calls_node(CallRules({NEED.name: described}))

    def thought_node(self, high: int) -> Node:
        """At most `high` characters of any text that does not hold the closing mark, in marks; or nothing at all."""
        if not 0 <= high <= MAX_COUNT:
            raise InputError(f"a thought of at most {high} characters: the bound must be from 0 to {MAX_COUNT}")
        if not high or not self.thought:
            return EMPTY
        opening, closing = self.thought
        # In this order, because GBNF is given the first of the two where both would be too large.
        bounded = And(free_of(closing.strip(BLANKS)), repeat(Chars((), negated=True), 0, high))
        return optional(token(seq(Lit(opening), bounded, Lit(closing))))

    # -- reading an answer

    def parse_calls(self, text: str) -> Reply:
        reader = self.reader(text)
        thought = self.skip_thought(reader)
        start = reader.pos
        if start == len(reader.text):
            raise reader.refuse("an answer")
        reader.pos = self.find_calls(reader)
        at = reader.pos
        said = [reader.text[start:at].strip(BLANKS)]
        calls: list[Call] = []
        if reader.pos < len(reader.text):
            calls = self.read(reader)
            reader.blanks()
            if reader.pos < len(reader.text) and not self.trailing:
                raise reader.refuse("the end of the answer")
            said.append(reader.text[reader.pos :])
        return self.reply(calls, reader, at, Reply(text="\n".join(filter(None, said)), extra=thought))

    def reply(self, calls: Sequence[Call], reader: Reader, at: int, beside: Reply) -> Reply:
        """`beside` with the calls that stand at `at`, or with the need they tell of."""
        if all(call.name != NEED.name for call in calls):
            return replace(beside, calls=tuple(calls))
        described = calls[0].arguments.get("description")
        alone = len(calls) == 1 and len(calls[0].arguments) == 1
        if not alone or not isinstance(described, str) or not (need := described.strip(BLANKS)):
            raise reader.refuse(f"{NEED.name} alone, with nothing but a description", at)
        return replace(beside, need=need)

    def reader(self, text: str) -> Reader:
        """A cursor over the answer without the blanks and the end-of-turn mark that may follow it."""
        if len(text) > MAX_ANSWER_CHARS:
            raise Reader(text, self.name, MAX_ANSWER_CHARS).refuse("the end of the answer")
        body = text.rstrip(BLANKS)
        for stop in self.stops:
            body = body.removesuffix(stop).rstrip(BLANKS)
        return Reader(body, self.name)

    def skip_thought(self, reader: Reader) -> Mapping[str, Any]:
        """Reasoning models may think first, whatever they were asked and in whatever dialect."""
        for opening, closing in (THINK, self.thought or THINK):
            closing = closing.strip(BLANKS)
            if reader.take(opening.strip(BLANKS)):
                end = reader.text.find(closing, reader.pos)
                if end < 0:
                    raise reader.refuse(f"a closing {closing}", len(reader.text))
                thought = reader.text[reader.pos : end].strip(BLANKS)
                reader.pos = end + len(closing)
                reader.blanks()
                return {"thought": thought} if thought else {}
        return {}

    def find_calls(self, reader: Reader) -> int:
        """Where the calls start; the end of the text when there are none."""
        if not self.inline:
            return reader.pos if reader.peek(*self.openers) else len(reader.text)
        found = [at for opener in self.openers if (at := reader.text.find(opener, reader.pos)) >= 0]
        return min(found, default=len(reader.text))

    def read(self, reader: Reader) -> list[Call]:
        """The calls at the cursor."""
        raise NotImplementedError

    def read_tagged(self, reader: Reader, closer: str, inner: Callable[[Reader], list[Call]] = read_json) -> list[Call]:
        """Any number of `opener calls closer`; the last closer may be missing at the very end."""
        calls: list[Call] = []
        while reader.take(self.openers[0]):
            calls += inner(reader)
            if reader.text[reader.pos :].strip(BLANKS):
                reader.need(closer)
        return calls
