"""The agent: one sentence becomes verified actions. `Agent.run` is the eight steps, in order.

agent = Agent()
for event in agent.run("remind me to water the plants in 20 minutes"):
    print(event)
result = agent.ask("what time is it in Tokyo")      # the same, as one value
"""

from __future__ import annotations

import copy
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import choose, config, dialects, loading, prompt
from .clauses import split
from .confidence import Confidence, score, unanswered
from .decode import Decoding, Session, decode, legal_mass
from .dialects.base import Message, Reply
from .errors import EXIT_ASKED, EXIT_DECLINED, EdgeAgentError, EngineError, StoreError
from .events import (
    Answered,
    CallFinished,
    CallStarted,
    Decided,
    Decoded,
    Event,
    Notice,
    Prompted,
    Retrieved,
    Verified,
)
from .execute import Approver, Gateway
from .gate import decide
from .journal import Journal
from .ledger import CallRow, Ledger
from .loading import Loaded
from .request import Answer, Conversation, Result, Trip, last, question
from .retrieve import ToolIndex
from .tools import Registry, Tool
from .verify import Verdict, verify

if TYPE_CHECKING:
    from .engine.base import Engine
    from .host import Host
    from .power import PowerMonitor


#: tokens an answer may have beside the words it copies
_ANSWER_TOKENS = 384
#: turns of the person whose words still count: tools are looked up by them, and values may be copied from them
_REMEMBERED = 3


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
        self._loaded: Loaded | None = None
        if engine is not None:
            self._loaded = Loaded(engine, Session(engine), dialects.get(dialect or "smollm2"), True)
        self._now = now or _local_now(self.settings)
        self._monitor = monitor
        self._lock = threading.Lock()
        self._offline = offline
        if tools is None:
            from .toolpacks import load

            tools = load(self.settings.packs)
        self._offer(Registry(tools))
        self.journal = Journal(self.dirs.data)
        self.ledger = Ledger(
            self.dirs.data,
            store_content=self.settings.store_content,
            retention_days=self.settings.retention_days,
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

    def _offer(self, registry: Registry) -> None:
        self.registry = registry
        self._shown = {registry.shown_name(tool): tool for tool in registry}
        self.index = ToolIndex(self._shown)

    # -- the eight steps -------------------------------------------------------------------------------

    def run(self, text: str, conversation: Conversation | None = None, *, dry_run: bool = False) -> Iterator[Event]:
        """Yields events until `Answered`. With `dry_run` no tool runs; the answer says what would.

        Raises InputError for unusable text and EngineError or ModelError when no model answers; errors of
        tools are part of the answer. The ledger row is written in every case.
        """
        trip = Trip(config.clean_text(text))
        with self._lock:
            try:
                loaded = yield from self.load()
                loaded.engine.begin()
                with self._power().span() as span:
                    ended = yield from self._steps(trip, loaded, conversation or Conversation(), dry_run, span.stage)
            except BaseException as error:  # also an interrupt, and a caller who stops listening
                why, code = str(error) or type(error).__name__, getattr(error, "exit_code", 1)
                said = "\n".join(trip.said)
                failed = Result(trip.id, trip.text, said, "failed", 0.0, error=why, exit_code=code)
                with suppress(StoreError):  # the first error is the one to report
                    self._write(trip, trip.close(failed, {}), {})
                raise
            result = trip.close(ended, span.energy.as_dict())
            stages = {name: each.joules for name, each in span.stages.items() if each.joules is not None}
            self._write(trip, result, stages)
        yield Answered(result.answer, result.as_dict())

    def _steps(
        self,
        trip: Trip,
        loaded: Loaded,
        conversation: Conversation,
        dry_run: bool,
        stage: Callable[[str], None],
    ) -> Generator[Event, None, Result]:
        now = self._now()
        words = "\n".join([*conversation.open_words, trip.text])
        parts = deque(split(words, self._relevance) if loaded.untuned else [words])
        turns = [*conversation.turns, Message("user", parts.popleft())]
        steps_left = self.settings.max_steps
        while True:
            answer = yield from self._decide(trip, loaded, turns, now, stage)
            decision = answer.decision
            if trip.calls and not (answer.verdicts or answer.reply.asks):
                break  # the plan is done
            if decision.kind != "act":
                return self._not_acting(trip, conversation, answer, turns if not loaded.untuned else None)

            # 7 execute
            stage("execute")
            began, done = time.perf_counter(), len(trip.calls)
            error = yield from self._execute(trip, answer.verdicts, now, dry_run)
            trip.lap("execute", began)

            # 8 answer, or once more from step 1 with the results
            turns.append(Message("assistant", calls=answer.reply.calls))
            for row in trip.calls[done:]:
                turns.append(Message("tool", row.result or row.error, name=row.tool))
            steps_left -= 1
            if parts and not error:
                turns.append(Message("user", parts.popleft()))
            elif error or dry_run or steps_left <= 0:
                break
        if not dry_run:
            conversation.turns, conversation.open_words = turns, []
        said = "\n".join(trip.said)
        if error:
            return Result(
                trip.id, trip.text, said, "failed", decision.confidence, error=str(error), exit_code=error.exit_code
            )
        return Result(trip.id, trip.text, said, "act", decision.confidence)

    def _decide(
        self,
        trip: Trip,
        loaded: Loaded,
        turns: list[Message],
        now: datetime,
        stage: Callable[[str], None],
        situation: str | None = None,
    ) -> Generator[Event, None, Answer]:
        """Steps 1 to 6 for what `turns` end with; a failing call is tried once more, and `turns` then hold it too.

        situation: moment or place of speaking, as the model is told; None: the moment, where a tool may need it.
        """
        engine, dialect, untuned = loaded.engine, loaded.dialect, loaded.untuned
        retries_left = 1
        while True:
            # 1 retrieve
            stage("retrieve")
            began = time.perf_counter()
            spoken = [turn.content for turn in turns if turn.role == "user"]
            words = spoken[-1] if untuned else "\n".join(spoken[-_REMEMBERED:])
            ranked = self.index.rank(words, self.settings.tools_kept)
            kept = {each.name: self._shown[each.name] for each in ranked}
            trip.kept = tuple(kept)
            elapsed = trip.lap("retrieve", began)
            yield Retrieved(len(self._shown), trip.kept, tuple(each.score for each in ranked), elapsed)

            # 2 prompt
            stage("prompt")
            began = time.perf_counter()
            shots = self.index.shots(words, trip.kept, self.settings.shots) if untuned else []
            chat_shots = self.settings.chat_shots if untuned else 0
            told = prompt.moment(kept, now) if situation is None and not untuned else situation
            shown = prompt.situated(turns, told or "")
            tokens = engine.tokenize(prompt.build(dialect, kept, shots, shown, chat_shots=chat_shots).text)
            logits, reused = loaded.session.prefill(tokens)
            trip.count(prompt=len(tokens), reused=reused)
            yield Prompted(len(tokens), reused, trip.lap("prompt", began))

            # 3 grammar
            stage("grammar")
            began = time.perf_counter()
            chosen = 1.0
            if untuned and kept:
                openings = {name: dialect.opening(name) for name in kept}
                _, usual = self.index.typical
                found = {each.name: each.score / usual if usual else 0.0 for each in ranked}
                best, chosen = next(iter(choose.posterior(loaded.session, logits, openings, found).items()))
                kept = {best: kept[best]}
            sayable = prompt.sayable(
                dialect,
                kept,
                words,
                now,
                max_calls=1 if untuned else self.settings.max_calls,
                askable=() if untuned else prompt.required(kept),
            )
            trip.lap("grammar", began)

            # 4 decode
            stage("decode")
            began = time.perf_counter()
            decoding, calling = self._decode(loaded, logits, sayable, len(words))
            trip.count(generated=decoding.tokens, forced=decoding.forced_tokens, passes=decoding.passes)
            elapsed = trip.lap("decode", began)
            yield Decoded(decoding.text, decoding.tokens, decoding.forced_tokens, decoding.passes, calling, elapsed)

            # 5 verify
            stage("verify")
            began = time.perf_counter()
            reply = dialect.parse_calls(decoding.text)
            verdicts, confidences = self._verify(reply, decoding, words, calling, chosen)
            trip.lap("verify", began)
            for verdict, sure in zip(verdicts, confidences, strict=False):
                call = verdict.call
                yield Verified(call.name, call.arguments, verdict.outcome, verdict.reason, verdict.sources, sure.value)

            # 6 gate
            missing = dict.fromkeys(p for v in verdicts for p in sayable.missing.get(v.call.name, ()))
            asked = Reply(asks=tuple(missing)) if missing else reply
            decision = decide(
                asked,
                verdicts,
                confidences,
                self.settings,
                retries_left=retries_left,
                relevance=self._relevance(words) if untuned and ranked else math.inf,
            )
            yield Decided(decision.kind, decision.reason, decision.confidence, confidences[0].calibrated)
            if decision.kind != "retry":
                return Answer(reply, verdicts, decision, calling)
            retries_left -= 1
            turns.append(Message("assistant", calls=reply.calls))
            turns.append(Message("tool", f"error: {decision.reason}", name=reply.calls[0].name))

    def predict(self, turns: Sequence[Message], situation: str = "") -> tuple[Answer, Result]:
        """Steps 1 to 6 alone: what would be done about the last turn. Nothing runs and nothing is stored.

        turns: a conversation, a system message first if there is one, ending with a person's words or a tool's result.
        situation: moment or place of speaking, as the model is told.
        """
        trip = Trip("")
        with self._lock:
            loaded = self.loaded()
            loaded.engine.begin()
            with self._power().span() as span:
                answer = last(self._decide(trip, loaded, list(turns), self._now(), span.stage, situation))
        decision = answer.decision
        ended = Result(trip.id, "", decision.reason, decision.kind, decision.confidence, asks=decision.asks)
        return answer, trip.close(ended, span.energy.as_dict())

    def _relevance(self, text: str) -> float:
        """How much a text resembles the best tool; 1 is the least that requests which mean a tool usually have."""
        low, _ = self.index.typical
        return self.index.rank(text, 1)[0].score / low if low else math.inf

    # -- parts of the steps ----------------------------------------------------------------------------

    def _decode(self, loaded: Loaded, logits: Any, sayable: prompt.Sayable, length: int) -> tuple[Decoding, float]:
        """The answer and the probability of calling. Declining is a threshold, not an argmax.

        length: characters of the request, all of which may have to be copied.
        """
        whole = loaded.matcher(sayable.grammar)
        calling, chosen = 0.0, whole
        if sayable.calls_only is not None:
            calls = loaded.matcher(sayable.calls_only)
            calling = legal_mass(logits, calls, whole)
            chosen = whole if 1.0 - calling > self.settings.decline_above else calls
        decoding = decode(loaded.session, logits, chosen, max_tokens=_ANSWER_TOKENS + length)
        if not decoding.ended:
            raise EngineError(f"the model's answer was not finished after {decoding.tokens} tokens")
        return decoding, calling

    def _verify(
        self, reply: Reply, decoding: Decoding, words: str, calling: float, chosen: float
    ) -> tuple[list[Verdict], list[Confidence]]:
        verdicts = [verify(call, self.registry, words) for call in reply.calls]
        confidences, offset = [], 0
        for verdict in verdicts:
            sure, offset = score(decoding, verdict, offset, chosen=chosen)
            confidences.append(sure)
        return verdicts, confidences or [unanswered(calling)]

    def _not_acting(
        self, trip: Trip, conversation: Conversation, answer: Answer, turns: Sequence[Message] | None
    ) -> Result:
        """turns: the conversation so far, for a model that was trained to go on with it after its own question."""
        decision, verdicts = answer.decision, answer.verdicts
        if decision.kind == "ask":
            tools = [verdict.tool for verdict in verdicts if verdict.tool]
            lacking = (t for t in tools if {*decision.asks} & {*t.parameters.get("properties", ())})
            asking = question(decision.asks, next(lacking, tools[0] if tools else None))
            if turns is None:
                conversation.open_words.append(trip.text)
            else:
                conversation.turns = [*turns, Message("assistant", asking)]
            return Result(
                trip.id,
                trip.text,
                "\n".join([*trip.said, asking]),
                "ask",
                decision.confidence,
                asks=decision.asks,
                exit_code=EXIT_ASKED,
            )
        said = "I have no tool for that." if not verdicts else f"I could not do that: {decision.reason}."
        conversation.open_words = []
        return Result(
            trip.id, trip.text, "\n".join([*trip.said, said]), "decline", decision.confidence, exit_code=EXIT_DECLINED
        )

    def _execute(
        self, trip: Trip, verdicts: Sequence[Verdict], now: datetime, dry_run: bool
    ) -> Generator[Event, None, EdgeAgentError | None]:
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
            text, data = done.result.text, done.result.data
            trip.calls.append(CallRow(tool.qualified, arguments, text, "", done.action, done.elapsed_ms))
            yield CallFinished(tool.qualified, text, data, "", done.action, done.elapsed_ms)
        return None

    def _write(self, trip: Trip, result: Result, stages: Mapping[str, float]) -> None:
        self.ledger.add(trip.row(result, stages, model=self.model_name, offered=len(self._shown)))

    # -- around the steps ------------------------------------------------------------------------------

    def ask(self, text: str, conversation: Conversation | None = None, *, dry_run: bool = False) -> Result:
        """`run` as one value."""
        for event in self.run(text, conversation, dry_run=dry_run):
            if isinstance(event, Answered):
                return Result.from_dict(event.result)
        raise AssertionError("run always ends in Answered")

    def load(self) -> Generator[Event, None, Loaded]:
        """Loads the model unless it is loaded; yields a Notice while it is prepared for this CPU the first time,
        and one for each action that an earlier process left half done."""
        for action in self.journal.settle():
            yield Notice(f"{action.tool} was interrupted: {action.note}")
        if self._loaded is None:
            self._loaded = yield from loading.load(self.settings, self.dirs, self._model, self._dialect_name)
        return self._loaded

    def loaded(self) -> Loaded:
        """`load` without its notices."""
        return last(self.load())

    def over(self, tools: Iterable[Tool]) -> Agent:
        """This agent with somebody else's tools, of any name, for `predict` alone."""
        other = copy.copy(self)
        other._offer(Registry(tools, foreign=True))
        return other

    def sibling(
        self,
        *,
        home: Path,
        dirs: config.Dirs,
        host: Host,
        now: Callable[[], datetime],
        approve: Approver | None = None,
        settings: config.Settings | None = None,
    ) -> Agent:
        """Another agent with this one's tools and loaded model, for another home. Not to be run at the same time."""
        other = Agent(
            settings=settings or self.settings,
            tools=list(self.registry),
            home=home,
            dirs=dirs,
            host=host,
            now=now,
            approve=approve,
            offline=self._offline,
            monitor=self._power(),
        )
        other._loaded = self._loaded
        return other

    @property
    def model_name(self) -> str:
        """File name of the loaded weights; empty before `load`."""
        return Path(self._loaded.engine.info.model).name if self._loaded else ""

    def _power(self) -> PowerMonitor:
        if self._monitor is None:
            from .power import PowerMonitor

            self._monitor = PowerMonitor()
        return self._monitor

    def close(self) -> None:
        """Frees the model and closes the databases; the agent can be used again and loads anew."""
        with self._lock:
            if self._loaded is not None:
                self._loaded.engine.close()
                self._loaded = None
            if self._monitor is not None:
                self._monitor.stop()
            self.journal.close()
            self.ledger.close()

    def __enter__(self) -> Agent:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _local_now(settings: config.Settings) -> Callable[[], datetime]:
    def now() -> datetime:
        from zoneinfo import ZoneInfo

        from tzlocal import get_localzone

        return datetime.now(ZoneInfo(settings.timezone) if settings.timezone else get_localzone())

    return now
