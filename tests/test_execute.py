from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from packs_fixture import NOW, FakeHost

from edge_agent.errors import EdgeAgentError, OfflineError, RefusedError, StoreError, ToolError
from edge_agent.execute import Approval, Gateway
from edge_agent.journal import Action, Journal
from edge_agent.tools import Effect, Registry, Tool, ToolResult, tool
from edge_agent.workspace import Context


@tool(effect="write")
def note(ctx: Context, text: str, name: str = "note.txt") -> ToolResult:
    """Write a note."""
    ctx.write(ctx.home / "notes" / name, text)
    return ToolResult(f"Wrote {name}.", {"name": name})


@tool(effect="write")
def loud(ctx: Context, level: int) -> str:
    """Set the volume."""
    ctx.undo_with("user.loud", {"level": ctx.host.volume_get()})
    ctx.host.volume_set(level)
    return f"Volume {level}."


@tool(effect="write")
def broken(ctx: Context, how: str) -> str:
    """Change everything, then fail."""
    ctx.write(ctx.home / "kept.txt", "overwritten")
    ctx.move(ctx.home / "kept.txt", ctx.home / "moved.txt")
    ctx.mkdir(ctx.home / "new" / "folder")
    ctx.undo_with("user.loud", {"level": ctx.host.volume_get()})
    ctx.host.volume_set(99)
    errors: dict[str, BaseException] = {
        "value": ValueError("bad"),
        "tool": ToolError("no such place", hint="say another"),
        "exit": SystemExit(3),
        "interrupt": KeyboardInterrupt(),
        "memory": MemoryError(),
    }
    raise errors[how]


LATE: list[str] = []


@tool(effect="write")
def slow(ctx: Context) -> str:
    """Write, sleep, write again."""
    ctx.write(ctx.home / "early.txt", "early")
    GO.wait(10)
    for act in ("write", "mkdir", "move"):
        try:
            if act == "write":
                ctx.write(ctx.home / "late.txt", "late")
            elif act == "mkdir":
                ctx.mkdir(ctx.home / "late")
            else:
                ctx.move(ctx.home / "kept.txt", ctx.home / "late")
        except ToolError as error:
            LATE.append(str(error))
    DONE.set()
    return "too late"


@tool(effect="irreversible")
def burn(ctx: Context, what: Mapping[str, Any]) -> str:
    """Burn something."""
    (ctx.home / "burnt.txt").write_text(str(dict(what)))
    return "Burnt."


@tool(effect="egress")
def send(ctx: Context, to: str) -> str:
    """Send something away."""
    (ctx.home / "sent.txt").write_text(to)
    return "Sent."


GO, DONE = threading.Event(), threading.Event()
TOOLS = (note, loud, broken, slow, burn, send)


class Home:
    def __init__(self, root: Path) -> None:
        self.home, self.data = root / "home", root / "data"
        self.home.mkdir()
        (self.home / "kept.txt").write_text("as it was")
        self.host, self.journal = FakeHost(), Journal(self.data)

    def gateway(self, **options: Any) -> Gateway:
        return Gateway(Registry(TOOLS), self.journal, self.host, home=self.home, data=self.data, settings={}, **options)

    def tree(self) -> dict[str, bytes | None]:
        return {
            str(path.relative_to(self.home)): None if path.is_dir() else path.read_bytes()
            for path in sorted(self.home.rglob("*"))
        }

    def last(self) -> Action:
        return self.journal.actions(1)[0]


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    GO.clear()
    DONE.clear()
    LATE.clear()
    made = Home(tmp_path)
    yield made
    GO.set()
    made.journal.close()


# -- the plain way -----------------------------------------------------------------------------------------


def test_a_call_is_journalled_run_and_undone(home: Home) -> None:
    before, gateway = home.tree(), home.gateway()
    done = gateway.run("r1", note, {"text": "hello"}, NOW)
    assert (done.result.text, done.result.data, done.elapsed_ms > 0) == ("Wrote note.txt.", {"name": "note.txt"}, True)
    action = home.last()
    assert (action.id, action.request, action.tool, action.effect) == (done.action, "r1", "user.note", "write")
    assert (action.state, action.arguments) == ("done", {"text": "hello"})
    assert [change.op for change in action.changes] == ["mkdir", "write"]
    assert len(gateway.undo(action, NOW)) == 2
    assert (home.last().state, home.tree()) == ("undone", before)


def test_undo_calls_what_the_tool_named(home: Home) -> None:
    gateway = home.gateway()
    gateway.run("r", loud, {"level": 80}, NOW)
    assert home.host.volume == 80
    assert gateway.undo(home.last(), NOW) == ["Volume 50."]
    assert (home.host.volume, home.last().state, len(home.journal.actions())) == (50, "undone", 1)


def test_undo_with_a_tool_that_is_gone_changes_nothing(home: Home) -> None:
    home.gateway().run("r", loud, {"level": 80}, NOW)
    bare = Gateway(Registry([note]), home.journal, home.host, home=home.home, data=home.data, settings={})
    with pytest.raises(ToolError, match=r"no tool named 'user\.loud'"):
        bare.undo(home.last(), NOW)
    assert (home.host.volume, home.last().state) == (80, "done")


def test_the_context_is_what_the_gateway_was_given(home: Home) -> None:
    made = home.gateway(offline=True).context(NOW, lambda change: None)
    assert (made.now, made.home, made.data, made.host, made.offline) == (NOW, home.home, home.data, home.host, True)


# -- allowed or not ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("which", "arguments"), [(burn, {"what": {"a": 1}}), (send, {"to": "x"})])
@pytest.mark.parametrize("answer", [None, False])
def test_without_a_yes_nothing_happens_and_nothing_is_journalled(
    home: Home, which: Tool, arguments: dict[str, Any], answer: bool | None
) -> None:
    before = home.tree()
    approve = None if answer is None else (lambda wanted: False)
    with pytest.raises(RefusedError, match="was not allowed; nothing was done"):
        home.gateway(approve=approve).run("r", which, arguments, NOW)
    assert (home.tree(), home.journal.actions()) == (before, [])


def test_an_approver_that_fails_is_no_yes(home: Home) -> None:
    def approve(wanted: Approval) -> bool:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        home.gateway(approve=approve).run("r", send, {"to": "x"}, NOW)
    assert home.journal.actions() == []
    assert not (home.home / "sent.txt").exists()


def test_what_is_approved_is_what_runs(home: Home) -> None:
    given: dict[str, Any] = {"what": {"inside": ["paper"]}}

    def approve(wanted: Approval) -> bool:
        assert (wanted.tool, wanted.effect, wanted.description) == ("user.burn", Effect.IRREVERSIBLE, "Burn something.")
        assert wanted.arguments == {"what": {"inside": ["paper"]}}
        wanted.arguments["what"]["inside"].append("the house")  # neither the one asked
        given["what"]["inside"].append("the garden")  # nor the one asking changes it any more
        return True

    home.gateway(approve=approve).run("r", burn, given, NOW)
    assert (home.home / "burnt.txt").read_text() == "{'inside': ['paper']}"
    assert home.last().arguments == {"what": {"inside": ["paper"]}}


def test_writes_and_reads_are_not_asked_about(home: Home) -> None:
    def approve(wanted: Approval) -> bool:
        raise AssertionError("asked")

    home.gateway(approve=approve).run("r", note, {"text": "x"}, NOW)


def test_offline_comes_before_the_question(home: Home) -> None:
    def approve(wanted: Approval) -> bool:
        raise AssertionError("asked")

    with pytest.raises(OfflineError, match=r"user\.send uses the network"):
        home.gateway(approve=approve, offline=True).run("r", send, {"to": "x"}, NOW)
    assert home.journal.actions() == []
    home.gateway(offline=True, approve=lambda wanted: True).run("r", burn, {"what": {}}, NOW)  # not the network


# -- failures ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("value", "user.broken failed: ValueError: bad"),
        ("tool", "no such place"),
        ("exit", "user.broken failed: SystemExit: 3"),
        ("interrupt", "user.broken failed: KeyboardInterrupt: "),
        ("memory", "user.broken failed: MemoryError: "),
    ],
)
def test_a_failing_tool_is_taken_back(home: Home, how: str, said: str) -> None:
    before = home.tree()
    with pytest.raises(ToolError) as caught:
        home.gateway().run("r", broken, {"how": how}, NOW)
    assert str(caught.value) == said
    assert home.tree() == before
    assert home.host.volume == 50  # the compensating call ran
    action = home.last()
    assert (action.state, action.note, action.undoable) == ("failed", f"ToolError: {said}", False)


def test_unfit_arguments_never_reach_the_tool(home: Home) -> None:
    with pytest.raises(ToolError, match=r"user\.loud: level"):
        home.gateway().run("r", loud, {"level": "very"}, NOW)
    assert (home.host.volume, home.last().state) == (50, "failed")


def test_what_cannot_be_taken_back_is_told_in_the_journal(home: Home) -> None:
    @tool(effect="write")
    def raced(ctx: Context) -> None:
        """Somebody else is faster."""
        ctx.write(ctx.home / "a.txt", "mine")
        (ctx.home / "a.txt").write_text("theirs")
        raise ValueError("bad")

    with pytest.raises(ToolError, match="bad"):
        home.gateway().run("r", raced, {}, NOW)
    assert (home.home / "a.txt").read_text() == "theirs"
    assert f"not taken back: {home.home / 'a.txt'} has changed since" in home.last().note


def test_without_an_intent_nothing_runs(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*arguments: Any) -> int:
        raise StoreError("journal.db: disk full")

    monkeypatch.setattr(home.journal, "intend", full)
    before = home.tree()
    with pytest.raises(StoreError, match="disk full"):
        home.gateway().run("r", note, {"text": "x"}, NOW)
    assert home.tree() == before


def test_what_cannot_be_written_down_as_done_is_taken_back(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(action: int, state: str, note: str = "") -> None:
        raise StoreError("journal.db: disk full")

    monkeypatch.setattr(home.journal, "end", full)
    before = home.tree()
    with pytest.raises(StoreError, match="disk full"):
        home.gateway().run("r", note, {"text": "x"}, NOW)
    assert (home.tree(), home.last().state) == (before, "intent")  # for the next process to settle


# -- time --------------------------------------------------------------------------------------------------


def test_a_tool_out_of_time_is_taken_back_and_its_late_changes_are_refused(home: Home) -> None:
    before, began = home.tree(), time.monotonic()
    with pytest.raises(ToolError, match=r"user\.slow did not finish in 0\.2 s") as caught:
        home.gateway(timeout_s=0.2).run("r", slow, {}, NOW)
    assert time.monotonic() - began < 5
    assert "tool_timeout_s" in str(caught.value.hint)
    assert home.tree() == before
    action = home.last()
    assert action.state == "failed"
    GO.set()
    assert DONE.wait(10)
    assert LATE == ["this tool's time is over; it may change nothing more"] * 3
    assert home.tree() == before
    assert home.last() == action


def test_a_context_kept_for_later_is_of_no_use(home: Home) -> None:
    kept: list[Context] = []

    @tool(effect="read")
    def keep(ctx: Context) -> None:
        """Keep the context."""
        kept.append(ctx)

    home.gateway().run("r", keep, {}, NOW)
    with pytest.raises(ToolError, match="time is over"):
        kept[0].write(home.home / "later.txt", "x")
    assert home.last().changes == ()


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")
def test_ctrl_c_stops_and_takes_back(home: Home) -> None:
    before, main = home.tree(), threading.get_ident()

    def interrupt() -> None:
        while not (home.home / "early.txt").exists():
            time.sleep(0.005)
        signal.pthread_kill(main, signal.SIGINT)

    threading.Thread(target=interrupt).start()
    with pytest.raises(KeyboardInterrupt):
        home.gateway(timeout_s=20).run("r", slow, {}, NOW)
    assert home.tree() == before
    assert (home.last().state, home.last().note) == ("failed", "KeyboardInterrupt: ")
    GO.set()
    assert DONE.wait(10)
    assert len(LATE) == 3
    assert home.tree() == before


def test_requests_at_once_do_not_mix(home: Home) -> None:
    gateway, failures = home.gateway(), []

    def work(name: str) -> None:
        try:
            for number in range(5):
                gateway.run(name, note, {"text": name, "name": f"{name}{number}"}, NOW)
        except EdgeAgentError as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(name,)) for name in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    actions = home.journal.actions()
    assert {each.state for each in actions} == {"done"}
    for each in actions:
        names = [Path(change.path).name for change in each.changes if change.op == "write"]
        assert names == [each.arguments["name"]]
        assert each.arguments["name"].startswith(each.request)


def test_killed_within_a_tool_the_next_process_settles(home: Home) -> None:
    program = (
        "import sys, os, signal\nfrom pathlib import Path\nfrom test_execute import Home, NOW, note, tool\n"
        "from edge_agent.tools import tool\nfrom edge_agent.execute import Gateway\n"
        "home = object.__new__(Home)\nroot = Path(sys.argv[1])\nhome.home, home.data = root / 'home', root / 'data'\n"
        "from edge_agent.journal import Journal\nhome.host, home.journal = None, Journal(home.data)\n"
        "@tool(effect='write')\n"
        "def die(ctx) -> None:\n"
        "    'Die.'\n"
        "    ctx.write(ctx.home / 'kept.txt', 'half')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "home.gateway().run('r', die, {}, NOW)\n"
    )
    before = home.tree()
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}
    ended = subprocess.run([sys.executable, "-c", program, str(home.home.parent)], env=environment, check=False)
    assert ended.returncode == -signal.SIGKILL
    assert home.tree() != before
    assert [(each.tool, each.state) for each in home.journal.settle()] == [("user.die", "rolled_back")]
    assert home.tree() == before
