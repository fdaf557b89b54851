"""Every error a person or program can meet: what failed, where, and what to do next.

An error is one sentence that names the thing that failed, and an optional `hint` that says what to do.
Each kind has its own process exit code, so a script can tell "no such model" from "the disk is full".
"""

from __future__ import annotations

from typing import ClassVar


class EdgeAgentError(Exception):
    """Base of all errors raised on purpose.

    Args:
        message: One sentence naming what failed and where (tool, property, file).
        hint: What the person can do about it, usually a command; None when there is nothing to do.
    """

    exit_code: ClassVar[int] = 1
    kind: ClassVar[str] = "error"

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return self.message


class InputError(EdgeAgentError):
    """The request itself is unusable: empty, too long, not text, a bad option value."""

    exit_code = 2
    kind = "input"


class ConfigError(EdgeAgentError):
    """A configuration file or catalogue is wrong; the message names file and key."""

    exit_code = 3
    kind = "config"


class ModelError(EdgeAgentError):
    """A model is unknown, missing, truncated, of the wrong kind, or fails its checksum."""

    exit_code = 4
    kind = "model"


class EngineError(EdgeAgentError):
    """The inference engine is not installed or failed while running."""

    exit_code = 5
    kind = "engine"


class ContextOverflowError(EngineError):
    """The prompt does not fit the model's context window. Nothing was dropped silently."""

    kind = "context_overflow"


class ToolError(EdgeAgentError):
    """A tool refused its arguments or failed. The world is as it was before the call."""

    exit_code = 6
    kind = "tool"


class SchemaError(EdgeAgentError):
    """A tool's schema is not valid JSON Schema; the message names tool and property."""

    exit_code = 7
    kind = "schema"


class GrammarError(EdgeAgentError):
    """A grammar is malformed; `line` and `column` (1-based) say where, when known."""

    exit_code = 7
    kind = "grammar"

    def __init__(
        self, message: str, *, hint: str | None = None, line: int | None = None, column: int | None = None
    ) -> None:
        super().__init__(message, hint=hint)
        self.line = line
        self.column = column


class RefusedError(EdgeAgentError):
    """Policy or the person did not allow the action; nothing was done."""

    exit_code = 10
    kind = "refused"


class StoreError(EdgeAgentError):
    """The ledger, journal or model store cannot be read or written (disk full, read-only, locked)."""

    exit_code = 11
    kind = "store"


class NetworkError(EdgeAgentError):
    """A download or fetch failed; what had arrived is kept for resuming."""

    exit_code = 12
    kind = "network"


class OfflineError(NetworkError):
    """The action needs the network and `--offline` is in force."""

    kind = "offline"


#: Exit codes of `ask` that are outcomes rather than errors (documented in `edge-agent ask --help`).
EXIT_OK = 0
EXIT_DECLINED = 8
EXIT_ASKED = 9
EXIT_INTERRUPTED = 130
