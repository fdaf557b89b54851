"""Dialects by name. A family's module is imported when it is asked for."""

from __future__ import annotations

from importlib import import_module

from ..errors import ConfigError
from .base import Dialect

_FAMILIES = (
    *("smollm2", "qwen", "hermes", "llama3", "gemma", "functiongemma"),
    *("mistral", "phi", "granite", "lfm2", "xlam", "hammer"),
)


def names() -> tuple[str, ...]:
    """Names that `get` knows, the project's own dialect first."""
    return _FAMILIES


def get(name: str) -> Dialect:
    """The one instance of a dialect. Raises ConfigError listing the names when there is none of that name."""
    if name not in _FAMILIES:
        raise ConfigError(f"unknown dialect {name!r}", hint=f"Known dialects: {', '.join(_FAMILIES)}.")
    dialect: Dialect = import_module(f".{name}", __name__).DIALECT
    return dialect
