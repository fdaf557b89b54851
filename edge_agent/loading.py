"""A model made ready to answer: found, prepared for this CPU if it is the bundled one, and opened."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from . import dialects
from .config import Dirs, Settings
from .decode import Session
from .dialects.base import Dialect
from .engine.base import Engine, open_engine
from .errors import ConfigError, StoreError
from .events import Event, Notice

if TYPE_CHECKING:
    from .grammar.ir import Grammar
    from .grammar.matcher import Matcher


#: What may hold answers to the grammar.
MATCHERS = ("llguidance", "llama.cpp", "none")


@dataclass(slots=True)
class Loaded:
    """`untuned`: the model was not trained to call tools in its dialect (which is so for the bundled one without an
    adapter), so it is shown examples and its choice of tool is weighed with retrieval's."""

    engine: Engine
    session: Session
    dialect: Dialect
    untuned: bool
    held_by: str = MATCHERS[0]

    def matcher(self, grammar: Grammar) -> Matcher:
        """What constrains an answer to `grammar`, by the name of one of `MATCHERS`."""
        from .grammar.matcher import FreeMatcher, TokenMatcher

        if self.held_by == "llama.cpp":
            return self.engine.native_matcher(grammar)
        if self.held_by == "none":
            return FreeMatcher(self.engine.info.vocabulary)
        return TokenMatcher(grammar, self.engine.guidance_tokenizer())


def load(settings: Settings, dirs: Dirs, model: str | None, dialect: str | None) -> Generator[Event, None, Loaded]:
    """Yields a Notice when something takes long or cannot be done; returns the model.

    model: a catalogue name or a path; None is the chosen or bundled one. Raises ModelError or EngineError.
    """
    if settings.matcher not in MATCHERS:
        raise ConfigError(f"matcher: there is none named {settings.matcher!r}", hint="one of: " + ", ".join(MATCHERS))
    from .models import Store
    from .prepare import find, prepare

    store = Store(dirs.data / "models")
    file = store.runnable(model or store.current(), dialect=dialect, adapter=settings.adapter)
    prepared = find(store, file)
    if prepared is None and (file.parts or (file.entry and file.entry.default)):
        yield Notice(f"Preparing {file.entry.name if file.entry else file.path.name} for this CPU, once …")
        try:
            prepared = prepare(store, file)
        except StoreError as error:
            yield Notice(f"Not prepared ({error}); the model runs as it was shipped, slower.")
    if prepared:
        engine = open_engine(prepared.path, settings, sha256=prepared.sha256, kernels=prepared.kernels)
    else:
        base, adapter = file.parts or (file.path, None)
        engine = open_engine(base, settings, sha256=file.sha256)
        if adapter:
            engine.use_adapter(adapter)
    untuned = file.dialect == "smollm2" and not file.parts
    return Loaded(engine, Session(engine), dialects.get(file.dialect), untuned, settings.matcher)
