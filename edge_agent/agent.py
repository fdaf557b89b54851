"""The agent: one sentence becomes verified actions. `Agent.run` is the eight steps, in order.

    agent = Agent()
    for event in agent.run("remind me to water the plants in 20 minutes"):
        print(event)
    result = agent.ask("what time is it in Tokyo")      # the same, as one value
    person = extract("Ann Lee, 41, from Leeds", Person)  # no tools: text to a pydantic model
"""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from . import config, dialects, prompt
from .confidence import Confidence, score, unanswered
from .decode import Decoding, Session, decode, legal_mass
from .dialects.base import Message, Reply
from .errors import EXIT_ASKED, EXIT_DECLINED, EXIT_OK, EdgeAgentError, InputError, StoreError
from .events import Answered, CallFinished, CallStarted, Decided, Decoded, Event, Notice, Prompted, Retrieved, Verified
from .execute import Approver, Gateway
from .gate import Decision, decide
from .journal import Journal
from .ledger import CallRow, Ledger, Row
from .retrieve import ToolIndex
from .tools import Registry, Tool
from .verify import Verdict, verify

if TYPE_CHECKING:
    from pydantic import BaseModel

    from .engine.base import Engine
    from .host import Host
    from .power import PowerMonitor

    Extracted = TypeVar("Extracted", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Result:
    """A finished request. `exit_code` is what `edge-agent ask` returns; `calls` ran in this order.

    decision: act, ask, decline, or failed (a call was made and its tool failed).
    energy: joules with bounds, source, scope and method, or None values when unknown; steps_ms by step name.
    """

    id: str
    text: str
    answer: str
    decision: str
    confidence: float
    calls: tuple[CallRow, ...] = ()
    asks: tuple[str, ...] = ()
    error: str = ""
    exit_code: int = EXIT_OK
    tokens: Mapping[str, int] = field(default_factory=dict)
    steps_ms: Mapping[str, float] = field(default_factory=dict)
    elapsed_ms: float = 0.0
    energy: Mapping[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(slots=True)
class Conversation:
    """Earlier turns, and the person's words that still wait for an answer. Pass the same one to every `run`."""

    turns: list[Message] = field(default_factory=list)
    open_words: list[str] = field(default_factory=list)


@dataclass(slots=True)
class _Trip:
    """The working state of one request."""

    id: str
    text: str
    began: float
    steps_ms: dict[str, float] = field(default_factory=dict)
    tokens: dict[str, int] = field(default_factory=lambda: dict.fromkeys(("prompt", "reused", "generated", "forced", "passes"), 0))
    kept: tuple[str, ...] = ()
    calls: list[CallRow] = field(default_factory=list)
    said: list[str] = field(default_factory=list)

    def lap(self, step: str, since: float) -> float:
        elapsed = (time.perf_counter() - since) * 1e3
        self.steps_ms[step] = self.steps_ms.get(step, 0.0) + elapsed
        return elapsed


class Agent:
    """An agent for one user on one machine.

    Args:
        settings: Defaults to the user's `config.toml`.
        tools: Tools instead of the built-in packs of `settings.packs`.
        model, dialect: A catalogue name or a GGUF path, and its dialect when the catalogue does not know it.
        engine: A loaded engine instead of one opened from `model`.
        home, dirs: Folders of the person and of edge_agent. now: the clock (aware).
        approve: Asked before irreversible and egress calls; without it they are refused.
        offline: Egress tools are refused and nothing is downloaded.

    The model is loaded by the first request (or `load`). One request runs at a time; others wait.
    """

    def __init__(
        self,
        *,
        settings: config.Settings | None = None,
        tools: Iterable[Tool] | None = None,
        model: str | None = None,
        dialect: str | None = None,
        engine: Engine | None = None,
        home: Path | None = None,
        dirs: config.Dirs | None = None,
        host: Host | None = None,
        now: Callable[[], datetime] | None = None,
        approve: Approver | None = None,
        offline: bool = False,
        monitor: PowerMonitor | None = None,
    ) -> None:
        self.settings = settings or config.load()
        self.dirs = dirs or config.Dirs.default()
        self._model, self._dialect_name = model or self.settings.model or None, dialect
        self._engine = engine
        self._session: Session | None = None
        self._dialect = dialects.get(dialect or "smollm2") if engine else None
        self._untuned = True
        self._now = now or _local_now(self.settings)
        self._monitor = monitor
        self._lock = threading.Lock()
        self._offline = offline
        if tools is None:
            from .toolpacks import load

            tools = load(self.settings.packs)
        self.registry = Registry(tools)
        self.journal = Journal(self.dirs.data)
        self.ledger = Ledger(
            self.dirs.data, store_content=self.settings.store_content, retention_days=self.settings.retention_days
        )
        if host is None:
            from .host import local_host

            host = local_host()
        self.gateway = Gateway(
            self.registry,
            self.journal,
            host,
            home=home or Path.home(),
            data=self.dirs.data,
            settings=self.settings.pack_settings(),
            approve=approve,
            offline=offline,
            timeout_s=self.settings.tool_timeout_s,
        )
        self._shown = {self.registry.shown_name(tool): tool for tool in self.registry}
        self._index = ToolIndex(self._shown)

    # -- the eight steps -------------------------------------------------------------------------------

    def run(self, text: str, conversation: Conversation | None = None, *, dry_run: bool = False) -> Iterator[Event]:
        """Yields events until `Answered`. With `dry_run` no tool runs; the answer says what would.

        Raises InputError for unusable text and EngineError or ModelError when no model answers; errors of
        tools are part of the answer. The ledger row is written in every case.
        """
        text = config.clean_text(text)
        conversation = conversation or Conversation()
        trip = _Trip(uuid.uuid4().hex, text, time.perf_counter())
        with self._lock:
            yield from self.load()
            monitor = self._power()
            with monitor.span() as span:
                try:
                    steps = self._steps(trip, conversation, dry_run, span.stage)
                    ended = yield from steps
                except EdgeAgentError as error:
                    ended = Result(trip.id, text, "", "failed", 0.0, error=str(error), exit_code=error.exit_code)
                    self._write(trip, ended)
                    raise
            result = replace(
                ended,
                calls=tuple(trip.calls),
                tokens=dict(trip.tokens),
                steps_ms={step: round(ms, 2) for step, ms in trip.steps_ms.items()},
                elapsed_ms=round((time.perf_counter() - trip.began) * 1e3, 2),
                energy=span.energy.as_dict(),
            )
            stages = {name: each.joules for name, each in span.stages.items() if each.joules is not None}
            self._write(trip, result, stages)
        yield Answered(result.answer, result.as_dict())

    def _steps(
        self, trip: _Trip, conversation: Conversation, dry_run: bool, stage: Callable[[str], None]
    ) -> Iterator[Event]:
        now = self._now()
        words = "\n".join([*conversation.open_words, trip.text])
        turns = [*conversation.turns, Message("user", trip.text)]
        retries_left = 1
        for _ in range(self.settings.max_steps + retries_left):
            # 1 retrieve
            stage("retrieve")
            began = time.perf_counter()
            ranked = self._index.rank(words, self.settings.tools_kept)
            kept = {each.name: self._shown[each.name] for each in ranked}
            trip.kept = tuple(kept)
            elapsed = trip.lap("retrieve", began)
            yield Retrieved(len(self._shown), trip.kept, tuple(each.score for each in ranked), elapsed)

            # 2 prompt
            stage("prompt")
            began = time.perf_counter()
            assert self._dialect and self._session and self._engine
            shots = self._index.shots(words, trip.kept, self.settings.shots_per_tool) if self._untuned else []
            text = prompt.build(self._dialect, kept, shots, turns, chat_shots=self.settings.chat_shots * self._untuned).text
            tokens = self._engine.tokenize(text)
            logits, reused = self._session.prefill(tokens)
            trip.tokens["prompt"] += len(tokens)
            trip.tokens["reused"] += reused
            yield Prompted(len(tokens), reused, trip.lap("prompt", began))

            # 3 grammar
            stage("grammar")
            began = time.perf_counter()
            askable = () if self._untuned else _required(kept)
            sayable = prompt.sayable(self._dialect, kept, words, now, max_calls=self.settings.max_calls, askable=askable)
            trip.lap("grammar", began)

            # 4 decode
            stage("decode")
            began = time.perf_counter()
            decoding, calling = self._decode(logits, sayable)
            trip.tokens["generated"] += decoding.tokens
            trip.tokens["forced"] += decoding.forced_tokens
            trip.tokens["passes"] += decoding.passes
            elapsed = trip.lap("decode", began)
            yield Decoded(decoding.text, decoding.tokens, decoding.forced_tokens, decoding.passes, calling, elapsed)

            # 5 verify
            stage("verify")
            began = time.perf_counter()
            reply = self._dialect.parse_calls(decoding.text)
            verdicts, confidences = self._verify(reply, decoding, words, calling)
            trip.lap("verify", began)
            for verdict, sure in zip(verdicts, confidences, strict=False):
                yield Verified(verdict.call.name, verdict.call.arguments, verdict.outcome, verdict.reason, verdict.sources, sure.value)

            # 6 gate
            missing = tuple(p for verdict in verdicts for p in sayable.missing.get(verdict.call.name, ()))
            asked = Reply(asks=missing) if missing else reply
            decision = decide(asked, verdicts, confidences, self.settings, retries_left=retries_left)
            yield Decided(decision.kind, decision.reason, decision.confidence, confidences[0].calibrated)
            if decision.kind == "retry":
                retries_left -= 1
                turns += [Message("assistant", calls=reply.calls), Message("tool", f"error: {decision.reason}", name=reply.calls[0].name)]
                continue
            if decision.kind != "act":
                return self._not_acting(trip, conversation, decision, verdicts)

            # 7 execute
            stage("execute")
            began = time.perf_counter()
            error = yield from self._execute(trip, verdicts, now, dry_run)
            trip.lap("execute", began)

            # 8 answer, or once more from step 1 with the results
            turns.append(Message("assistant", calls=reply.calls))
            turns += [Message("tool", row.result or row.error, name=row.tool) for row in trip.calls[-len(reply.calls) :]]
            if error or dry_run or self.settings.max_steps == 1:
                break
        conversation.turns, conversation.open_words = turns, []
        answer = "\n".join(trip.said)
        code, message = (error.exit_code, str(error)) if error else (EXIT_OK, "")
        return Result(trip.id, trip.text, answer, "failed" if error else "act", decision.confidence, error=message, exit_code=code)

    # -- parts of the steps ----------------------------------------------------------------------------

    def _decode(self, logits: Any, sayable: prompt.Sayable) -> tuple[Decoding, float]:
        """The answer and the probability of calling. Declining is a threshold, not an argmax."""
        from .grammar.matcher import TokenMatcher

        assert self._engine and self._session
        tokenizer = self._engine.guidance_tokenizer()
        whole = TokenMatcher(sayable.grammar, tokenizer)
        if sayable.calls_only is None:
            return decode(self._session, logits, whole), 0.0
        calls = TokenMatcher(sayable.calls_only, tokenizer)
        calling = legal_mass(logits, calls, whole)
        chosen = whole if 1.0 - calling > self.settings.decline_above else calls
        return decode(self._session, logits, chosen), calling

    def _verify(
        self, reply: Reply, decoding: Decoding, words: str, calling: float
    ) -> tuple[list[Verdict], list[Confidence]]:
        verdicts = [verify(call, self.registry, words) for call in reply.calls]
        confidences, offset = [], 0
        for verdict in verdicts:
            sure, offset = score(decoding, verdict, offset)
            confidences.append(sure)
        return verdicts, confidences or [unanswered(calling)]

    def _not_acting(
        self, trip: _Trip, conversation: Conversation, decision: Decision, verdicts: Sequence[Verdict]
    ) -> Result:
        if decision.kind == "ask":
            tool = verdicts[0].tool if verdicts else None
            answer = _question(decision.asks, tool)
            conversation.open_words.append(trip.text)
            return Result(trip.id, trip.text, answer, "ask", decision.confidence, asks=decision.asks, exit_code=EXIT_ASKED)
        answer = "I have no tool for that." if not verdicts else f"I could not do that: {decision.reason}."
        conversation.open_words = []
        return Result(trip.id, trip.text, answer, "decline", decision.confidence, exit_code=EXIT_DECLINED)

    def _execute(
        self, trip: _Trip, verdicts: Sequence[Verdict], now: datetime, dry_run: bool
    ) -> Iterator[Event]:
        """Runs the calls in order; stops at the first failure and returns its error, if any."""
        for verdict in verdicts:
            tool, arguments = verdict.tool, verdict.call.arguments
            assert tool is not None
            yield CallStarted(tool.qualified, arguments, tool.effect)
            if dry_run:
                shown = ", ".join(f"{name}={value!r}" for name, value in arguments.items())
                trip.said.append(f"Would run {tool.qualified}({shown}) [{tool.effect}].")
                trip.calls.append(CallRow(tool.qualified, arguments, "", "", 0, 0.0))
                continue
            try:
                done = self.gateway.run(trip.id, tool, arguments, now)
            except EdgeAgentError as error:
                said = str(error) + (f" ({error.hint})" if error.hint else "")
                trip.said.append(said)
                trip.calls.append(CallRow(tool.qualified, arguments, "", said, 0, 0.0))
                yield CallFinished(tool.qualified, error=said)
                return error
            trip.said.append(done.result.text)
            trip.calls.append(CallRow(tool.qualified, arguments, done.result.text, "", done.action, done.elapsed_ms))
            yield CallFinished(tool.qualified, done.result.text, done.result.data, "", done.action, done.elapsed_ms)
        return None

    def _write(self, trip: _Trip, result: Result, stages: Mapping[str, float] | None = None) -> None:
        assert self._engine
        self.ledger.add(
            Row(
                id=trip.id,
                at=time.time(),
                model=Path(self._engine.info.model).name,
                text=trip.text,
                answer=result.answer,
                tools_offered=len(self._shown),
                tools_kept=trip.kept,
                prompt_tokens=trip.tokens["prompt"],
                reused_tokens=trip.tokens["reused"],
                generated_tokens=trip.tokens["generated"],
                forced_tokens=trip.tokens["forced"],
                elapsed_ms=result.elapsed_ms,
                steps_ms=result.steps_ms,
                energy=result.energy or None,
                steps_joules=stages or None,
                confidence=result.confidence,
                decision=result.decision,
                error=result.error or None,
                calls=tuple(trip.calls),
            )
        )

    # -- around the steps ------------------------------------------------------------------------------

    def ask(self, text: str, conversation: Conversation | None = None, *, dry_run: bool = False) -> Result:
        """`run` as one value."""
        for event in self.run(text, conversation, dry_run=dry_run):
            if isinstance(event, Answered):
                return Result(**{**event.result, "calls": tuple(CallRow(**row) for row in event.result["calls"])})
        raise AssertionError("run always ends in Answered")

    def load(self) -> Iterator[Event]:
        """Loads the model unless it is loaded; yields a Notice while it is prepared for this CPU the first time."""
        for action in self.journal.settle():
            yield Notice(f"{action.tool} was interrupted: {action.note}")
        if self._engine is None:
            from .engine import open_engine
            from .models import Store
            from .prepare import find, prepare

            store = Store(self.dirs.data / "models")
            model = store.resolve(self._model or store.current(), dialect=self._dialect_name)
            prepared = find(store, model)
            if prepared is None and model.entry and model.entry.default:
                yield Notice(f"Preparing {model.entry.name} for this CPU, once …")
                try:
                    prepared = prepare(store, model)
                except StoreError as error:
                    yield Notice(f"Not prepared ({error}); the model runs as it was shipped, slower.")
            path, sha256, kernels = (
                (prepared.path, prepared.sha256, prepared.kernels) if prepared else (model.path, model.sha256, None)
            )
            self._dialect = dialects.get(model.dialect)
            self._engine = open_engine(path, self.settings, sha256=sha256, kernels=kernels)
            self._untuned = not (model.entry and model.entry.adapter)
        if self._session is None:
            self._session = Session(self._engine)

    def _power(self) -> PowerMonitor:
        if self._monitor is None:
            from .power import PowerMonitor

            self._monitor = PowerMonitor()
        return self._monitor

    def close(self) -> None:
        """Frees the model and closes the databases; the agent can be used again and loads anew."""
        with self._lock:
            if self._engine is not None:
                self._engine.close()
            self._engine = self._session = None
            if self._monitor is not None:
                self._monitor.stop()
            self.journal.close()
            self.ledger.close()

    def __enter__(self) -> Agent:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def extract(text: str, model: type[Extracted], *, agent: Agent | None = None) -> Extracted:
    """Reads `text` into a pydantic model: the model's JSON Schema becomes the grammar, so the result is valid.

    Constraints that the grammar cannot hold are checked afterwards; raises InputError naming the field.
    """
    from pydantic import ValidationError

    from .grammar import compile_schema
    from .tools import clean_schema

    own = agent or Agent(tools=())
    try:
        for _ in own.load():
            pass
        assert own._dialect and own._engine and own._session
        schema = clean_schema(model.model_json_schema())
        question = f"{config.clean_text(text)}\n\nWrite this as JSON with: {', '.join(schema.get('properties', {}))}."
        tokens = own._engine.tokenize(own._dialect.render([Message("user", question)], []).text)
        logits, _ = own._session.prefill(tokens)
        decoding = decode(own._session, logits, compile_schema(schema, name=model.__name__).grammar, max_tokens=1024)
        return model.model_validate_json(decoding.text)
    except ValidationError as error:
        first = error.errors()[0]
        raise InputError(f"{model.__name__}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from error
    finally:
        if agent is None:
            own.close()


def _required(tools: Mapping[str, Tool]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(p for tool in tools.values() for p in tool.parameters.get("required", ())))


def _question(asks: Sequence[str], tool: Tool | None) -> str:
    described: Mapping[str, Any] = tool.parameters.get("properties", {}) if tool else {}
    parts = []
    for name in asks:
        about = str(described.get(name, {}).get("description") or "").rstrip(".")
        parts.append(f"{name.replace('_', ' ')} ({about})" if about else name.replace("_", " "))
    purpose = f" to {tool.name.replace('_', ' ')}" if tool else ""
    return f"I need more{purpose}: {'; '.join(parts) or 'please say more'}?"


def _local_now(settings: config.Settings) -> Callable[[], datetime]:
    def now() -> datetime:
        from zoneinfo import ZoneInfo

        from tzlocal import get_localzone

        return datetime.now(ZoneInfo(settings.timezone) if settings.timezone else get_localzone())

    return now
