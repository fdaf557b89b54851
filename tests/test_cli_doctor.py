from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any

import pytest
from cli_fixture import Line, home, line

from edge_agent.cli import checks
from edge_agent.cli.checks import Check, run_checks
from edge_agent.cli.redact import redact
from edge_agent.config import Dirs
from edge_agent.errors import ModelError

__all__ = ["line"]


def test_every_check_ends(line: Line) -> None:
    found = run_checks()
    assert [check.name for check in found] == list(checks._CHECKS)
    broken = {check.name: check.detail for check in found if check.status == "fail"}
    assert set(broken) <= {"engine", "model"}, broken  # which a test environment may lack


@pytest.mark.parametrize(
    ("error", "detail", "fix"),
    [(ModelError("no file", hint="pull it"), "no file", "pull it"), (OSError("odd"), "OSError: odd", "")],
)
def test_a_broken_check_is_a_failed_one(
    line: Line, monkeypatch: pytest.MonkeyPatch, error: Exception, detail: str, fix: str
) -> None:
    def broken() -> Check:
        raise error

    monkeypatch.setattr(checks, "_CHECKS", {"thing": broken})
    assert run_checks() == [Check("thing", "fail", detail, fix)]
    ran = line("doctor")
    assert ran.code == 1
    assert f"FAIL  thing: {detail}" in ran.out
    assert line("doctor", "--json").json[0]["status"] == "fail"


def test_broken_settings_and_folders_are_found(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    Dirs.default().config.mkdir(parents=True)
    (Dirs.default().config / "config.toml").write_text("nope = 1")
    monkeypatch.setattr("os.access", lambda *_: False)
    found = {check.name: check for check in run_checks()}
    assert "nope" in found["settings"].detail
    assert found["folders"].status == "fail"
    report = line("doctor", "--report")
    assert report.code == 1
    assert "[fail] settings" in report.out


def test_interrupted_actions_are_told(line: Line) -> None:
    with line.agent() as agent:
        agent.ledger.totals()
        agent.journal.end(agent.journal.intend("r", "post.post", "", "egress", {}), "unknown")
    found = {check.name: check for check in run_checks()}
    assert found["records"].status == "warn"
    assert "#1 post.post" in found["records"].detail


@pytest.mark.parametrize("form", [(), ("--json",)])
def test_report_tells_nothing_private(line: Line, monkeypatch: pytest.MonkeyPatch, form: tuple[str, ...]) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_abcdefghijklmnop")
    monkeypatch.setenv("USER", "wilhelmina")
    monkeypatch.setattr(platform, "node", lambda: "castle.example.org")
    line.answers = ['jot {"title":"divorce papers"}']
    line("ask", "jot down divorce papers")
    line("config", "set", "notes_dir", "wilhelmina-secret-notes")

    def leaky() -> Check:
        paths = f"{home()}/x {Dirs.default().data} on castle"
        return Check("leaky", "warn", f"{paths} by wilhelmina with {os.environ['HF_TOKEN']}", "https://a:b@h.org")

    monkeypatch.setattr(checks, "_CHECKS", {**checks._CHECKS, "leaky": leaky})
    report = line("doctor", "--report", *form).out
    private = ["divorce", "wilhelmina", "hf_abc", "castle", "a:b@", str(home()), os.environ["EDGE_AGENT_HOME"]]
    assert [secret for secret in private if secret in report] == []
    for told in ("leaky", "~/x", "paper.jot", "notes_dir", platform.python_version(), "llguidance", "decode"):
        assert told in report


@pytest.mark.parametrize(
    ("value", "clean"),
    [
        ("/home/ann/x", "~/x"),
        ("/data/own/models", "$EDGE_AGENT_HOME/models"),
        ("annual plan of ann on ann's host", "annual plan of [user] on [user]'s host"),
        ({"/home/ann/k": ["ann", 1, None, True]}, {"~/k": ["[user]", 1, None, True]}),
        ("token s3cr3t-value here", "token [secret] here"),
        ("Authorization: Bearer abc.def", "Authorization: [secret]"),
        ("ghp_0123456789abcdef sk-0123456789abcdef", "[secret] [secret]"),
        ("https://me:pw@host.org/x", "https://[secret]host.org/x"),
        (1.5, 1.5),
    ],
)
def test_redact(monkeypatch: pytest.MonkeyPatch, value: Any, clean: Any) -> None:
    monkeypatch.setattr(platform, "node", lambda: "castle")
    monkeypatch.setattr("getpass.getuser", lambda: "ann")
    environ = {"EDGE_AGENT_HOME": "/data/own", "MY_API_KEY": "s3cr3t-value", "LANG": "C"}
    assert redact(value, environ=environ, home=Path("/home/ann")) == clean
