"""Takes out of a report what would say whose machine it is."""

from __future__ import annotations

import getpass
import os
import platform
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

#: Names of environment variables that hold secrets.
_SECRET_NAME = re.compile(r"TOKEN|SECRET|PASSWORD|PASSWD|API_?KEY|CREDENTIAL", re.IGNORECASE)
#: Secrets by their looks: prefixed tokens, bearer headers, user:password@ in addresses.
_SECRETS = (
    re.compile(r"\b(?:hf|sk|pk|gh[pousr]|glpat|xox[abp])[-_][A-Za-z0-9_-]{8,}"),
    re.compile(r"(?i)\bbearer\s+\S+"),
    re.compile(r"(?<=://)[^/\s@]+@"),
)
#: A user or host name shorter than this would take half of the words with it.
_SHORTEST = 3
_USER, _HOST = "[user]", "[host]"


def redact(value: Any, *, environ: Mapping[str, str] = os.environ, home: Path | None = None) -> Any:
    """`value` (any JSON) with names, home folder and secrets replaced in every string, keys included."""
    names = _names(environ, home or Path.home())

    def clean(text: str) -> str:
        for found, instead in names:
            text = found.sub(instead, text)
        for pattern in _SECRETS:
            text = pattern.sub("[secret]", text)
        return text

    def walk(node: Any) -> Any:
        if isinstance(node, str):
            return clean(node)
        if isinstance(node, Mapping):
            return {clean(str(key)): walk(each) for key, each in node.items()}
        return [walk(each) for each in node] if isinstance(node, list | tuple) else node

    return walk(value)


def _names(environ: Mapping[str, str], home: Path) -> list[tuple[re.Pattern[str], str]]:
    """What to look for, the longest first, and what to write instead."""
    found: dict[str, str] = {}
    for path in {str(home), str(home.resolve())}:
        found[path] = "~"
    if own := environ.get("EDGE_AGENT_HOME"):
        found[own] = found[str(Path(own).expanduser().resolve())] = "$EDGE_AGENT_HOME"
    for name, value in environ.items():
        if _SECRET_NAME.search(name) and len(value) >= _SHORTEST:
            found[value] = "[secret]"
    users = {environ.get(name, "") for name in ("USER", "LOGNAME", "USERNAME")} | {home.name, _user()}
    hosts = {platform.node(), platform.node().partition(".")[0], environ.get("HOSTNAME", "")}
    for words, instead in ((users, _USER), (hosts, _HOST)):
        for word in words:
            if len(word) >= _SHORTEST:
                found.setdefault(word, instead)
    patterns = []
    for text, instead in sorted(found.items(), key=lambda pair: -len(pair[0])):
        if text not in ("", "/", "\\"):
            # A name inside a longer word is not the name; paths and secrets are replaced wherever they stand.
            alone = r"(?<!\w){}(?!\w)" if instead in (_USER, _HOST) else "{}"
            patterns.append((re.compile(alone.format(re.escape(text))), instead))
    return patterns


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # a user id without a name
        return ""
