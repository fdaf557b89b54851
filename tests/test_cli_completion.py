from __future__ import annotations

import pytest
from cli_fixture import Line, line

__all__ = ["line"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_scripts_ask_this_program(line: Line, shell: str) -> None:
    script = line("completion", shell).out
    assert f"_EDGE_AGENT_COMPLETE={shell}_complete" in script
    assert line("completion", shell, "--json").json == {"shell": shell, "script": script.removesuffix("\n")}


def test_unknown_shell(line: Line) -> None:
    assert line("completion", "tcsh").code == 2


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("edge-agent le", "ledger"),
        ("edge-agent models ", "pull"),
        ("edge-agent tools show clock.set_t", "clock.set_timer"),
        ("edge-agent models use smollm2", "smollm2-135m"),
        ("edge-agent ask --model qwen3-0", "qwen3-0.6b"),
        ("edge-agent config get retent", "retention_days"),
    ],
)
def test_completion(line: Line, monkeypatch: pytest.MonkeyPatch, words: str, offered: str) -> None:
    monkeypatch.setenv("_EDGE_AGENT_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", words)
    monkeypatch.setenv("COMP_CWORD", str(words.count(" ")))
    assert f"plain,{offered}\n" in line().out
