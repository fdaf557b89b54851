from __future__ import annotations

import sys
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from edge_agent import prepare
from edge_agent.config import Dirs, Settings
from edge_agent.errors import EngineError, ModelError, StoreError
from edge_agent.events import Event, Notice
from edge_agent.loading import Loaded, load


def finish(steps: Generator[Event, None, Loaded]) -> tuple[list[str], Loaded]:
    said = []
    while True:
        try:
            event = next(steps)
        except StopIteration as stop:
            return said, stop.value
        assert isinstance(event, Notice)
        said.append(event.text)


@pytest.fixture
def dirs(tmp_path: Path) -> Dirs:
    return Dirs(tmp_path / "config", tmp_path / "data", tmp_path / "cache")


@pytest.mark.model
def test_a_store_that_cannot_be_written_leaves_the_shipped_model(dirs: Dirs, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise StoreError("the disk is full")

    monkeypatch.setattr(prepare, "prepare", refuse)
    said, loaded = finish(load(Settings(context_tokens=512), dirs, None, None))
    assert [line.split(" ")[0] for line in said] == ["Preparing", "Not"]
    assert "the disk is full" in said[1]
    assert not loaded.untuned  # the adapter is applied as it is
    assert loaded.dialect.name == "smollm2"
    loaded.engine.close()


@pytest.mark.model
def test_without_its_adapter_the_bundled_model_is_untuned(dirs: Dirs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prepare, "prepare", lambda *_, **__: None)
    _, loaded = finish(load(Settings(context_tokens=512, adapter=False), dirs, None, None))
    assert loaded.untuned
    loaded.engine.close()


@pytest.mark.model
def test_what_was_prepared_is_opened_with_its_kernels(dirs: Dirs, monkeypatch: pytest.MonkeyPatch) -> None:
    from edge_agent.engine import base
    from edge_agent.models import Store

    file = Store(dirs.data / "models").resolve("smollm2-135m")
    speed = prepare.Measurement(1.0, 1.0, 1.0, "plain")
    ready = prepare.Prepared(file.path, "as shipped", {"as shipped": speed}, file.sha256, {})
    monkeypatch.setattr(prepare, "find", lambda *_: ready)
    opened: list[dict[str, Any]] = []
    real = base.open_engine

    def spy(path: Path, settings: Settings, **how: Any) -> Any:
        opened.append(how)
        return real(path, settings, **how)

    monkeypatch.setattr("edge_agent.loading.open_engine", spy)
    said, loaded = finish(load(Settings(context_tokens=512), dirs, None, None))
    assert (said, opened) == ([], [{"sha256": file.sha256, "kernels": "plain"}])
    loaded.engine.close()


def test_an_unknown_model_is_named(dirs: Dirs) -> None:
    with pytest.raises(ModelError, match="no-such-model"):
        finish(load(Settings(), dirs, "no-such-model", None))


def test_without_an_engine_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from importlib import util

    from edge_agent.engine import open_engine

    monkeypatch.setattr(util, "find_spec", lambda name: None)
    monkeypatch.delitem(sys.modules, "edge_agent.engine.llama", raising=False)
    with pytest.raises(EngineError) as caught:
        open_engine(tmp_path / "m.gguf", Settings())
    assert "edge-agent[llama]" in (caught.value.hint or "")
