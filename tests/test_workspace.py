from __future__ import annotations

import errno
import os
import stat
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from packs_fixture import RecordingContext, make_context, tree, undo

from edge_agent import workspace
from edge_agent.errors import EdgeAgentError, RefusedError, StoreError, ToolError
from edge_agent.journal import Journal
from edge_agent.workspace import Change, file_digest, private_folder, revert, sweep, unused, write_atomic

Paths = dict[str, Path]


@pytest.fixture
def ctx(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RecordingContext:
    """A home that does not lie in the folder for temporary files, so that there is an outside."""
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    made = make_context(tmp_path)
    (made.home / "docs").mkdir()
    (made.home / "docs" / "a.txt").write_text("alpha")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret.txt").write_text("secret")
    return made


def take_back(ctx: RecordingContext) -> bool:
    """As the gateway does when a tool fails: through a journal. True when nothing was left standing."""
    journal = Journal(ctx.data / "own")
    action = journal.intend("r", "t", "d", "write", {})
    for change in ctx.changes:
        journal.record(action, change)
    troubles = journal.take_back(action)
    journal.close()
    return troubles == []


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


# -- where things are --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("docs/a.txt", "docs/a.txt"),
        ("~/docs/a.txt", "docs/a.txt"),
        ("~", "."),
        (".", "."),
        ("./docs/../docs//a.txt", "docs/a.txt"),
        ("  new file.txt ", "new file.txt"),
        ("docs/../..hidden", "..hidden"),
        ("größe 日本.txt", "größe 日本.txt"),
        ("~x/y", "~x/y"),
    ],
)
def test_path_inside(ctx: RecordingContext, text: str, found: str) -> None:
    assert ctx.path(text) == ctx.home / found


def test_path_may_be_absolute_or_temporary(ctx: RecordingContext, tmp_path: Path) -> None:
    assert ctx.path(str(ctx.home / "docs")) == ctx.home / "docs"
    assert ctx.path(str(tmp_path / "tmp" / "x")) == tmp_path / "tmp" / "x"


@pytest.mark.parametrize(
    "text",
    ["..", "../outside/secret.txt", "docs/../../outside", "~/../outside", "/etc/passwd", "/", "OUTSIDE/secret.txt"],
)
def test_path_outside_is_refused(ctx: RecordingContext, tmp_path: Path, text: str) -> None:
    with pytest.raises(RefusedError, match="outside your home folder"):
        ctx.path(text.replace("OUTSIDE", str(tmp_path / "outside")))


def test_home_is_no_prefix_of_a_neighbour(ctx: RecordingContext, tmp_path: Path) -> None:
    (tmp_path / "home2").mkdir()
    with pytest.raises(RefusedError):
        ctx.path("../home2/x")


def test_links_that_lead_out_are_refused(ctx: RecordingContext, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    (ctx.home / "folder").symlink_to(outside)
    (ctx.home / "file.txt").symlink_to(outside / "secret.txt")
    (ctx.home / "chain").symlink_to(ctx.home / "folder")
    (ctx.home / "dangling").symlink_to(outside / "not yet")
    for text in ("folder", "folder/secret.txt", "folder/new", "file.txt", "chain/secret.txt", "dangling"):
        with pytest.raises(RefusedError, match="outside"):
            ctx.path(text)


def test_links_within_home_are_followed_up_to_the_last_part(ctx: RecordingContext) -> None:
    (ctx.home / "folder").symlink_to(ctx.home / "docs")
    (ctx.home / "loop").symlink_to(ctx.home / "loop")
    assert ctx.path("folder/a.txt") == ctx.home / "docs" / "a.txt"
    assert ctx.path("folder") == ctx.home / "folder"  # moving a link moves the link
    assert ctx.path("loop") == ctx.home / "loop"


def test_a_home_that_is_a_link_is_home(tmp_path: Path) -> None:
    made = make_context(tmp_path)
    (tmp_path / "linked").symlink_to(made.home)
    made.home = tmp_path / "linked"
    assert made.path("~") == made.path(str(tmp_path / "linked")) == tmp_path / "home"
    assert made.shown(made.path("x/y")) == "~/x/y"


@pytest.mark.parametrize("text", ["", "  ", "a\x00b", "a\nb", "\x1b[31m", "a\x7f", "a\x85"])
def test_control_characters_are_no_file_name(ctx: RecordingContext, text: str) -> None:
    with pytest.raises(ToolError, match="is not a file name"):
        ctx.path(text)


def test_own_data_is_refused(tmp_path: Path) -> None:
    made = make_context(tmp_path)
    made.data = made.home / ".local" / "edge_agent"
    made.data.mkdir(parents=True)
    (made.home / "link").symlink_to(made.data)
    for text in (".local/edge_agent", ".local/edge_agent/journal.db", "link", "link/journal.db"):
        with pytest.raises(RefusedError, match="belongs to edge_agent"):
            made.path(text)
    for act in (made.trash, lambda path: made.move(path, made.home / "x")):
        with pytest.raises(RefusedError, match="edge_agent's own data"):
            act(made.home / ".local")
    assert made.data.is_dir()


def test_folders_come_from_settings(tmp_path: Path) -> None:
    made = make_context(tmp_path, settings={"notes_dir": "My Notes"})
    assert made.folder("notes_dir", "Notes") == made.home / "My Notes"
    assert made.folder("mail_dir", "Mail") == made.home / "Mail"
    assert not (made.home / "Mail").exists()


# -- changes and their inverse -----------------------------------------------------------------------------


def test_changes_are_recorded_before_they_are_made(ctx: RecordingContext) -> None:
    seen: list[tuple[str, bool]] = []
    ctx._record = lambda change: seen.append((change.op, os.path.lexists(change.target or change.path)))
    ctx.write(ctx.home / "new" / "b.txt", "b")
    ctx.move(ctx.home / "docs", ctx.home / "papers")
    assert seen == [("mkdir", False), ("write", False), ("move", False)]


def test_what_cannot_be_recorded_is_not_done(ctx: RecordingContext) -> None:
    def full(change: Change) -> None:
        raise StoreError("journal.db: disk full")

    before, ctx._record = tree(ctx), full
    tries: list[Callable[[], object]] = [
        lambda: ctx.write(ctx.home / "b.txt", "b"),
        lambda: ctx.write(ctx.home / "docs" / "a.txt", "b"),
        lambda: ctx.move(ctx.home / "docs", ctx.home / "x"),
        lambda: ctx.mkdir(ctx.home / "new"),
        lambda: ctx.copy(ctx.home / "docs", ctx.home / "x"),
        lambda: ctx.trash(ctx.home / "docs"),
        lambda: ctx.undo_with("t", {}),
    ]
    for each in tries:
        with pytest.raises(StoreError, match="disk full"):
            each()
    assert tree(ctx) == before


def test_write_modes(ctx: RecordingContext) -> None:
    ctx.write(ctx.home / "open.txt", "x")
    ctx.write(ctx.home / "private.txt", b"x", private=True)
    assert (mode(ctx.home / "open.txt"), mode(ctx.home / "private.txt")) == (0o644, 0o600)
    (ctx.home / "open.txt").chmod(0o640)
    ctx.write(ctx.home / "open.txt", "y", private=True)  # a file that is there keeps its own
    assert mode(ctx.home / "open.txt") == 0o640
    backups = [path for path in (ctx.data / "backups").rglob("*") if path.is_file()]
    assert [(path.read_text(), mode(path)) for path in backups] == [("x", 0o600)]
    assert {mode(folder) for folder in (ctx.data, ctx.data / "backups", backups[0].parent)} == {0o700}
    undo(ctx)
    assert not (ctx.home / "open.txt").exists()


def test_write_follows_a_link_within_home_only(ctx: RecordingContext, tmp_path: Path) -> None:
    (ctx.home / "link.txt").symlink_to(ctx.home / "docs" / "a.txt")
    ctx.write(ctx.home / "link.txt", "new")
    assert (ctx.home / "link.txt").is_symlink()
    assert (ctx.home / "docs" / "a.txt").read_text() == "new"
    undo(ctx)
    assert (ctx.home / "link.txt").read_text() == "alpha"
    (ctx.home / "out.txt").symlink_to(tmp_path / "outside" / "secret.txt")
    (ctx.home / "out").symlink_to(tmp_path / "outside")
    for path in (ctx.home / "out.txt", ctx.home / "out" / "new.txt", tmp_path / "outside" / "new.txt"):
        with pytest.raises(RefusedError):
            ctx.write(path, "x")
    assert (tmp_path / "outside" / "secret.txt").read_text() == "secret"
    assert len(list((tmp_path / "outside").iterdir())) == 1


def test_copy_keeps_modes_times_and_bytes(ctx: RecordingContext) -> None:
    folder = ctx.home / "docs"
    folder.chmod(0o750)
    (folder / "a.txt").chmod(0o604)
    os.utime(folder / "a.txt", (1e9, 1e9))
    (folder / "sub" / "deep").mkdir(parents=True)
    (folder / "sub" / "b.bin").write_bytes(bytes(range(256)) * 9000)
    before = tree(ctx)
    ctx.copy(folder, ctx.home / "copy")
    after = tree(ctx)
    assert {name: after[name.replace("docs", "copy", 1)] for name in before} == before
    assert (mode(ctx.home / "copy"), mode(ctx.home / "copy" / "a.txt")) == (0o750, 0o604)
    assert (ctx.home / "copy" / "a.txt").stat().st_mtime == 1e9
    undo(ctx)
    assert tree(ctx) == before


def make_fifo(ctx: RecordingContext) -> None:
    os.mkfifo(ctx.home / "docs" / "pipe")


def make_link(ctx: RecordingContext) -> None:
    (ctx.home / "docs" / "loop").symlink_to(ctx.home / "docs")


def nothing(ctx: RecordingContext) -> None:
    pass


@pytest.mark.parametrize(
    ("prepare", "act", "said"),
    [
        (nothing, lambda c, h: c.copy(h / "docs", h / "docs" / "in"), "lies inside"),
        (nothing, lambda c, h: c.move(h / "docs", h / "docs" / "in"), "lies inside"),
        (nothing, lambda c, h: c.copy(h / "docs" / "a.txt", h / "docs"), "exists already"),
        (nothing, lambda c, h: c.move(h / "docs" / "a.txt", h / "docs"), "exists already"),
        (nothing, lambda c, h: c.move(h / "none", h / "x"), "does not exist"),
        (nothing, lambda c, h: c.copy(h / "none", h / "x"), "is not a file or folder"),
        (nothing, lambda c, h: c.trash(h / "none"), "does not exist"),
        (nothing, lambda c, h: c.mkdir(h / "docs" / "a.txt"), "is a file"),
        (nothing, lambda c, h: c.write(h / "docs" / "a.txt" / "b", "x"), "is a file"),
        (nothing, lambda c, h: c.write(h / "docs", "x"), "is a folder"),
        (make_fifo, lambda c, h: c.copy(h / "docs", h / "x"), "is not a file or folder"),
        (make_link, lambda c, h: c.copy(h / "docs", h / "x"), "is a link"),
        (make_link, lambda c, h: c.copy(h / "docs" / "a.txt", h / "docs" / "loop"), "exists already"),
        (nothing, lambda c, h: c.move(h, h.parent / "tmp" / "x"), "holds your home"),
        (nothing, lambda c, h: c.trash(h), "holds your home"),
        (nothing, lambda c, h: c.move(h / "docs", h.parent / "outside" / "x"), "outside your home"),
        (nothing, lambda c, h: c.move(h.parent / "outside", h / "x"), "outside your home"),
        (nothing, lambda c, h: c.trash(h.parent / "outside"), "outside your home"),
    ],
)
def test_refusals(
    ctx: RecordingContext,
    prepare: Callable[[RecordingContext], None],
    act: Callable[[RecordingContext, Path], object],
    said: str,
) -> None:
    prepare(ctx)
    before = {path: os.lstat(path).st_mtime_ns for path in ctx.home.rglob("*") if path.is_file()}
    with pytest.raises((ToolError, RefusedError), match=said):
        act(ctx, ctx.home)
    assert take_back(ctx)
    assert {path: os.lstat(path).st_mtime_ns for path in ctx.home.rglob("*") if path.is_file()} == before


def test_move_from_disk_to_disk_is_refused_and_leaves_nothing(
    ctx: RecordingContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cross(source: Path, target: Path) -> None:
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    monkeypatch.setattr(os, "rename", cross)
    with pytest.raises(ToolError, match="another disk") as caught:
        ctx.move(ctx.home / "docs", ctx.home / "usb" / "docs")
    assert caught.value.hint == "copy it there instead"
    assert take_back(ctx)
    assert list(tree(ctx)) == ["docs", "docs/a.txt"]


@pytest.mark.skipif(sys.platform in ("darwin", "win32"), reason="the freedesktop.org trash")
def test_trash_is_the_desktops(ctx: RecordingContext) -> None:
    before = tree(ctx)
    lies = ctx.trash(ctx.home / "docs" / "a.txt")
    (ctx.home / "docs" / "a.txt").write_text("another")
    again = ctx.trash(ctx.home / "docs" / "a.txt")
    trash = ctx.home / ".local/share/Trash"
    assert (lies, again) == (trash / "files" / "a.txt", trash / "files" / "a (2).txt")
    info = (trash / "info" / "a.txt.trashinfo").read_text().splitlines()
    assert info == ["[Trash Info]", f"Path={ctx.home}/docs/a.txt", "DeletionDate=2026-11-28T09:30:00"]
    assert (trash / "info" / "a (2).txt.trashinfo").exists()
    (lost := ctx.home / "dangling").symlink_to("nowhere")
    assert ctx.trash(lost).is_symlink()
    lost.unlink(missing_ok=True)
    for change in reversed(ctx.changes):
        if (ctx.home / "docs" / "a.txt").exists() and change.target == str(lies):
            (ctx.home / "docs" / "a.txt").unlink()  # the second file of that name is not the runtime's to remove
        revert(change)
    lost.unlink()
    assert tree(ctx) == before


@pytest.mark.parametrize(("platform", "where"), [("darwin", "home/.Trash"), ("win32", "data/trash")])
def test_trash_elsewhere(
    ctx: RecordingContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, platform: str, where: str
) -> None:
    monkeypatch.setattr(workspace.sys, "platform", platform)
    assert ctx.trash(ctx.home / "docs") == tmp_path / where / "docs"
    undo(ctx)
    assert (ctx.home / "docs" / "a.txt").read_text() == "alpha"


def test_names_that_are_not_unicode_are_handled(ctx: RecordingContext) -> None:
    name = os.fsdecode(b"caf\xe9.txt")
    try:
        (ctx.home / name).write_text("x")
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    lies = ctx.trash(ctx.home / name)
    assert lies.read_text() == "x"
    undo(ctx)
    assert (ctx.home / name).read_text() == "x"


def test_conflicts_leave_everything_alone(ctx: RecordingContext) -> None:
    home = ctx.home
    ctx.write(home / "new.txt", "mine")
    ctx.write(home / "docs" / "a.txt", "mine")
    ctx.move(home / "docs" / "a.txt", home / "b.txt")
    written, replaced, moved = ctx.changes
    (home / "new.txt").write_text("theirs")
    (home / "docs" / "a.txt").write_text("theirs")
    for change, said in ((written, "has changed since"), (replaced, "has changed since"), (moved, "exists again")):
        with pytest.raises(ToolError, match=said):
            revert(change)
    (home / "b.txt").unlink()
    with pytest.raises(ToolError, match="not there any more"):
        revert(moved)
    assert (home / "new.txt").read_text() == (home / "docs" / "a.txt").read_text() == "theirs"
    ctx.mkdir(home / "f")
    (home / "f" / "theirs").touch()
    assert "it holds other things" in revert(ctx.changes[-1])
    with pytest.raises(ToolError, match="call is not a file change"):
        revert(Change("call", target="t"))


def test_a_lost_backup_is_named(ctx: RecordingContext) -> None:
    ctx.write(ctx.home / "docs" / "a.txt", "new")
    Path(str(ctx.changes[0].backup)).unlink()
    with pytest.raises(StoreError, match="its old content is not kept"):
        revert(ctx.changes[0])
    assert (ctx.home / "docs" / "a.txt").read_text() == "new"


def test_moving_back_makes_the_folder_it_came_from(ctx: RecordingContext) -> None:
    ctx.move(ctx.home / "docs" / "a.txt", ctx.home / "b.txt")
    (ctx.home / "docs").rmdir()
    undo(ctx)
    assert (ctx.home / "docs" / "a.txt").read_text() == "alpha"


NAMES = st.sampled_from(["a", "b", "c/d", "c/e", "c", "f/g/h", "f/g", "f"])
CONTENT = st.binary(max_size=20)
STEP = st.one_of(
    st.tuples(st.just("write"), NAMES, CONTENT),
    st.tuples(st.just("move"), NAMES, NAMES),
    st.tuples(st.just("copy"), NAMES, NAMES),
    st.tuples(st.just("mkdir"), NAMES, NAMES),
    st.tuples(st.just("trash"), NAMES, NAMES),
)


def play(ctx: RecordingContext, steps: list[tuple[str, str, Any]]) -> None:
    for act, name, value in steps:
        path = ctx.home / name
        try:
            if act == "write":
                ctx.write(path, value)
            elif act in ("move", "copy"):
                getattr(ctx, act)(path, ctx.home / value)
            else:
                getattr(ctx, act)(path)
        except EdgeAgentError:
            pass  # refused; whatever it had recorded by then is part of the sequence


@settings(max_examples=25, deadline=None)
@given(st.lists(STEP, max_size=12), st.lists(STEP, max_size=12))
def test_every_sequence_of_changes_is_undone_to_the_byte(
    first: list[tuple[str, str, Any]], second: list[tuple[str, str, Any]]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        ctx = make_context(Path(folder))
        play(ctx, first)
        before = tree(ctx)
        ctx.changes.clear()
        play(ctx, second)
        assert take_back(ctx)
        assert tree(ctx) == before


# -- closing -----------------------------------------------------------------------------------------------


def test_after_close_nothing_changes(ctx: RecordingContext) -> None:
    before = tree(ctx)
    ctx.close()
    tries: list[Callable[[], object]] = [
        lambda: ctx.write(ctx.home / "docs" / "a.txt", "late"),
        lambda: ctx.mkdir(ctx.home / "late"),
        lambda: ctx.move(ctx.home / "docs", ctx.home / "late"),
        lambda: ctx.trash(ctx.home / "docs"),
        lambda: ctx.copy(ctx.home / "docs", ctx.home / "late"),
        lambda: ctx.undo_with("t", {}),
    ]
    for each in tries:
        with pytest.raises(ToolError, match="time is over"):
            each()
    assert (tree(ctx), ctx.changes) == (before, [])


def test_close_waits_for_the_change_under_way(ctx: RecordingContext, monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise a file could appear after everything was taken back."""
    recorded, go_on, real = threading.Event(), threading.Event(), os.replace

    def slow(source: Any, target: Any) -> None:
        recorded.set()
        go_on.wait(5)
        real(source, target)

    monkeypatch.setattr(os, "replace", slow)
    writer = threading.Thread(target=ctx.write, args=(ctx.home / "late.txt", "x"))
    writer.start()
    assert recorded.wait(5)
    closer = threading.Thread(target=ctx.close)
    closer.start()
    closer.join(0.05)
    assert closer.is_alive()
    go_on.set()
    closer.join(5)
    writer.join(5)
    assert [change.op for change in ctx.changes] == ["write"]
    assert take_back(ctx)
    assert not (ctx.home / "late.txt").exists()


# -- files -------------------------------------------------------------------------------------------------


def test_write_atomic_makes_private_folders_and_files(tmp_path: Path) -> None:
    write_atomic(tmp_path / "a" / "b" / "c", b"x")
    assert (mode(tmp_path / "a"), mode(tmp_path / "a" / "b"), mode(tmp_path / "a/b/c")) == (0o700, 0o700, 0o600)
    write_atomic(tmp_path / "copy", tmp_path / "a/b/c", 0o644)
    assert ((tmp_path / "copy").read_bytes(), mode(tmp_path / "copy")) == (b"x", 0o644)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "copy"]


@pytest.mark.parametrize(
    ("function", "code"),
    [("fsync", errno.ENOSPC), ("fsync", errno.EIO), ("replace", errno.EROFS), ("replace", errno.EACCES)],
)
def test_write_atomic_leaves_the_old_file_when_the_disk_refuses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, function: str, code: int
) -> None:
    def refuse(*arguments: Any) -> None:
        raise OSError(code, os.strerror(code))

    path = tmp_path / "a.txt"
    path.write_text("old")
    monkeypatch.setattr(os, function, refuse)
    with pytest.raises(StoreError, match=os.strerror(code)) as caught:
        write_atomic(path, b"new")
    assert str(path) in str(caught.value)
    assert [(each.name, each.read_text()) for each in tmp_path.iterdir()] == [("a.txt", "old")]


def test_write_atomic_in_a_folder_that_takes_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: Any, **options: Any) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(tempfile, "mkstemp", refuse)
    with pytest.raises(StoreError, match=r"a\.txt: Read-only file system"):
        write_atomic(tmp_path / "a.txt", b"new")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_write_atomic_on_a_full_device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel itself says no: what is written goes to /dev/full."""
    real = os.fdopen

    def full(descriptor: int, *arguments: Any) -> Any:
        os.dup2(device, descriptor)
        return real(descriptor, *arguments)

    device = os.open("/dev/full", os.O_WRONLY)
    monkeypatch.setattr(os, "fdopen", full)
    with pytest.raises(StoreError, match="No space left on device"):
        write_atomic(tmp_path / "a.txt", b"new" * 100_000)
    os.close(device)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_within_an_action_is_taken_back(ctx: RecordingContext, monkeypatch: pytest.MonkeyPatch) -> None:
    before, real, writes = tree(ctx), os.fsync, [0]

    def refuse(descriptor: int) -> None:
        writes[0] += stat.S_ISREG(os.fstat(descriptor).st_mode)
        if writes[0] == 3:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(descriptor)

    (ctx.home / "docs" / "b.txt").write_text("beta")
    (ctx.home / "docs" / "c.txt").write_text("gamma")
    before = tree(ctx)
    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(StoreError, match="No space left"):
        ctx.copy(ctx.home / "docs", ctx.home / "copy")
    assert len(ctx.changes) == 4  # a folder, two files, and one that was only intended
    assert take_back(ctx)
    assert tree(ctx) == before


def test_sweep_removes_only_the_temp_files_of_one_process(tmp_path: Path) -> None:
    names = [".a.txt.41-abc.edge_agent.tmp", ".b.7-x.41-q_.edge_agent.tmp"]
    others = [".a.txt.42-abc.edge_agent.tmp", ".a.txt.141-a.edge_agent.tmp", "a.41-b.tmp", "a.41-b.edge_agent.tmp"]
    for name in names + others:
        (tmp_path / name).touch()
    sweep(tmp_path, 41)
    sweep(tmp_path / "missing", 41)
    assert {path.name for path in tmp_path.iterdir()} == set(others)


def test_temp_names_are_the_ones_that_sweep_knows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def leave(source: str, target: Path) -> None:
        (tmp_path / "left").write_text(source)
        os.link(source, tmp_path / "kept")
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", leave)
    with pytest.raises(KeyboardInterrupt):
        write_atomic(tmp_path / ("long " * 40), b"x")
    left = Path((tmp_path / "left").read_text())
    assert not left.exists()
    left.touch()
    assert left.name.startswith(".")
    sweep(tmp_path, os.getpid())
    assert not left.exists()


def test_unused_counts_up(tmp_path: Path) -> None:
    (tmp_path / "a.b.txt").touch()
    (tmp_path / "a.b (2).txt").symlink_to("nowhere")
    assert unused(tmp_path / "a.b.txt") == tmp_path / "a.b (3).txt"
    assert unused(tmp_path / "free") == tmp_path / "free"


def test_digest_and_private_folder(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    assert file_digest(tmp_path / "a").startswith("ba7816bf")
    with pytest.raises(OSError, match=r"Not a directory|exists"):
        private_folder(tmp_path / "a" / "b")
