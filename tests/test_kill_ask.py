"""A small run of `tests/kill/ask_kill.py`; the large one is run by hand and before a release."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
def test_killed_at_random_no_action_is_half_done() -> None:
    script = Path(__file__).parent / "kill" / "ask_kill.py"
    ended = subprocess.run(
        [sys.executable, str(script), "--rounds", "5", "--seed", "3"],
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    result = json.loads(ended.stdout.splitlines()[-1])
    assert (result["suite"], result["rounds"], result["violations"]) == ("kill_ask", 5, 0)
    assert result["killed"] >= 3
    assert result["settled"] >= 1
