from __future__ import annotations

import stat
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent import config
from edge_agent.config import Dirs, Settings, as_dict, clean_text, coerce, load, store
from edge_agent.errors import ConfigError, InputError


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "config" / "config.toml"


def given_file(file: Path, text: str | bytes) -> Path:
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return file


# -- folders -----------------------------------------------------------------------------------------------


def test_edge_agent_home_moves_all_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGE_AGENT_HOME", str(tmp_path))
    assert Dirs.default() == Dirs(tmp_path / "config", tmp_path / "data", tmp_path / "cache")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EDGE_AGENT_HOME", "here")
    assert Dirs.default().data == tmp_path / "here" / "data"
    assert list(tmp_path.iterdir()) == []  # nothing is made by looking


def test_folders_are_the_platforms_otherwise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EDGE_AGENT_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    dirs = Dirs.default()
    assert all("edge_agent" in path.parts for path in (dirs.config, dirs.data, dirs.cache))
    assert dirs.data.is_relative_to(tmp_path)


# -- reading -----------------------------------------------------------------------------------------------


def test_defaults_without_a_file(file: Path) -> None:
    assert load(file) == Settings()


def test_every_default_is_within_its_own_rules() -> None:
    for key, value in as_dict(Settings()).items():
        assert coerce(key, list(value) if isinstance(value, tuple) else value, where="x") == value


def test_values_are_read_by_type(file: Path) -> None:
    given_file(
        file,
        '# mine\npacks = ["clock", "files"]\nthreads = 3\nact_above = 1\nstore_content = false\n'
        'gpu_layers = -1\ntimezone = "Europe/Berlin"\ntool_timeout_s = 2.5\n',
    )
    found = load(file)
    assert (found.packs, found.threads, found.gpu_layers) == (("clock", "files"), 3, -1)
    assert (found.act_above, type(found.act_above)) == (1.0, float)
    assert (found.store_content, found.timezone, found.tool_timeout_s) == (False, "Europe/Berlin", 2.5)


def test_a_byte_order_mark_is_no_mistake(file: Path) -> None:
    assert load(given_file(file, b"\xef\xbb\xbfthreads = 2\n")).threads == 2


@pytest.mark.parametrize(
    ("key", "near"),
    [("thread", "threads"), ("notes_dirs", "notes_dir"), ("Model", "model"), ("zzz", None)],
)
def test_unknown_keys_name_the_nearest(file: Path, key: str, near: str | None) -> None:
    with pytest.raises(ConfigError, match=f"config\\.toml: unknown setting '{key}'") as caught:
        load(given_file(file, f"{key} = 1\n"))
    assert caught.value.hint == (f"did you mean {near!r}?" if near else None)


@pytest.mark.parametrize(
    "line",
    [
        "threads = 2.5",
        "threads = true",
        'threads = "many"',
        "threads = 2024-01-01",
        "threads = [1]",
        "threads = -1",
        "tool_timeout_s = 0",
        "tool_timeout_s = nan",
        "tool_timeout_s = inf",
        'tool_timeout_s = "soon"',
        "store_content = 1",
        'store_content = "maybe"',
        "model = 5",
        "model = false",
        "model = {a = 1}",
        "packs = 5",
        "packs = [1, 2]",
        "packs = true",
        "act_above = 1.1",
        "chat_shots = 5",
        "context_tokens = 0",
        "retention_days = -1",
        "max_calls = 0",
        "gpu_layers = -2",
        'timezone = "Mars/Base"',
        'timezone = "../../etc/passwd"',
    ],
)
def test_wrong_values_are_named_with_file_and_key(file: Path, line: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(given_file(file, line + "\n"))
    assert str(caught.value).startswith(f"{file}: ")
    assert line.split()[0] in str(caught.value) or "time zone" in str(caught.value)


@pytest.mark.parametrize("content", [b"threads = ", b"\xff\xfe", b"a = 1\na = 2", b"[threads"])
def test_broken_files_are_errors(file: Path, content: bytes) -> None:
    with pytest.raises(ConfigError, match=r"config\.toml"):
        load(given_file(file, content))


def test_a_folder_in_its_place_is_an_error(file: Path) -> None:
    file.mkdir(parents=True)
    with pytest.raises(ConfigError, match=r"config\.toml"):
        load(file)


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [
        ("threads", "4", 4),
        ("packs", "clock, files,", ("clock", "files")),
        ("packs", "", ()),
        ("store_content", "False", False),
        ("tool_timeout_s", "1e2", 100.0),
        ("model", "some name", "some name"),
        ("timezone", "", ""),
    ],
)
def test_command_line_text_is_read(key: str, text: str, value: Any) -> None:
    assert coerce(key, text, where="here") == value


# -- writing -----------------------------------------------------------------------------------------------


def test_store_keeps_comments_and_order(file: Path) -> None:
    given_file(file, "# why\nthreads = 2  # cores\n\n# quiet\nstore_content = true\n")
    store("threads", "4", file)
    store("packs", "clock,files", file)
    assert file.read_text() == (
        '# why\nthreads = 4  # cores\n\n# quiet\nstore_content = true\npacks = ["clock", "files"]\n'
    )
    assert load(file).packs == ("clock", "files")


def test_store_makes_a_private_file(file: Path) -> None:
    store("threads", "4", file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert load(file).threads == 4


def test_store_follows_a_link(file: Path, tmp_path: Path) -> None:
    kept = given_file(tmp_path / "dotfiles", "")
    file.parent.mkdir()
    file.symlink_to(kept)
    store("threads", "4", file)
    assert file.is_symlink()
    assert kept.read_text() == "threads = 4\n"


@pytest.mark.parametrize(("key", "text"), [("threads", "x"), ("thread", "1"), ("max_calls", "0")])
def test_store_refuses_before_it_writes(file: Path, key: str, text: str) -> None:
    with pytest.raises(ConfigError, match="config set: "):
        store(key, text, file)
    assert not file.exists()


def test_store_reports_a_broken_file_and_leaves_it(file: Path) -> None:
    given_file(file, "threads = = 1\n")
    with pytest.raises(ConfigError, match=r"config\.toml"):
        store("threads", "4", file)
    assert file.read_text() == "threads = = 1\n"


def test_pack_settings_hold_folders_and_zone_only() -> None:
    shown = Settings().pack_settings()
    assert "notes_dir" in shown
    assert "timezone" in shown
    assert not {"model", "store_content", "price_per_kwh"} & set(shown)


def test_resources_ship_with_the_package(tmp_path: Path) -> None:
    assert config.resource("models.toml").is_file()
    assert config.resource("grammars").is_dir()
    with pytest.raises(ConfigError, match="no-such-thing"):
        config.resource("no-such-thing")


# -- requests ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("  set a timer \n", "set a timer"),
        ("\x1b[31mred\x1b[0m alert", "red alert"),
        ("\x1b]0;title\x07after", "after"),
        ("\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x9b31mred", "red"),
        ("a\x00b\x07c\x7fd\x85e", "abcde"),
        ("safe\u202etxt.exe\u2066x\u2069", "safetxt.exex"),
        ("zero\u200bwidth\ufeff", "zerowidth"),
        ("tag\U000e0041\U000e0042", "tag"),
        ("private\ue000", "private"),
        ("one\r\ntwo\rthree", "one\ntwo\nthree"),
        ("tab\tkept", "tab\tkept"),
        ("naïve – 日本語 🎉", "naïve – 日本語 🎉"),
        ("👨\u200d👩\u200d👧 می\u200cخواهم", "👨\u200d👩\u200d👧 می\u200cخواهم"),
    ],
)
def test_clean_text(text: str, cleaned: str) -> None:
    assert clean_text(text) == cleaned


@pytest.mark.parametrize("text", ["", " \n\t", "\x1b[31m\x1b[0m", "\u202e\u200b", "\u00a0\u200d\u200c", "\x00"])
def test_nothing_said_is_an_error(text: str) -> None:
    with pytest.raises(InputError, match="empty"):
        clean_text(text)


def test_a_hundred_kilobytes_are_refused_at_once() -> None:
    with pytest.raises(InputError, match="102,400 characters; at most 20,000"):
        clean_text("a" * 102_400)
    assert len(clean_text("a" * 20_000)) == 20_000
    began = time.perf_counter()
    clean_text("\x1b[1;" * 4_000 + "x" + "\x1b]" * 1_500)
    assert time.perf_counter() - began < 1.0


@pytest.mark.parametrize("text", ["bad \ud800", "bad \udcff byte"])
def test_lone_surrogates_are_refused(text: str) -> None:
    with pytest.raises(InputError, match="UTF-8"):
        clean_text(text)


@given(st.text(max_size=200))
def test_clean_text_is_done_once_and_leaves_no_control(text: str) -> None:
    try:
        cleaned = clean_text(text)
    except InputError:
        return
    assert "\x1b" not in cleaned
    assert "\u202e" not in cleaned
    assert clean_text(cleaned) == cleaned
