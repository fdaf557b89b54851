"""What would the agent do? Rows of messages and tools in, calls out, nothing executed: the door for outside judges.

A row is `{"id", "messages": [{"role", "content", "tool_calls"?}], "tools": [{"name", "description", "parameters"}],
"now"?}`. It takes the same steps 1 to 6 as a sentence that a person says, over the row's tools instead of one's own.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .dialects.base import Call, Message
from .errors import EdgeAgentError, InputError
from .tools import Effect, Tool, tool_from_schema
from .workspace import whole_lines

if TYPE_CHECKING:
    from .agent import Agent

_ROLES = ("system", "user", "assistant", "tool")


@dataclass(frozen=True, slots=True)
class Prediction:
    """One row's answer. No calls and the decision `decline`: no tool fits.

    decision: act, ask, decline or escalate. asks: parameters the person would be asked for. calling: probability of
    calling rather than declining or asking. verified: there are calls, and each was valid by its tool's schema.
    error: why the row could not be answered.
    """

    id: str
    calls: tuple[Call, ...] = ()
    confidence: float = 0.0
    decision: str = "decline"
    asks: tuple[str, ...] = ()
    tokens: Mapping[str, int] = field(default_factory=dict)
    latency_ms: float = 0.0
    energy: Mapping[str, Any] = field(default_factory=dict)
    error: str = ""
    calling: float = 0.0
    verified: bool = False

    def as_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        return {**asdict(self), "asks": list(self.asks), "calls": [asdict(call) for call in self.calls]}

    @staticmethod
    def from_dict(values: Mapping[str, Any]) -> Prediction:
        """Inverse of `as_dict`."""
        calls = tuple(Call(each["name"], each["arguments"]) for each in values["calls"])
        return Prediction(**{**values, "calls": calls, "asks": tuple(values["asks"])})


class Predictor:
    """Answers rows with an agent's model and settings; the agent's own tools take no part."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent
        agent.loaded()

    def predict(self, row: Mapping[str, Any]) -> Prediction:
        """Never raises for what a row holds: `error` then says what and where. Cost: that of a request."""
        name = _id(row)
        try:
            turns, tools, now = read_row(row)
            answer, result = self._agent.over(tools).predict(turns, now)
        except EdgeAgentError as error:
            return Prediction(name, error=str(error))
        calls = tuple(verdict.call for verdict in answer.verdicts) if result.decision == "act" else ()
        return Prediction(
            name,
            calls,
            result.confidence,
            result.decision,
            result.asks,
            result.tokens,
            result.elapsed_ms,
            result.energy,
            calling=answer.calling,
            verified=bool(calls) and all(verdict.outcome != "fail" for verdict in answer.verdicts),
        )


def read_row(row: Mapping[str, Any]) -> tuple[list[Message], list[Tool], str]:
    """Turns, tools and `now` of a row. Raises InputError or SchemaError naming the place."""
    turns = [_message(turn, f"messages[{place}]") for place, turn in enumerate(_list(row, "messages"))]
    if not turns or turns[-1].role not in ("user", "tool"):
        raise InputError("messages must end with a user's turn or a tool's result")
    now = row.get("now") or ""
    if not isinstance(now, str):
        raise InputError(f"now must be a text, not {type(now).__name__}")
    tools = [tool_from_schema(tool, _refuse, effect=Effect.IRREVERSIBLE, pack="") for tool in _list(row, "tools")]
    return turns, tools, now


def _list(row: Mapping[str, Any], key: str) -> list[Any]:
    if not isinstance(found := row.get(key), list):
        raise InputError(f"{key} must be a list" if key in row else f"{key} is missing")
    return found


def _message(turn: Any, where: str) -> Message:
    if not isinstance(turn, Mapping) or turn.get("role") not in _ROLES:
        raise InputError(f"{where}: a turn has a role, one of {', '.join(_ROLES)}")
    content = turn.get("content")
    if isinstance(content, list):  # OpenAI's parts
        content = "\n".join(str(part.get("text", "")) for part in content if isinstance(part, Mapping))
    if not isinstance(content or "", str):
        raise InputError(f"{where}: content must be a text")
    calls = tuple(_call(each, where) for each in turn.get("tool_calls") or ())
    return Message(turn["role"], content or "", calls, turn.get("name"))


def _call(value: Any, where: str) -> Call:
    inner = value.get("function", value) if isinstance(value, Mapping) else {}
    arguments = inner.get("arguments", {})
    if isinstance(arguments, str):  # OpenAI writes them as JSON in a string
        with suppress(ValueError):
            arguments = json.loads(arguments)
    if not isinstance(inner.get("name"), str) or not isinstance(arguments, Mapping):
        raise InputError(f"{where}: a tool call has a name and arguments")
    return Call(inner["name"], arguments)


def _refuse(**_: Any) -> None:
    raise AssertionError("a predicted call never runs")


def predict_file(
    predictor: Predictor, rows: Path, out: Path, progress: Callable[[int, int], None] | None = None
) -> tuple[int, int]:
    """Answers every line of `rows`, in order, into `out`, one line each; returns how many there are, and how many of
    them could not be answered.

    What `out` holds already is kept and not answered again. Raises InputError when `out` does not belong to `rows`.
    """
    try:
        lines = [line for line in rows.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{rows}: {error}") from error
    done = [Prediction.from_dict(value) for value in whole_lines(out)]
    for place, line in enumerate(lines):
        row = _parsed(line)
        if place == len(done):
            made = predictor.predict(row) if isinstance(row, Mapping) else Prediction("", error=row)
            done.append(replace(made, error=made.error and f"{rows}, row {place + 1}: {made.error}"))
            with out.open("a", encoding="utf-8") as file:
                file.write(json.dumps(done[-1].as_dict(), ensure_ascii=False) + "\n")
        elif done[place].id != _id(row):
            raise InputError(f"{out}, line {place + 1}: not an answer to {rows}", hint="choose another --out")
        if progress:
            progress(place + 1, len(lines))
    return len(lines), sum(bool(each.error) for each in done)


def _id(row: Any) -> str:
    found = row.get("id", "") if isinstance(row, Mapping) else ""
    return found if isinstance(found, str) else json.dumps(found)


def _parsed(line: str) -> Any:
    """The row, or why it is none."""
    try:
        row = json.loads(line)
    except ValueError as error:
        return f"not JSON: {error}"
    return row if isinstance(row, dict) else f"a row is a JSON object, not {type(row).__name__}"
