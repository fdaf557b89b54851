from __future__ import annotations

import contextlib
import itertools
import os
import sqlite3
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from packs_fixture import NOW, FakeHost, make_context, tree

from edge_agent import journal as module
from edge_agent.errors import EdgeAgentError, StoreError, ToolError
from edge_agent.journal import Action, Journal
from edge_agent.workspace import Change, Context


class World:
    """A home, a journal, and actions that really happen in them."""

    def __init__(self, root: Path) -> None:
        self.home, self.data = root / "home", root / "data"
        self.home.mkdir(exist_ok=True)
        self.journal = Journal(self.data, clock=lambda: self.time)
        self.time = 1000.0

    def begin(self, effect: str = "write", tool: str = "t.t") -> tuple[int, Context]:
        action = self.journal.intend("request", tool, "digest", effect, {"a": "ü"})
        record: Callable[[Change], None] = lambda change: self.journal.record(action, change)  # noqa: E731
        return action, Context(now=NOW, home=self.home, data=self.data, host=FakeHost(), record=record)

    def done(self, act: Callable[[Context], Any]) -> Action:
        action, ctx = self.begin()
        act(ctx)
        self.journal.end(action, "done")
        return self.action(action)

    def action(self, number: int) -> Action:
        (found,) = [each for each in self.journal.actions() if each.id == number]
        return found

    def kill(self, action: int, *, state: str = "intent", process: int | None = None) -> None:
        """Makes an action one of a process that is gone."""
        with self.journal._database.transaction() as connection:
            connection.execute(
                "UPDATE actions SET process=?, born=1.0, state=? WHERE id=?",
                (process or dead_process(), state, action),
            )

    def tree(self) -> dict[str, bytes | None]:
        return {
            str(path.relative_to(self.home)): None if path.is_dir() else path.read_bytes()
            for path in sorted(self.home.rglob("*"))
        }


def dead_process() -> int:
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    assert not psutil.pid_exists(child.pid)
    return child.pid


def die_at(patch: pytest.MonkeyPatch, where: str, number: int) -> None:
    """The process stops at the n-th reversal: before it is made, or between it and its mark."""
    owner, name = (module, "revert") if where == "revert" else (Journal, "_mark")
    real, count = getattr(owner, name), itertools.count()

    def step(*arguments: Any) -> Any:
        if next(count) == number:
            raise KeyboardInterrupt
        return real(*arguments)

    patch.setattr(owner, name, step)


def no_call(name: str, arguments: Any) -> str:
    raise AssertionError(f"{name} was called")


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    (made.home / "a.txt").write_text("alpha")
    yield made
    made.journal.close()


# -- what is written, and when -----------------------------------------------------------------------------


def test_order_on_disk_is_intent_change_effect_end(world: World) -> None:
    """Each step is read back through another connection: it is committed before the next begins."""
    states: list[tuple[str, int, bool]] = []
    path = world.home / "b.txt"

    def look() -> None:
        other = sqlite3.connect(world.data / "journal.db")
        (state,) = other.execute("SELECT state FROM actions").fetchone()
        (changes,) = other.execute("SELECT count(*) FROM changes").fetchone()
        other.close()
        states.append((state, changes, path.exists()))

    action, ctx = world.begin()
    look()
    record = ctx._record
    ctx._record = lambda change: (record(change), look())[0]  # type: ignore[func-returns-value]
    ctx.write(path, "x")
    look()
    world.journal.end(action, "done")
    look()
    assert states == [("intent", 0, False), ("intent", 1, False), ("intent", 1, True), ("done", 1, True)]


def test_actions_come_back_newest_first_with_their_changes(world: World) -> None:
    first, ctx = world.begin(tool="t.first")
    ctx.mkdir(world.home / "x" / "y")
    world.journal.end(first, "failed", "no: \udcff")
    second, _ = world.begin("read", "t.second")
    world.journal.end(second, "done")
    newest, oldest = world.journal.actions()
    assert (newest.tool, newest.effect, newest.arguments, newest.undoable) == ("t.second", "read", {"a": "ü"}, False)
    assert (oldest.tool, oldest.state, oldest.note, oldest.started) == ("t.first", "failed", "no: ?", 1000.0)
    assert [Path(change.path).name for change in oldest.changes] == ["x", "y"]
    assert [each.id for each in world.journal.actions(1)] == [second]
    assert [each.id for each in world.journal.actions(state="failed")] == [first]


def test_names_that_are_not_unicode_survive(world: World) -> None:
    change = Change("move", os.fsdecode(b"/h/\xe9"), target="/h/b")
    action, _ = world.begin()
    world.journal.record(action, change)
    assert world.action(action).changes == (change,)


def test_an_intent_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "journal.db").write_bytes(b"rubbish" * 1000)
    with pytest.raises(StoreError, match=r"journal\.db"):
        Journal(tmp_path).intend("r", "t", "d", "write", {})


# -- undo --------------------------------------------------------------------------------------------------


def everything(ctx: Context) -> None:
    home = ctx.home
    ctx.write(home / "a.txt", "changed")
    ctx.write(home / "a.txt", "changed twice")
    ctx.write(home / "new" / "b.txt", "b")
    ctx.move(home / "a.txt", home / "new" / "c.txt")
    ctx.write(home / "a.txt", "another in its place")
    ctx.move(home / "new", home / "moved")
    ctx.copy(home / "moved", home / "copy")
    ctx.trash(home / "copy" / "b.txt")


def test_undo_restores_every_byte(world: World) -> None:
    before = world.tree()
    action = world.done(everything)
    assert action.undoable
    said = world.journal.undo(action, no_call)
    assert len(said) == len(action.changes)
    assert world.tree() == before
    assert world.action(action.id).state == "undone"


def test_undo_happens_once(world: World) -> None:
    action = world.done(lambda ctx: ctx.write(world.home / "a.txt", "new"))
    world.journal.undo(action, no_call)
    (world.home / "a.txt").write_text("new")  # so that a second undo would find what it looks for
    with pytest.raises(ToolError, match="is being undone already"):
        world.journal.undo(action, no_call)
    with pytest.raises(ToolError, match="cannot be undone: it is undone"):
        world.journal.undo(world.action(action.id), no_call)
    assert (world.home / "a.txt").read_text() == "new"


@pytest.mark.parametrize("state", ["intent", "failed", "rolled_back", "unknown", "undoing"])
def test_undo_refuses_other_states(world: World, state: str) -> None:
    action, ctx = world.begin()
    ctx.mkdir(world.home / "x")
    world.journal.end(action, state)
    with pytest.raises(ToolError, match=f"cannot be undone: it is {state}"):
        world.journal.undo(world.action(action), no_call)
    empty = world.done(lambda ctx: None)
    with pytest.raises(ToolError, match="changed nothing that can be taken back"):
        world.journal.undo(empty, no_call)


def disturb_written(home: Path) -> None:
    (home / "moved" / "b.txt").write_text("theirs")


def disturb_gone(home: Path) -> None:
    (home / "moved" / "c.txt").unlink()


def disturb_moved(home: Path) -> None:
    (home / "moved").rename(home / "elsewhere")


def disturb_place(home: Path) -> None:
    (home / "new").mkdir()


def disturb_trash(home: Path) -> None:
    (home / ".local/share/Trash/files/b.txt").unlink()


def disturb_backup(home: Path) -> None:
    for path in (home.parent / "data" / "backups").glob("*/*"):
        path.unlink()


@pytest.mark.parametrize(
    ("disturb", "said"),
    [
        (disturb_written, "has changed since"),
        (disturb_gone, "has changed since"),
        (disturb_moved, "has changed since"),
        (disturb_place, "exists again"),
        (disturb_trash, "not there any more|has changed since"),
        (disturb_backup, "is not kept any more"),
    ],
)
def test_undo_of_what_has_changed_since_does_nothing(world: World, disturb: Callable[[Path], None], said: str) -> None:
    action = world.done(everything)
    disturb(world.home)
    before = world.tree()
    with pytest.raises(ToolError, match=said) as caught:
        world.journal.undo(action, no_call)
    assert "nothing was undone" in str(caught.value)
    assert world.tree() == before
    assert world.action(action.id).state == "done"


def test_actions_are_undone_latest_first(world: World) -> None:
    before = world.tree()
    first = world.done(lambda ctx: ctx.write(world.home / "a.txt", "one"))
    second = world.done(lambda ctx: ctx.move(world.home / "a.txt", world.home / "b.txt"))
    with pytest.raises(ToolError) as caught:
        world.journal.undo(first, no_call)
    assert caught.value.hint == "undo it by hand, or undo later actions first"
    world.journal.undo(second, no_call)
    world.journal.undo(first, no_call)
    assert world.tree() == before


def test_compensating_calls_run_in_reverse(world: World) -> None:
    def act(ctx: Context) -> None:
        ctx.undo_with("s.volume", {"level": 10})
        ctx.write(world.home / "b.txt", "b")
        ctx.undo_with("s.light", {"level": 20})

    action, called = world.done(act), []

    def call(name: str, arguments: Any) -> str:
        called.append((name, dict(arguments), (world.home / "b.txt").exists()))
        return f"set {name}"

    assert world.journal.undo(action, call) == ["set s.light", f"removed {world.home / 'b.txt'}", "set s.volume"]
    assert called == [("s.light", {"level": 20}, True), ("s.volume", {"level": 10}, False)]


@pytest.mark.parametrize(("fails_at", "state"), [("s.light", "done"), ("s.volume", "unknown")])
def test_an_undo_that_fails_says_how_far_it_came(world: World, fails_at: str, state: str) -> None:
    def act(ctx: Context) -> None:
        ctx.undo_with("s.volume", {})
        ctx.undo_with("s.light", {})

    def call(name: str, arguments: Any) -> str:
        if name == fails_at:
            raise ToolError("no such device")
        return "ok"

    action = world.done(act)
    with pytest.raises(ToolError, match="no such device"):
        world.journal.undo(action, call)
    found = world.action(action.id)
    assert found.state == state
    assert found.note == ("undo stopped after 1 of 2 steps: no such device" if state == "unknown" else "")


# -- settle ------------------------------------------------------------------------------------------------


def test_file_changes_of_a_dead_process_are_taken_back(world: World) -> None:
    before = world.tree()
    action, ctx = world.begin()
    everything(ctx)
    assert world.tree() != before
    world.kill(action)
    (settled,) = world.journal.settle()
    assert (settled.id, settled.state, settled.note) == (action, "rolled_back", "stopped half way; taken back")
    assert world.tree() == before
    assert world.journal.settle() == []


def test_a_change_that_was_only_intended_is_none(world: World) -> None:
    before = world.tree()
    for change in (
        Change("write", str(world.home / "never.txt"), after="0" * 64),
        Change("mkdir", str(world.home / "never")),
        Change("move", str(world.home / "a.txt"), target=str(world.home / "never")),
    ):
        action, _ = world.begin()
        world.journal.record(action, change)
        world.kill(action)
        assert [each.state for each in world.journal.settle()] == ["rolled_back"]
    assert world.tree() == before


@pytest.mark.parametrize(
    ("effect", "state"),
    [("write", "rolled_back"), ("read", "failed"), ("irreversible", "unknown"), ("egress", "unknown")],
)
def test_what_was_not_files_is_unknown_unless_it_only_read(world: World, effect: str, state: str) -> None:
    action, _ = world.begin(effect)
    world.kill(action)
    assert [each.state for each in world.journal.settle()] == [state]


def test_a_change_elsewhere_makes_it_unknown_and_nothing_is_called(world: World) -> None:
    action, ctx = world.begin()
    ctx.write(world.home / "b.txt", "b")
    ctx.undo_with("s.volume", {"level": 10})
    world.kill(action)
    (settled,) = world.journal.settle()
    assert (settled.state, settled.note) == ("unknown", "stopped half way; please look")
    assert (world.home / "b.txt").exists()


@pytest.mark.parametrize("theirs", ["changed", "removed"])
def test_a_file_that_others_changed_is_left_and_told(world: World, theirs: str) -> None:
    action, ctx = world.begin()
    ctx.write(world.home / "a.txt", "mine")
    ctx.write(world.home / "b.txt", "mine")
    path = world.home / "a.txt"
    if theirs == "changed":
        path.write_text("theirs")
    else:
        path.unlink()
    world.kill(action)
    (settled,) = world.journal.settle()
    assert settled.state == "unknown"
    assert f"{path} has changed since" in settled.note
    assert path.exists() == (theirs == "changed")
    assert not (world.home / "b.txt").exists()  # the rest is taken back all the same


def test_running_processes_are_left_alone(world: World) -> None:
    mine, ctx = world.begin()
    ctx.write(world.home / "b.txt", "b")
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    other, _ = world.begin()
    with world.journal._database.transaction() as connection:
        born = psutil.Process(child.pid).create_time()
        connection.execute("UPDATE actions SET process=?, born=? WHERE id=?", (child.pid, born, other))
    another = Journal(world.data)
    assert another.settle() == []
    child.kill()  # from now on it is a zombie: gone, and not yet waited for
    while psutil.Process(child.pid).status() != psutil.STATUS_ZOMBIE:
        pass
    assert [each.id for each in another.settle()] == [other]
    child.communicate()
    another.close()
    assert world.action(mine).state == "intent"
    assert (world.home / "b.txt").exists()


def test_a_process_id_that_is_used_again_does_not_count(world: World) -> None:
    action, ctx = world.begin()
    ctx.write(world.home / "b.txt", "b")
    world.kill(action, process=os.getpid())
    assert [each.state for each in world.journal.settle()] == ["rolled_back"]
    assert not (world.home / "b.txt").exists()


def test_temp_files_of_the_dead_are_removed_and_no_others(world: World) -> None:
    action, ctx = world.begin()
    ctx.write(world.home / "n" / "b.txt", "b")
    pid = dead_process()
    (world.data / "backups" / "ab").mkdir(parents=True)
    left = [world.home / f"n/.b.txt.{pid}-xyz.edge_agent.tmp", world.data / f"backups/ab/.ab.{pid}-q.edge_agent.tmp"]
    kept = [world.home / "n" / f".b.txt.{os.getpid()}-xyz.edge_agent.tmp", world.home / "n" / ".b.txt.tmp"]
    for path in left + kept:
        path.touch()
    world.kill(action, process=pid)
    world.journal.settle()
    assert [path.exists() for path in left + kept] == [False, False, True, True]


def test_newer_actions_are_taken_back_first(world: World) -> None:
    before = world.tree()
    numbers = []
    for text in ("one", "two"):
        action, ctx = world.begin()
        ctx.write(world.home / "a.txt", text)
        numbers.append(action)
    for action in numbers:
        world.kill(action)
    assert [each.id for each in world.journal.settle()] == numbers[::-1]
    assert world.tree() == before


@pytest.mark.parametrize("where", ["revert", "mark"])
def test_an_undo_cut_short_is_finished(world: World, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    before = world.tree()
    for stop in range(0, 12, 3):
        action = world.done(everything)
        with monkeypatch.context() as patch:
            die_at(patch, where, stop)
            with pytest.raises(KeyboardInterrupt):
                world.journal.undo(action, no_call)
        world.kill(action.id, state="undoing")  # a real death writes nothing more
        assert [each.state for each in world.journal.settle()] == ["undone"]
        assert world.tree() == before


def test_an_undo_of_calls_cut_short_is_unknown(world: World) -> None:
    called = world.done(lambda ctx: ctx.undo_with("s.volume", {}))
    world.kill(called.id, state="undoing")
    assert [each.state for each in world.journal.settle()] == ["unknown"]


@pytest.mark.parametrize("where", ["revert", "mark"])
def test_settling_cut_short_is_settled_again(world: World, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    before = world.tree()
    action, ctx = world.begin()
    everything(ctx)
    deaths = 0
    while world.action(action).state == "intent":
        world.kill(action)
        with monkeypatch.context() as patch, contextlib.suppress(KeyboardInterrupt):
            die_at(patch, where, 2)
            world.journal.settle()
        deaths += world.action(action).state == "intent"
        assert world.journal.settle() == []  # it is this process's now, and this process lives
    assert world.action(action).state == "rolled_back"
    assert world.tree() == before
    assert deaths > 3


def test_two_settlers_at_once_take_back_once(world: World) -> None:
    before = world.tree()
    for _ in range(4):
        action, ctx = world.begin()
        everything(ctx)
        world.kill(action)
        together = threading.Barrier(3)
        settled: list[Action] = []

        def settle(together: threading.Barrier = together, settled: list[Action] = settled) -> None:
            journal = Journal(world.data)
            together.wait(10)
            settled.extend(journal.settle())
            journal.close()

        threads = [threading.Thread(target=settle) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [(each.id, each.state) for each in settled] == [(action, "rolled_back")]
        assert world.tree() == before


def test_two_processes_keep_one_journal(world: World) -> None:
    program = (
        "import sys\nfrom pathlib import Path\nfrom edge_agent.journal import Journal\n"
        "from edge_agent.workspace import Change\njournal = Journal(Path(sys.argv[1]))\n"
        "for number in range(25):\n"
        "    action = journal.intend(sys.argv[2], 't', 'd', 'read', {'number': number})\n"
        "    journal.record(action, Change('mkdir', sys.argv[2]))\n"
        "    journal.settle()\n"
        "    journal.end(action, 'done')\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    children = [
        subprocess.Popen([sys.executable, "-c", program, str(world.data), name], env=environment) for name in "ab"
    ]
    assert [child.wait(timeout=60) for child in children] == [0, 0]
    actions = world.journal.actions(100)
    assert {each.state for each in actions} == {"done"}
    assert sorted((each.request, each.arguments["number"]) for each in actions) == sorted(
        (name, number) for name in "ab" for number in range(25)
    )
    assert all(each.changes == (Change("mkdir", each.request),) for each in actions)


STEP = st.tuples(
    st.sampled_from(["write", "move", "copy", "mkdir", "trash"]),
    st.sampled_from(["a", "b", "c", "c/d", "e/f"]),
    st.sampled_from(["a", "b", "c", "c/d", "e/f"]),
    st.sampled_from(["same", "other"]),
)


@settings(max_examples=15, deadline=None)
@given(st.lists(STEP, max_size=6), st.lists(STEP, min_size=1, max_size=8), st.integers(0, 30), st.booleans())
def test_stopped_anywhere_an_action_is_settled_to_nothing(
    first: list[tuple[str, str, str, str]], steps: list[tuple[str, str, str, str]], stop: int, made: bool
) -> None:
    """Killed right before (or right after) its n-th change: what was done is taken back to the byte."""

    class Killed(BaseException):
        pass

    def play(ctx: Context, steps: list[tuple[str, str, str, str]]) -> None:
        for act, name, other, content in steps:
            try:
                if act == "write":
                    ctx.write(ctx.home / name, content)
                elif act in ("move", "copy"):
                    getattr(ctx, act)(ctx.home / name, ctx.home / other)
                else:
                    getattr(ctx, act)(ctx.home / name)
            except EdgeAgentError:
                pass

    with tempfile.TemporaryDirectory() as folder:
        play(make_context(Path(folder)), first)
        world = World(Path(folder))
        before = world.tree()
        action, ctx = world.begin()
        record, count = ctx._record, [0]

        def recording(change: Change) -> None:
            if made and count[0] == stop:
                raise Killed
            record(change)
            count[0] += 1
            if not made and count[0] == stop:
                raise Killed

        ctx._record = recording
        with contextlib.suppress(Killed):
            play(ctx, steps)
        world.kill(action)
        (settled,) = world.journal.settle()
        assert (settled.state, settled.note) == ("rolled_back", "stopped half way; taken back")
        assert world.tree() == before
        world.journal.close()


# -- forgetting --------------------------------------------------------------------------------------------


def test_forget_removes_old_actions_and_the_backups_only_they_need(world: World) -> None:
    (world.home / "b.txt").write_text("beta")
    old = world.done(lambda ctx: (ctx.write(world.home / "a.txt", "1"), ctx.write(world.home / "b.txt", "2")))
    (world.home / "c.txt").write_text("alpha")  # the same content, once more
    world.time = 2000.0
    new = world.done(lambda ctx: ctx.write(world.home / "c.txt", "3"))
    backups = world.data / "backups"
    assert sorted(path.read_text() for path in backups.glob("*/*")) == ["alpha", "beta"]
    assert world.journal.forget(1500.0) == 1
    assert [each.id for each in world.journal.actions()] == [new.id]
    assert [path.read_text() for path in backups.glob("*/*")] == ["alpha"]
    world.journal.undo(new, no_call)
    assert (world.home / "c.txt").read_text() == "alpha"
    with pytest.raises(ToolError):
        world.journal.undo(old, no_call)
    assert world.journal._database.rows("SELECT count(*) FROM changes")[0][0] == 1


def test_forget_keeps_what_is_under_way_and_its_backups(world: World) -> None:
    running, ctx = world.begin()
    backup = Path(ctx._backup(world.home / "a.txt"))  # made, and not yet written down
    world.time = 2000.0
    assert world.journal.forget(5000.0) == 0
    assert world.action(running).state == "intent"
    assert backup.exists()
    world.journal.end(running, "done")
    assert world.journal.forget(5000.0) == 1
    assert not backup.exists()
    assert world.journal.actions() == []


def test_forgotten_arguments_leave_the_file(world: World) -> None:
    action = world.journal.intend("r", "t", "d", "write", {"text": "my secret words"})
    world.journal.end(action, "done")
    assert world.journal.forget(5000.0) == 1
    world.journal.close()
    assert b"my secret words" not in (world.data / "journal.db").read_bytes()


def test_tree_sees_a_difference(world: World) -> None:
    """Proves that the comparisons above can fail."""
    ctx = make_context(world.home.parent)
    before = tree(ctx)
    (world.home / "a.txt").write_text("alphb")
    assert tree(ctx) != before
