"""The rules of the house: the map is true, imports point inwards, files stay short, starting stays fast."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from importlib import import_module
from pathlib import Path

import pytest

import edge_agent

PACKAGE = Path(edge_agent.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))
SURFACES = {"cli", "daemon", "tui", "voice"}
#: import -> the only place that may have it
CONFINED = {
    "llama_cpp": "engine/llama.py",
    "onnxruntime_genai": "engine/onnx.py",
    "sounddevice": "voice/",
    "textual": "tui/",
}
HEAVY = ("numpy", "llama_cpp", "pydantic", "llguidance", "httpx", "rich")
IMPORT_MS, HELP_MS = 150, 400


def module_name(file: Path) -> str:
    parts = file.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(file): file for file in FILES}


def imports(file: Path, *, lazy: bool) -> Iterator[str]:
    """Full names of what a file imports: edge_agent's modules, and others as written. `lazy`: inside functions
    too. What is imported for type checkers only does not count."""
    home = module_name(file).split(".")
    package = home if file.name == "__init__.py" else home[:-1]

    def walk(node: ast.AST) -> Iterator[str]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
                for other in child.orelse:
                    yield from walk(other)
            elif isinstance(child, ast.Import):
                yield from (alias.name for alias in child.names)
            elif isinstance(child, ast.ImportFrom):
                base = package[: len(package) - child.level + 1] if child.level else []
                source = ".".join([*base, *filter(None, [child.module])])
                for alias in child.names:
                    whole = f"{source}.{alias.name}"
                    yield whole if whole in MODULES else source
            elif lazy or not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
                yield from walk(child)

    return walk(_tree(file))


@cache
def _tree(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"))


def test_the_map_names_exactly_what_is_there() -> None:
    named = re.findall(r"^    (\w+) {2,}\S", edge_agent.__doc__ or "", re.MULTILINE)
    there = {
        path.stem
        for path in PACKAGE.iterdir()
        if (path.suffix == ".py" and path.name != "__init__.py") or (path / "__init__.py").exists()
    }
    assert len(named) == len(set(named))
    assert set(named) == there


def test_imports_are_read_right(tmp_path: Path) -> None:
    """The rules below are worth what this reader is worth."""
    found = set(imports(PACKAGE / "cli" / "ask.py", lazy=False))
    assert {"edge_agent.errors", "edge_agent.cli.build", "edge_agent.cli.render", "click"} <= found
    assert "edge_agent.events" not in found
    assert "edge_agent.agent" not in found
    assert "edge_agent.events" in set(imports(PACKAGE / "cli" / "ask.py", lazy=True))
    assert "edge_agent.engine.base" in set(imports(PACKAGE / "engine" / "__init__.py", lazy=False))


def test_no_import_cycles() -> None:
    graph = {name: {found for found in imports(file, lazy=False) if found in MODULES} for name, file in MODULES.items()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail("import cycle: " + " <- ".join(error.args[1]))


@pytest.mark.parametrize("file", FILES, ids=module_name)
def test_rules_of_a_file(file: Path) -> None:
    place = file.relative_to(PACKAGE).as_posix()
    assert len(file.read_text(encoding="utf-8").splitlines()) <= 500
    assert ast.get_docstring(_tree(file)) or not _tree(file).body, "a module says what it is for"
    found = set(imports(file, lazy=True))
    for library, home in CONFINED.items():
        if not place.startswith(home):
            assert library not in {name.partition(".")[0] for name in found}, f"{library} belongs in {home}"
    own = place.partition("/")[0].removesuffix(".py")
    if own not in SURFACES | {"__main__"}:
        assert not {name for name in found if name.startswith(tuple(f"edge_agent.{each}" for each in SURFACES))}


def test_everything_promised_is_there() -> None:
    for name in edge_agent.__all__:
        assert getattr(edge_agent, name) is not None, name
    assert set(edge_agent.__all__) <= set(dir(edge_agent))
    import_module("edge_agent.extract")  # a module and a function of one name: the function must win
    assert callable(edge_agent.extract)
    with pytest.raises(AttributeError, match="nope"):
        edge_agent.nope  # noqa: B018


def test_importing_loads_nothing_heavy() -> None:
    script = f"import sys, edge_agent; print([name for name in {HEAVY!r} if name in sys.modules])"
    assert _fresh("-c", script).strip() == "[]"


def test_importing_is_fast() -> None:
    assert _best_ms(5, "-c", "import edge_agent") < IMPORT_MS + _best_ms(5, "-c", "pass")


def test_help_is_fast() -> None:
    assert _best_ms(3, "-m", "edge_agent", "--help") < HELP_MS


def _fresh(*arguments: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(PACKAGE.parent)}
    command = [sys.executable, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60, env=environment).stdout


def _best_ms(times: int, *arguments: str) -> float:
    """Wall milliseconds of the fastest of several fresh processes: other work on the machine only adds."""
    best = float("inf")
    for _ in range(times):
        began = time.perf_counter()
        _fresh(*arguments)
        best = min(best, (time.perf_counter() - began) * 1e3)
    return best
