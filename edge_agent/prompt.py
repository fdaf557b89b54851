"""Steps 2 and 3: what the model is shown, and everything it may say.

The prompt's order is fixed for reuse: system text, tool blocks, example turns, earlier turns, the request.
Models that were not tuned on tools get examples as earlier turns: sentences of the kept tools, nearest last,
and one sentence that no tool fits.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from .dialects.base import Call, CallRules, Dialect, Message, Prompt, ToolSpec
from .errors import SchemaError
from .grammar.ir import Grammar, Node, Ref
from .provenance import Span, candidates, copy_kinds, free_text
from .retrieve import Shot
from .tools import COPY_KEYWORD, Tool

#: Sentences that no tool of a laptop assistant fits, shown as examples of declining.
CHAT = (
    "tell me a joke about cats",
    "what do you think about love?",
    "thanks, you are great",
    "who won the war?",
)


#: what the descriptions of parameters say that take an absolute date or time
_DATED = re.compile(r"YYYY|\bISO\b|\bRFC ?3339|\bdate\b|\bdate-time\b|HH:MM|\btimestamp\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Sayable:
    """The language of one answer.

    grammar: all of it; calls_only: without declining and asking (None when there are no tools).
    missing: tool -> required parameters that have no legal value in the request. The tool may still be chosen,
        without them; the person is then asked.
    relaxed: constraints the grammar does not hold, checked after decoding.
    """

    grammar: Grammar
    calls_only: Grammar | None
    missing: Mapping[str, tuple[str, ...]]
    relaxed: tuple[str, ...]


def specs(tools: Mapping[str, Tool]) -> list[ToolSpec]:
    return [ToolSpec(name, tool.description, tool.parameters) for name, tool in tools.items()]


def situated(turns: Sequence[Message], now: str) -> list[Message]:
    """The turns with the moment (or place) of speaking in front of the last thing the person said."""
    last = max((index for index, turn in enumerate(turns) if turn.role == "user"), default=-1)
    if not now or last < 0:
        return list(turns)
    said = replace(turns[last], content=f"Now: {now}\n{turns[last].content}")
    return [*turns[:last], said, *turns[last + 1 :]]


def moment(tools: Mapping[str, Tool], now: datetime) -> str:
    """The present moment as models are told it, if one of these tools takes a date or time that is not copied."""
    for tool in tools.values():
        for schema in tool.parameters.get("properties", {}).values():
            about = f"{schema.get('format', '')} {schema.get('description', '')}" if isinstance(schema, Mapping) else ""
            if COPY_KEYWORD not in schema and _DATED.search(about):
                return now.strftime("%Y-%m-%d %A %H:%M")
    return ""


def required(tools: Mapping[str, Tool]) -> tuple[str, ...]:
    """Every parameter that one of these tools cannot do without."""
    return tuple(dict.fromkeys(p for tool in tools.values() for p in tool.parameters.get("required", ())))


def build(
    dialect: Dialect,
    tools: Mapping[str, Tool],
    shots: Sequence[Shot],
    turns: Sequence[Message],
    *,
    chat_shots: int,
) -> Prompt:
    """The prompt of a request. `turns` end with what was said last; `shots` are best first."""
    examples: list[Message] = []
    for shot in reversed(shots):
        examples.append(Message("user", shot.example.text))
        ordered = tools[shot.name].parameters.get("properties", {})  # the order in which the grammar has them
        arguments = {name: shot.example.arguments[name] for name in ordered if name in shot.example.arguments}
        examples.append(Message("assistant", calls=(Call(shot.name, arguments),)))
    declined: list[Message] = []
    for text in CHAT[:chat_shots]:
        declined += [Message("user", text), Message("assistant", "none")]
    return dialect.render([*declined, *examples, *turns], specs(tools))


def sayable(
    dialect: Dialect,
    tools: Mapping[str, Tool],
    said: str,
    now: datetime,
    *,
    max_calls: int,
    askable: Sequence[str] = (),
) -> Sayable:
    """Everything that may be answered to `said` (all the person's words that count).

    askable: parameters the model itself may ask for; empty for models not trained to ask.
    """
    from .grammar.cache import compile_cached
    from .grammar.ir import assemble

    spans: dict[str, tuple[Span, ...] | None] = {}
    arguments: dict[str, Node] = {}
    parts: list[Grammar] = []
    words: dict[str, Grammar] = {}
    missing: dict[str, tuple[str, ...]] = {}
    relaxed: list[str] = []
    for name, tool in tools.items():
        kinds = copy_kinds(tool)
        for kind in kinds.values():
            if kind not in spans:
                spans[kind] = candidates(kind, said, now)
        try:
            compiled = compile_cached(tool.parameters, name=name, copies=_copies(kinds, spans, said, words), call=True)
        except SchemaError as error:  # one tool's schema must not fail the others
            relaxed.append(f"{error.message}: it cannot be called")
            continue
        if compiled.impossible:
            missing[name] = compiled.impossible
        parts.append(compiled.grammar)
        arguments[name] = Ref(compiled.grammar.root)
        relaxed += map(str, compiled.report)
    parts += words.values()
    full = CallRules(arguments, tuple(askable), max_calls, allow_none=True)
    whole = assemble(dialect.wrap_grammar(full), parts)
    only = assemble(dialect.wrap_grammar(CallRules(arguments, (), max_calls, False)), parts) if arguments else None
    return Sayable(whole, only, missing, tuple(relaxed))


def _copies(
    kinds: Mapping[str, str],
    spans: Mapping[str, tuple[Span, ...] | None],
    said: str,
    words: dict[str, Grammar],
) -> dict[str, Node | None]:
    """For each kind of one tool: the grammar of its spans, or None when there is none.

    words: text -> grammar of its runs of words, shared by the tools of a request.
    """
    from .grammar.ir import alt
    from .grammar.span import choices, has_words, word_spans

    copies: dict[str, Node | None] = {}
    taken: list[Span] = []
    for kind in set(kinds.values()):
        found = spans[kind]
        if found is not None:
            spellings = [text for span in found for text in (span.text, span.short) if text]
            copies[kind] = choices(spellings) if found else None
            taken += found if len(found) == 1 else ()
    pieces = [piece for piece in free_text(said, taken).splitlines() if has_words(piece)]
    for piece in pieces:
        if piece not in words:
            words[piece] = word_spans(piece, max_words=len(piece), name=f"Words{len(words) + 1}")
    for kind in set(kinds.values()) - set(copies):
        copies[kind] = alt(*(Ref(words[piece].root) for piece in pieces)) if pieces else None
    return copies
