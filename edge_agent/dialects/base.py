"""The dialect seam: how one model family is shown tools, writes a call, and is read back.

A dialect is chosen by `models.toml` (or `--dialect`), never sniffed. It is pure text work: no engine, no I/O.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from ..grammar.ir import Node

Role = Literal["system", "user", "assistant", "tool"]


@dataclass(frozen=True, slots=True)
class Call:
    """One tool call as the model wrote it. `arguments` is parsed JSON, not yet validated."""

    name: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Message:
    """One turn. `calls` only on assistant turns; `name` is the tool's name on tool turns."""

    role: Role
    content: str = ""
    calls: tuple[Call, ...] = ()
    name: str | None = None


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """What a model is told of a tool: its name, one description, its JSON Schema of arguments."""

    name: str
    description: str
    parameters: Mapping[str, Any]


#: How a model says that it needs a tool it was not shown: a call of this name, alone. Shown like a tool to models
#: that are to know of it. The name is reserved: `wrap_grammar` refuses a tool that bears it.
NEED = ToolSpec(
    "need_tool",
    "Asks for a tool that is not shown here, when none of the tools fits.",
    {
        "type": "object",
        "properties": {"description": {"type": "string", "description": "What the tool should do."}},
        "required": ["description"],
    },
)


@dataclass(frozen=True, slots=True)
class Prompt:
    """Text in cache order. The whole prompt is `head + "".join(blocks) + tail`.

    head: system text up to the first tool; the same for every request.
    blocks: one text per tool, in the order given.
    tail: everything after the tools, volatile facts last, ending where the model starts to write.
    """

    head: str
    blocks: tuple[str, ...]
    tail: str

    @property
    def text(self) -> str:
        return self.head + "".join(self.blocks) + self.tail


@dataclass(frozen=True, slots=True)
class CallRules:
    """What may be said now.

    arguments: tool name -> grammar node of its JSON arguments object; tools absent here cannot be called.
    askable: names of parameters the model may ask the person for (empty: asking is not legal).
    max_calls: upper bound of calls in one answer; more than one are independent of each other, or a plan.
    allow_none: whether "no tool fits" is legal.
    need_tool: whether the model may say that it needs a tool it was not shown.
    planned: makes several calls a plan: the same as `arguments` for the second call and all later ones, where values
        may be references to earlier results (`grammar.plan.reference`). Empty: there is no second call.
    think: most characters that may be thought before the answer, in the family's own marks; families that were not
        trained to think have none and do not.
    """

    arguments: Mapping[str, Node]
    askable: tuple[str, ...] = ()
    max_calls: int = 1
    allow_none: bool = True
    need_tool: bool = False
    planned: Mapping[str, Node] | None = None
    think: int = 0


@dataclass(frozen=True, slots=True)
class Reply:
    """What the model wrote, parsed: calls, or the parameters it asks for, or the tool it needs, or nothing fits
    (`text` may explain). References in calls are still the strings that were written. `extra["thought"]`: what was
    thought first, if anything.
    """

    calls: tuple[Call, ...] = ()
    asks: tuple[str, ...] = ()
    text: str = ""
    extra: Mapping[str, Any] = field(default_factory=dict)
    need: str = ""


class Dialect(Protocol):
    """Contract of one family. Implementations are stateless; one instance serves all threads."""

    name: str
    #: texts that end the model's turn, special tokens included
    stops: tuple[str, ...]

    def render(self, messages: Sequence[Message], tools: Sequence[ToolSpec]) -> Prompt:
        """The exact prompt text, special tokens spelled out, without BOS, open for the assistant's turn."""
        ...

    def thinking(self, prompt: Prompt) -> Prompt:
        """A rendered prompt, made open for a thought where the family's usual prompt keeps the model from thinking."""
        ...

    def render_tools(self, tools: Sequence[ToolSpec]) -> tuple[str, ...]:
        """One block of text per tool, as they stand inside `Prompt.blocks`."""
        ...

    def answer(self, reply: Reply) -> str:
        """A whole answer as the family writes it, end-of-turn marker not included; `parse_calls` reads it back."""
        ...

    def opening(self, name: str) -> str:
        """The text with which an answer that calls tool `name` first begins, up to its arguments."""
        ...

    def wrap_grammar(self, rules: CallRules) -> Node:
        """The language of one whole answer, end-of-turn marker not included.

        Raises InputError when nothing may be said, a tool has a reserved name or one that cannot be written, or
        `think` is out of bounds.
        """
        ...

    def parse_calls(self, text: str) -> Reply:
        """Reads an answer back. Raises `InputError` naming the position when it is not in this dialect."""
        ...
