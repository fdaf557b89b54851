from __future__ import annotations

from cli_fixture import Line, line

__all__ = ["line"]


def test_every_source_is_reported(line: Line) -> None:
    report = line("power", "--json").json
    assert {source["name"] for source in report} >= {"nvml", "cpu-model"}
    assert all(source["available"] or source["reason"] for source in report)
    shown = line("power").out
    assert "cpu-model" in shown
    assert all(source["fix"] in shown for source in report if source["fix"])
