"""Which models there are: models.toml, read and checked."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from types import MappingProxyType
from typing import Any

from .dialects import names as dialect_names
from .errors import ConfigError, ModelError

#: A model's name is also a file name in the store.
NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")

_ORIGINS = ("distribution", "repo", "url")
_PATTERNS = {
    "file": (r"[\w.-]+\.gguf", "the name of a .gguf file"),
    "dialect": ("|".join(dialect_names()), f"one of {', '.join(dialect_names())}"),
    "distribution": (r"[A-Za-z0-9][A-Za-z0-9_-]*", "the name of a Python distribution"),
    "sha256": (r"[0-9a-f]{64}", "64 small hex digits"),
    "revision": (r"[0-9a-f]{40}", "a commit of 40 small hex digits"),
    "repo": (r"[\w.-]+/[\w.-]+", "owner/name"),
    "url": (r"(https://|http://(127\.0\.0\.1|localhost)[:/])\S+", "an https address"),
}


@dataclass(frozen=True, slots=True)
class ModelEntry:
    """One model of the catalogue, with exactly one origin: `distribution`, `repo` or `url`.

    file: its file name there. context: tokens it was trained for. ram_mb: estimated need for 4,096 tokens.
    repo, revision: on huggingface.co. sha256, size_bytes: None where unknown; then a download is unverified.
    adapter: file name of the LoRA adapter to apply. quality: benchmark name -> measured score in percent.
    """

    name: str
    file: str
    dialect: str
    licence: str
    context: int
    params: str
    quantisation: str
    ram_mb: int
    distribution: str | None = None
    repo: str | None = None
    revision: str | None = None
    url: str | None = None
    size_bytes: int | None = None
    sha256: str | None = None
    adapter: str | None = None
    quality: Mapping[str, float] = field(default_factory=dict, hash=False)
    note: str | None = None
    default: bool = False

    @property
    def download_url(self) -> str | None:
        """Where to fetch it; None for a model that comes with an installed distribution."""
        if self.repo:
            return f"https://huggingface.co/{self.repo}/resolve/{self.revision or 'main'}/{self.file}"
        return self.url


class Catalogue:
    """The known models by name. Immutable; reading it costs a few milliseconds and no network."""

    def __init__(self, entries: Mapping[str, ModelEntry]) -> None:
        self.entries = MappingProxyType(dict(entries))

    @classmethod
    def load(cls, path: Path | None = None, overlay: Path | None = None) -> Catalogue:
        """Read `path`, then `overlay`, whose entries replace those of the same name.

        Without `path` it is the shipped models.toml, overlaid by the one in the user's configuration folder.

        Raises:
            ConfigError: naming file, model and key of what is wrong.
        """
        if path is None:
            from .config import Dirs, resource

            path, overlay = resource("models.toml"), overlay or Dirs.default().config / "models.toml"
        entries = _read(path)
        if overlay is not None and overlay.exists():
            entries |= _read(overlay)
        return cls(entries)

    def __getitem__(self, name: str) -> ModelEntry:
        try:
            return self.entries[name]
        except KeyError:
            raise unknown_model(name, self.entries) from None

    def default(self) -> ModelEntry:
        """The model used until the person chooses one: the last that says so, so an overlay can change it."""
        marked = [entry for entry in self.entries.values() if entry.default]
        if not marked:
            raise ConfigError("the model catalogue names no default", hint="set default = true in one entry")
        return marked[-1]


def unknown_model(name: str, known: Iterable[str]) -> ModelError:
    """The error for a name that is not among `known`, with the nearest ones as hint."""
    from difflib import get_close_matches

    near = get_close_matches(name, list(known), 3)
    hint = f"did you mean {' or '.join(near)}?" if near else "see: edge-agent models list"
    return ModelError(f"there is no model {name!r}", hint=hint)


def _read(path: Path) -> dict[str, ModelEntry]:
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from error
    tables = document.pop("models", {})
    if document or not isinstance(tables, dict):
        raise ConfigError(f"{path}: only [models.NAME] tables belong here, not {', '.join(document) or repr(tables)}")
    return {name: _entry(name, table, f"{path}, model {name!r}") for name, table in tables.items()}


def _entry(name: str, table: Any, where: str) -> ModelEntry:
    if not NAME.fullmatch(name):
        raise ConfigError(f"{where}: a name has small letters, digits, '.', '_' and '-', at most 64")
    if not isinstance(table, dict):
        raise ConfigError(f"{where}: a table is wanted, not {table!r}")
    known = {f.name: f for f in fields(ModelEntry) if f.name != "name"}
    for key, value in table.items():
        if reason := _fault(key, value, known):
            raise ConfigError(f"{where}, key {key!r}: {reason}")
    for key, spec in known.items():
        if key not in table and spec.default is MISSING and spec.default_factory is MISSING:
            raise ConfigError(f"{where}, key {key!r}: missing")
    origins = [key for key in _ORIGINS if key in table]
    if len(origins) != 1:
        raise ConfigError(f"{where}: exactly one of {', '.join(_ORIGINS)} is wanted, not {origins or 'none'}")
    return ModelEntry(name=name, **table)


def _fault(key: str, value: Any, known: Mapping[str, Any]) -> str | None:
    """What is wrong with one value; None when nothing is."""
    if key not in known:
        return f"unknown; known are {', '.join(known)}"
    wanted: Any = {"str": str, "int": int, "bool": bool, "Mapping[str, float]": dict}[known[key].type.split(" |")[0]]
    if type(value) is not wanted or value == "":
        return f"{wanted.__name__} wanted, not {value!r}"
    if wanted is int and value <= 0:
        return f"{value} is not above zero"
    if wanted is dict and not all(isinstance(v, int | float) and 0 <= v <= 100 for v in value.values()):
        return "every score is a percentage"
    if key in _PATTERNS and not re.fullmatch(_PATTERNS[key][0], value):
        return f"{value!r} is not {_PATTERNS[key][1]}"
    return None
