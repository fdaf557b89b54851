from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from web_fixture import Site, serve

from edge_agent import download
from edge_agent.errors import ModelError, NetworkError, StoreError

CONTENT = os.urandom(300_000)
SHA = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture
def site() -> Iterator[Site]:
    with serve(Site(CONTENT)) as running:
        yield running


def fetch(url: str, dest: Path, **options: Any) -> download.Fetched:
    return download.fetch(url, dest, **({"backoff_s": 0.01, "stall_timeout_s": 0.3} | options))


def leftovers(dest: Path) -> list[str]:
    return sorted(p.name for p in dest.parent.iterdir() if p.name not in (dest.name, f".{dest.name}.lock"))


def test_whole_file_with_progress(site: Site, tmp_path: Path) -> None:
    seen: list[tuple[int, int | None, float, float | None]] = []
    dest = tmp_path / "new" / "m.gguf"
    fetched = fetch(
        site.url, dest, sha256=SHA.upper(), size=len(CONTENT), progress=lambda *args: seen.append(args)
    )
    assert fetched == download.Fetched(dest, SHA, len(CONTENT), verified=True)
    assert dest.read_bytes() == CONTENT
    assert leftovers(dest) == []
    assert seen[-1][:2] == (len(CONTENT), len(CONTENT))
    assert seen[-1][2] > 0
    assert seen[-1][3] == 0
    if os.name == "posix":
        assert dest.stat().st_mode & 0o777 == 0o600
        assert dest.parent.stat().st_mode & 0o777 == 0o700


def test_without_a_known_hash_the_file_is_not_called_verified(site: Site, tmp_path: Path) -> None:
    assert fetch(site.url, tmp_path / "m").verified is False


def test_an_existing_good_file_costs_no_request_and_a_bad_one_is_replaced(site: Site, tmp_path: Path) -> None:
    dest = tmp_path / "m"
    dest.write_bytes(CONTENT)
    assert fetch(site.url, dest, sha256=SHA).sha256 == SHA
    assert site.requests == []
    dest.write_bytes(b"old")
    fetch(site.url, dest, sha256=SHA)
    assert dest.read_bytes() == CONTENT


@pytest.mark.parametrize("fault", ["cut", "stall", "500", "429", "416", "no-range", "shift"])
def test_recovers_from(fault: str, site: Site, tmp_path: Path) -> None:
    first = [] if fault in ("cut", "stall", "500", "429") else ["cut"]
    site.faults = [*first, fault]
    fetch(site.url, tmp_path / "m", sha256=SHA)
    assert (tmp_path / "m").read_bytes() == CONTENT
    assert site.faults == []


def test_resumes_where_the_last_process_stopped(site: Site, tmp_path: Path) -> None:
    dest = tmp_path / "m"
    site.faults = ["cut"]
    with pytest.raises(NetworkError, match="failed 1 times") as caught:
        fetch(site.url, dest, sha256=SHA, retries=1)
    kept = (tmp_path / "m.part").stat().st_size
    assert 0 < kept < len(CONTENT)
    assert "run the same command again" in str(caught.value.hint)
    fetch(site.url, dest, sha256=SHA)
    assert site.requests[-1]["range"] == f"bytes={kept}-"
    assert site.requests[-1]["if-range"] == site.etag
    assert dest.read_bytes() == CONTENT
    assert leftovers(dest) == []


def test_a_complete_part_needs_no_network(site: Site, tmp_path: Path) -> None:
    dest = tmp_path / "m"
    (tmp_path / "m.part").write_bytes(CONTENT)
    (tmp_path / "m.part.json").write_text(
        json.dumps({"url": site.url, "sha256": SHA, "validator": None, "total": len(CONTENT)})
    )
    fetch(site.url, dest, sha256=SHA)
    assert site.requests == []
    assert dest.read_bytes() == CONTENT


def test_a_complete_part_without_a_known_hash_is_confirmed_by_416(site: Site, tmp_path: Path) -> None:
    dest = tmp_path / "m"
    (tmp_path / "m.part").write_bytes(CONTENT)
    (tmp_path / "m.part.json").write_text(
        json.dumps({"url": site.url, "sha256": None, "validator": site.etag, "total": len(CONTENT)})
    )
    assert fetch(site.url, dest).sha256 == SHA
    assert len(site.requests) == 1


@pytest.mark.parametrize(
    "meta",
    ["not json", "[]", "{}", '{"url": "https://other/", "sha256": null, "validator": null, "total": 9}',
     '{"url": "URL", "sha256": "SHA", "validator": null, "total": "x"}'],
)  # fmt: skip
def test_a_part_of_unknown_origin_is_not_continued(meta: str, site: Site, tmp_path: Path) -> None:
    (tmp_path / "m.part").write_bytes(b"?" * 1000)
    (tmp_path / "m.part.json").write_text(meta.replace("URL", site.url).replace("SHA", SHA))
    fetch(site.url, tmp_path / "m", sha256=SHA)
    assert "range" not in site.requests[0]


def test_a_spoiled_part_costs_one_restart_and_no_error(site: Site, tmp_path: Path) -> None:
    (tmp_path / "m.part").write_bytes(b"?" * 1000)
    (tmp_path / "m.part.json").write_text(
        json.dumps({"url": site.url, "sha256": SHA, "validator": site.etag, "total": len(CONTENT)})
    )
    fetch(site.url, tmp_path / "m", sha256=SHA)
    assert (tmp_path / "m").read_bytes() == CONTENT
    assert ["range" in r for r in site.requests] == [True, False]


def test_a_changed_file_is_fetched_anew(site: Site, tmp_path: Path) -> None:
    site.faults = ["cut"]
    with pytest.raises(NetworkError):
        fetch(site.url, tmp_path / "m", retries=1)
    site.content, site.etag = CONTENT[::-1], '"v2"'
    fetch(site.url, tmp_path / "m")
    assert (tmp_path / "m").read_bytes() == CONTENT[::-1]


@pytest.mark.parametrize("etag", [None, 'W/"weak"'])
def test_without_hash_and_strong_validator_two_halves_are_never_joined(
    etag: str | None, site: Site, tmp_path: Path
) -> None:
    site.etag, site.faults = etag, ["cut"]
    fetch(site.url, tmp_path / "m")
    assert all("range" not in r for r in site.requests)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"sha256": "0" * 64}, f"expected {'0' * 64}, got {SHA}"),
        ({"size": 5}, "has 300,000 bytes, not the 5"),
    ],
)
def test_wrong_file_is_refused_and_nothing_kept(
    options: dict[str, Any], reason: str, site: Site, tmp_path: Path
) -> None:
    with pytest.raises(ModelError, match=reason):
        fetch(site.url, tmp_path / "m", **options)
    assert leftovers(tmp_path / "m") == []
    assert not (tmp_path / "m").exists()


@pytest.mark.parametrize(
    ("faults", "reason"),
    [
        (["401"], "refuses access"),
        (["404"], "answered 404"),
        (["gzip"], "insists on compressing"),
        (["no-length"], "does not say how large"),
        (["500"] * 9, "failed 5 times in a row.*answered 500"),
        (["redirect:http://example.com/x"], "not a secure address"),
        (["redirect:file:///etc/passwd"], "not a secure address"),
        (["redirect:https://user:pw@example.com/"], "user name or password"),
        (["redirect:/again"] * 20, "redirects more than"),
    ],
)
def test_gives_up_clearly(faults: list[str], reason: str, site: Site, tmp_path: Path) -> None:
    site.faults = faults
    with pytest.raises(NetworkError, match=reason):
        fetch(site.url, tmp_path / "m")
    assert not (tmp_path / "m").exists()


def test_more_bytes_than_the_catalogue_says(site: Site, tmp_path: Path) -> None:
    site.faults = ["longer"]
    with pytest.raises(ModelError, match="300,004 bytes, not the 300,000"):
        fetch(site.url, tmp_path / "m", size=len(CONTENT))


@pytest.mark.parametrize(
    "url", ["http://example.com/x", "ftp://example.com/x", "file:///etc/passwd", "x", "https://"]
)
def test_insecure_addresses_are_refused_before_any_connection(url: str, tmp_path: Path) -> None:
    with pytest.raises(NetworkError):
        fetch(url, tmp_path / "m", retries=1)


def test_token_goes_to_its_own_host_and_not_past_a_redirect(site: Site, tmp_path: Path) -> None:
    with serve(Site(CONTENT), host="127.0.0.2") as mirror:
        site.faults = ["redirect:/same-host", f"redirect:{mirror.url}"]
        mirror.faults = [f"redirect:{site.url}"]
        fetch(site.url, tmp_path / "m", sha256=SHA, token="secret", token_host="127.0.0.1")
        assert [r.get("authorization") for r in site.requests] == ["Bearer secret", "Bearer secret", None]
        assert [r.get("authorization") for r in mirror.requests] == [None]


def test_token_is_not_sent_to_a_host_that_is_not_its_own(site: Site, tmp_path: Path) -> None:
    fetch(site.url, tmp_path / "m", token="secret")
    assert "authorization" not in site.requests[0]


def test_ctrl_c_leaves_a_part_that_the_next_run_continues(site: Site, tmp_path: Path) -> None:
    site.chunk_pause_s = 0.01

    def interrupt(done: int, *_: object) -> None:
        if done > 50_000:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch(site.url, tmp_path / "m", sha256=SHA, progress=interrupt)
    kept = (tmp_path / "m.part").stat().st_size
    assert kept > 50_000
    site.chunk_pause_s = 0
    fetch(site.url, tmp_path / "m", sha256=SHA)
    assert site.requests[-1]["range"] == f"bytes={kept}-"


def test_disk_space_is_checked_before_the_first_byte(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1000))
    with pytest.raises(StoreError, match=r"needs 0 MB, and .* has 0 MB free"):
        fetch(site.url, tmp_path / "m")
    assert not (tmp_path / "m.part").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="needs file size limits")
def test_a_disk_that_fills_up_is_a_store_error_and_keeps_what_fits(site: Site, tmp_path: Path) -> None:
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(StoreError, match="the disk is full"):
            fetch(site.url, tmp_path / "m", sha256=SHA)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert (tmp_path / "m.part").stat().st_size == 100_000
    fetch(site.url, tmp_path / "m", sha256=SHA)
    assert site.requests[-1]["range"] == "bytes=100000-"


@pytest.mark.parametrize(
    "error", [PermissionError(13, "Permission denied"), OSError(30, "Read-only file system")]
)
def test_read_only_home(error: OSError, site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(StoreError, match=str(error.strerror)):
        fetch(site.url, tmp_path / "home" / "m")


def test_a_second_process_is_told(site: Site, tmp_path: Path) -> None:
    site.chunk_pause_s = 0.02
    started = threading.Event()
    first = threading.Thread(
        target=fetch, args=(site.url, tmp_path / "m"), kwargs={"progress": lambda *_: started.set()}
    )
    first.start()
    started.wait(5)
    with pytest.raises(StoreError, match="another process is downloading m"):
        fetch(site.url, tmp_path / "m")
    first.join()
    assert (tmp_path / "m").read_bytes() == CONTENT


def test_unusable_proxy_setting(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", "gopher://proxy:1")
    with pytest.raises(NetworkError, match="proxy"):
        fetch(site.url, tmp_path / "m")
