"""Step 7: the gateway. The only place where a tool runs.

Order: approval bound to the exact call, intent in the journal, the tool with a time limit, its end in the
journal. A tool that fails or runs out of time has its file changes taken back, so an action is whole or not
at all.
"""

from __future__ import annotations

import copy
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from .errors import EdgeAgentError, OfflineError, RefusedError, StoreError, ToolError
from .host import Host
from .journal import Action, Journal
from .tools import Effect, Registry, Tool, ToolResult
from .workspace import Change, Context


@dataclass(frozen=True, slots=True)
class Approval:
    """What a person is asked to allow: exactly this call, arguments included."""

    tool: str
    effect: Effect
    description: str
    arguments: Mapping[str, Any]


#: Answers an `Approval`. Surfaces supply it; without one, what needs approval is refused.
Approver = Callable[[Approval], bool]

#: These effects cannot be taken back, so they are never taken without a yes.
NEEDS_APPROVAL = frozenset({Effect.IRREVERSIBLE, Effect.EGRESS})


@dataclass(frozen=True, slots=True)
class Executed:
    """A finished call; `action` is its journal id."""

    action: int
    result: ToolResult
    elapsed_ms: float


class Gateway:
    """Runs calls for one user.

    home, data: the folders tools see. timeout_s: longest run of one tool. approve: who is asked.
    """

    def __init__(
        self,
        registry: Registry,
        journal: Journal,
        host: Host,
        *,
        home: Path,
        data: Path,
        settings: Mapping[str, Any],
        approve: Approver | None = None,
        offline: bool = False,
        timeout_s: float = 30.0,
    ) -> None:
        self.registry = registry
        self.journal = journal
        self._host = host
        self._home = home
        self._data = data
        self._settings = settings
        self._approve = approve
        self._offline = offline
        self._timeout_s = timeout_s

    def context(self, now: datetime, record: Callable[[Change], None]) -> Context:
        """The view of the machine that a tool gets; `record` receives each change before it is made."""
        return Context(
            now=now,
            home=self._home,
            data=self._data,
            host=self._host,
            record=record,
            offline=self._offline,
            settings=self._settings,
        )

    def run(self, request: str, tool: Tool, arguments: Mapping[str, Any], now: datetime) -> Executed:
        """Runs one verified call.

        Raises RefusedError without approval, OfflineError for egress while offline, ToolError when the tool
        fails or exceeds its time; in all cases nothing it did through its context remains.
        """
        arguments = copy.deepcopy(dict(arguments))  # so that what is approved is what runs
        if self._offline and tool.effect is Effect.EGRESS:
            raise OfflineError(f"{tool.qualified} uses the network, and --offline is in force")
        if tool.effect in NEEDS_APPROVAL:
            wanted = Approval(tool.qualified, tool.effect, tool.description, copy.deepcopy(arguments))
            if self._approve is None or not self._approve(wanted):
                raise RefusedError(f"{tool.qualified} was not allowed; nothing was done")
        began = time.perf_counter()
        action = self.journal.intend(request, tool.qualified, tool.digest, tool.effect, arguments)
        changes: list[Change] = []

        def record(change: Change) -> None:
            self.journal.record(action, change)
            changes.append(change)

        try:
            result = self._limited(tool, arguments, self.context(now, record))
            self.journal.end(action, "done")
        except BaseException as error:
            note = "; ".join([f"{type(error).__name__}: {error}", *self._take_back(action, changes, now)])
            with suppress(StoreError):  # the next process settles it; the first error is the one to tell
                self.journal.end(action, "failed", note)
            raise
        return Executed(action, result, (time.perf_counter() - began) * 1e3)

    def undo(self, action: Action, now: datetime) -> list[str]:
        """Takes a finished action back; see `Journal.undo`."""
        return self.journal.undo(action, lambda name, arguments: self._compensate(name, arguments, now))

    def _compensate(self, name: str, arguments: Mapping[str, Any], now: datetime) -> str:
        """Runs what `Context.undo_with` has named. What it records is part of no action, so it is not kept."""
        return self._limited(self.registry.get(name), arguments, self.context(now, lambda change: None)).text

    def _limited(self, tool: Tool, arguments: Mapping[str, Any], context: Context) -> ToolResult:
        outcome: list[ToolResult | BaseException] = []

        def work() -> None:
            try:
                outcome.append(tool.call(arguments, context))
            except BaseException as error:
                outcome.append(error)

        thread = threading.Thread(target=work, name=f"tool-{tool.qualified}", daemon=True)
        try:
            thread.start()
            thread.join(self._timeout_s)
        finally:  # late, interrupted or done: from here on it changes nothing
            context.close()
        if not outcome:
            raise ToolError(
                f"{tool.qualified} did not finish in {self._timeout_s:g} s",
                hint="edge-agent config set tool_timeout_s 120",
            )
        if isinstance(outcome[0], ToolResult):
            return outcome[0]
        if isinstance(outcome[0], EdgeAgentError):
            raise outcome[0]
        failure = f"{type(outcome[0]).__name__}: {outcome[0]}"
        raise ToolError(f"{tool.qualified} failed: {failure}") from outcome[0]

    def _take_back(self, action: int, changes: Sequence[Change], now: datetime) -> list[str]:
        """Reverses what a failed tool had done; says what could not be reversed."""
        try:
            troubles = self.journal.take_back(action)
        except StoreError as error:
            troubles = [str(error)]
        for change in reversed(changes):
            if change.op == "call":
                try:
                    self._compensate(change.target, change.arguments, now)
                except EdgeAgentError as error:
                    troubles.append(str(error))
        return [f"not taken back: {trouble}" for trouble in troubles]
