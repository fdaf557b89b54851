"""Where files live, and the user's settings.

Folders come from the platform (XDG, ~/Library, %LOCALAPPDATA%); `EDGE_AGENT_HOME` puts them all under one
folder instead. Settings are one TOML file, `config.toml`; every key has a default, unknown keys are errors
that name the nearest known one.
"""

from __future__ import annotations

import math
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from .errors import ConfigError, InputError


@dataclass(frozen=True, slots=True)
class Dirs:
    """Folders of this user. None of them is created until something is stored."""

    config: Path
    data: Path
    cache: Path

    @staticmethod
    def default() -> Dirs:
        root = os.environ.get("EDGE_AGENT_HOME")
        if root:
            base = Path(root).expanduser().absolute()
            return Dirs(base / "config", base / "data", base / "cache")
        from platformdirs import PlatformDirs

        found = PlatformDirs("edge_agent", appauthor=False)
        return Dirs(found.user_config_path, found.user_data_path, found.user_cache_path)


def _setting(default: Any, about: str, least: float = 0, most: float = math.inf) -> Any:
    """`least` and `most` bound numbers."""
    return field(default=default, metadata={"about": about, "least": least, "most": most})


@dataclass(frozen=True, slots=True)
class Settings:
    """Every setting with its default; `edge-agent config` lists them from here."""

    model: str = _setting("", "model to use; empty: the one chosen by `models use`, else the bundled one")
    packs: tuple[str, ...] = _setting((), "tool packs to enable; empty: all built-in packs")
    adapter: bool = _setting(True, "use the model's adapter (LoRA) for tool calls, where it has one")
    context_tokens: int = _setting(4096, "size of the context window to allocate, in tokens", 256)
    threads: int = _setting(0, "inference threads; 0: chosen by physical cores and present load")
    gpu_layers: int = _setting(-1, "layers to offload to a GPU; -1: as many as the installed llama.cpp can", -1)
    matcher: str = _setting("llguidance", "what holds answers to the grammar: llguidance, llama.cpp (slower), or none")
    tools_kept: int = _setting(6, "how many tools retrieval keeps for a request", 1)
    max_calls: int = _setting(8, "most tool calls in one answer", 1)
    max_steps: int = _setting(1, "how often the model may act on results before it answers", 1)
    shots: int = _setting(8, "example sentences shown to models not tuned on tools")
    chat_shots: int = _setting(1, "examples of declining shown to such models (0 to 4)", 0, 4)
    act_above: float = _setting(0.0, "least confidence at which a call is made without asking", 0, 1)
    decline_above: float = _setting(0.5, "probability of 'no tool fits' from which the agent declines", 0, 1)
    tool_timeout_s: float = _setting(30.0, "longest a tool may run, in seconds", 0.1)
    store_content: bool = _setting(True, "keep request texts, arguments and results in the ledger")
    retention_days: int = _setting(90, "days a ledger row is kept; 0: for ever")
    price_per_kwh: float = _setting(0.0, "electricity tariff per kWh for cost figures; 0: unknown")
    timezone: str = _setting("", "IANA time zone; empty: the system's")
    currency_rates: tuple[str, ...] = _setting((), "rates for converting money, as USD=1,EUR=1.08; empty: none known")
    calendar_dir: str = _setting(".calendars/personal", "iCalendar folder (vdir) of events")
    tasks_dir: str = _setting(".calendars/tasks", "iCalendar folder (vdir) of to-dos, reminders and timers")
    contacts_dir: str = _setting(".contacts", "vCard folder")
    notes_dir: str = _setting("Notes", "Markdown folder")
    mail_dir: str = _setting("Mail", "mail folder: Inbox is read, Drafts is written")
    messages_dir: str = _setting("Messages/Drafts", "folder of message drafts")

    def pack_settings(self) -> dict[str, Any]:
        """The part that tools see, without anything private to the runtime."""
        seen = [f.name for f in fields(self) if f.name.endswith("_dir")] + ["timezone", "currency_rates"]
        return {name: getattr(self, name) for name in seen}


def load(path: Path | None = None) -> Settings:
    """Reads `config.toml` (defaults when there is none). Raises ConfigError naming file and key."""
    path = path or Dirs.default().config / "config.toml"
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        return Settings()
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{path}: {error}", hint="mend the file, or move it away to use the defaults") from error
    return Settings(**{key: coerce(key, value, where=str(path)) for key, value in values.items()})


def coerce(key: str, value: Any, *, where: str) -> Any:
    """`value` (TOML value or command-line text) as the type of setting `key`. Raises ConfigError."""
    from difflib import get_close_matches

    known = {f.name: f for f in fields(Settings)}
    if key not in known:
        near = get_close_matches(key, known, 1)
        raise ConfigError(f"{where}: unknown setting {key!r}", hint=f"did you mean {near[0]!r}?" if near else None)
    try:
        found = _typed(known[key].default, value)
    except (ValueError, KeyError) as error:
        wanted = _KINDS[type(known[key].default)]
        raise ConfigError(f"{where}: {key} must be {wanted}, not {value!r}") from error
    least, most = known[key].metadata["least"], known[key].metadata["most"]
    if isinstance(found, (int, float)) and not least <= found <= most:
        bounds = f"from {least:g} to {most:g}" if most < math.inf else f"at least {least:g}"
        raise ConfigError(f"{where}: {key} must be {bounds}, not {value!r}")
    if key == "timezone" and found:
        _check_zone(found, where)
    return found


_KINDS: Mapping[type, str] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text",
    tuple: "a list of texts",
}


def _typed(default: Any, value: Any) -> Any:
    """`value` as the type of `default`; text is read as it comes from a command line. Raises ValueError or KeyError."""
    if isinstance(default, bool):
        return value if isinstance(value, bool) else {"true": True, "false": False}[str(value).lower()]
    if isinstance(default, tuple):
        parts = value.split(",") if isinstance(value, str) else value
        if not isinstance(parts, list) or not all(isinstance(part, str) for part in parts):
            raise ValueError(value)
        return tuple(part.strip() for part in parts if part.strip())
    fitting = (str, int, float) if isinstance(default, float) else (str, type(default))
    if isinstance(value, bool) or not isinstance(value, fitting):
        raise ValueError(value)
    number = type(default)(value)
    if isinstance(number, float) and not math.isfinite(number):
        raise ValueError(value)
    return number


def _check_zone(name: str, where: str) -> None:
    from zoneinfo import ZoneInfo

    try:
        ZoneInfo(name)
    except (ValueError, KeyError, OSError) as error:
        raise ConfigError(f"{where}: there is no time zone {name!r}", hint="write it like Europe/Berlin") from error


def store(key: str, text: str, path: Path | None = None) -> None:
    """Sets one key in `config.toml`, keeping the person's comments and order."""
    import tomlkit

    from .workspace import write_atomic

    path = path or Dirs.default().config / "config.toml"
    value = coerce(key, text, where="config set")
    load(path)  # a broken file is reported, not overwritten
    document = tomlkit.parse(path.read_text(encoding="utf-8-sig")) if path.exists() else tomlkit.document()
    document[key] = list(value) if isinstance(value, tuple) else value
    write_atomic(path.resolve(), tomlkit.dumps(document).encode(), 0o600)


def resource(name: str) -> Path:
    """A file or folder that ships with the package: `models.toml`, `grammars`.

    A wheel carries them inside the package; a checkout has them at its top.
    """
    package = Path(__file__).resolve().parent
    for candidate in (package / "_data" / name, package.parent / name):
        if candidate.exists():
            return candidate
    raise ConfigError(f"{name} is missing from this installation", hint="reinstall edge-agent")


def as_dict(settings: Settings) -> Mapping[str, Any]:
    return {f.name: getattr(settings, f.name) for f in fields(settings)}


#: Zero-width (non-)joiner: Persian spelling and joined emoji need them.
_JOINERS = "\u200c\u200d"


def clean_text(text: str, *, limit: int = 20_000) -> str:
    """A request as it may enter the runtime: non-empty, bounded, control and ANSI sequences removed.

    Raises InputError for empty or oversized text (`limit` characters) and for lone surrogates (bad UTF-8).
    """
    import re
    import unicodedata

    if len(text) > limit:
        raise InputError(
            f"the request has {len(text):,} characters; at most {limit:,} are read",
            hint="put it in a file and name the file",
        )
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InputError("the request is not valid UTF-8") from error
    text = re.sub(r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]|\x1b(?:\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-_])", "", text)
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    kept = "\n\t" + _JOINERS
    text = "".join(c for c in text if c in kept or unicodedata.category(c) not in ("Cc", "Cf", "Co"))
    if all(c.isspace() or c in kept for c in text):
        raise InputError("the request is empty", hint='try: edge-agent ask "what time is it in Tokyo"')
    return text.strip()
