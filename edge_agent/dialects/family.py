"""What the families share: turns, where tools stand in the prompt, the shape of an answer.

A family fills in the marks of its turns and of its calls; grammar, writing and reading follow from them. An
answer of a foreign family is one or more calls, or plain text: declining and asking have no form of their own
there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any, ClassVar

from ..errors import InputError
from ..grammar.ir import Alt, Chars, Lit, Node, Repeat, Seq
from .base import Call, CallRules, Message, Prompt, Reply, ToolSpec
from .calls import read_json, spaced
from .escape import escape, escape_json
from .reader import BLANKS, MAX_ANSWER_CHARS, NAME, Reader

#: longest plain-text answer a grammar allows, in characters
MAX_TEXT_CHARS = 400
_THINK, _THOUGHT = "<think>", "</think>"


def one_of(options: Sequence[Node]) -> Node:
    """Raises InputError when nothing at all may be said."""
    if not options:
        raise InputError(
            "no tool may be called, declining and asking are not allowed: nothing can be answered",
            hint="Allow at least one tool or set allow_none.",
        )
    return options[0] if len(options) == 1 else Alt(tuple(options))


def joined(item: Node, separator: str, high: int) -> Node:
    """One to `high` items."""
    if high == 1:
        return item
    return Seq((item, Repeat(Seq((Lit(separator), item)), 0, high - 1)))


def plain_text(without: Iterable[str]) -> Node:
    """1 to `MAX_TEXT_CHARS` characters, none of them in `without` or a control, the first one not blank."""
    marks = tuple((ord(mark), ord(mark)) for mark in sorted(set(without)))
    first = Chars(((0, 0x20), *marks), negated=True)
    later = Chars(((0, 9), (0xB, 0x1F), *marks), negated=True)
    return Seq((first, Repeat(later, 0, MAX_TEXT_CHARS - 1)))


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
        options = [self.calls_node(rules)] if rules.arguments and rules.max_calls > 0 else []
        if rules.allow_none or rules.askable:
            options.append(plain_text({"<", *(opener[0] for opener in self.openers)}))
        return one_of(options)

    def calls_node(self, rules: CallRules) -> Node:
        calls = joined(self.call_node(rules), self.between_calls, rules.max_calls)
        if not self.before_calls:
            return calls
        return Seq((Lit(self.before_calls), calls, Lit(self.after_calls)))

    def call_node(self, rules: CallRules) -> Node:
        nodes: list[Node] = []
        for name, arguments in rules.arguments.items():
            before, after = self.frame(name)
            nodes.append(Seq((Lit(before), arguments, Lit(after)) if after else (Lit(before), arguments)))
        return one_of(nodes)

    # -- reading an answer

    def parse_calls(self, text: str) -> Reply:
        reader = self.reader(text)
        thought = self.skip_thought(reader)
        start = reader.pos
        if start == len(reader.text):
            raise reader.refuse("an answer")
        reader.pos = self.find_calls(reader)
        said = [reader.text[start : reader.pos].strip(BLANKS)]
        calls: list[Call] = []
        if reader.pos < len(reader.text):
            calls = self.read(reader)
            reader.blanks()
            if reader.pos < len(reader.text) and not self.trailing:
                raise reader.refuse("the end of the answer")
            said.append(reader.text[reader.pos :])
        return Reply(calls=tuple(calls), text="\n".join(filter(None, said)), extra=thought)

    def reader(self, text: str) -> Reader:
        """A cursor over the answer without the blanks and the end-of-turn mark that may follow it."""
        if len(text) > MAX_ANSWER_CHARS:
            raise Reader(text, self.name, MAX_ANSWER_CHARS).refuse("the end of the answer")
        body = text.rstrip(BLANKS)
        for stop in self.stops:
            body = body.removesuffix(stop).rstrip(BLANKS)
        return Reader(body, self.name)

    def skip_thought(self, reader: Reader) -> Mapping[str, Any]:
        """Reasoning models may think first, whatever they were asked."""
        if not reader.take(_THINK):
            return {}
        end = reader.text.find(_THOUGHT, reader.pos)
        if end < 0:
            raise reader.refuse(f"a closing {_THOUGHT}", len(reader.text))
        thought = reader.text[reader.pos : end].strip(BLANKS)
        reader.pos = end + len(_THOUGHT)
        reader.blanks()
        return {"thought": thought} if thought else {}

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
