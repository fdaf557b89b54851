"""One verified file from the network: resumable, hashed while it streams, whole or not there at all.

The file grows as `NAME.part` beside its destination, with `NAME.part.json` saying which version of which URL
it holds. Only a complete file of the right size and hash is renamed to its destination, so whatever kills the
process, the destination is either absent or good. A later call goes on where the `.part` ends.
"""

from __future__ import annotations

import errno
import hashlib
import ipaddress
import json
import os
import random
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import ModelError, NetworkError, StoreError
from .workspace import write_atomic

if TYPE_CHECKING:
    import httpx

#: done_bytes, total_bytes or None, rate_bytes_per_s, eta_s or None
Progress = Callable[[int, int | None, float, float | None], None]

HUB = "huggingface.co"
#: Left free on the disk, so that a download never is what fills it.
SPARE_BYTES = 64 << 20
_CHUNK_BYTES = 1 << 18
_MAX_REDIRECTS = 8
_MAX_RETRY_AFTER_S = 60.0
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@dataclass(frozen=True, slots=True)
class Fetched:
    """A file in place: `sha256` was computed here; `verified` says that it was also known beforehand."""

    path: Path
    sha256: str
    size_bytes: int
    verified: bool


class _Again(Exception):
    """This attempt failed in a way that another may not; `after_s` is what the server asked for."""

    def __init__(self, reason: str, after_s: float = 0.0) -> None:
        super().__init__(reason)
        self.after_s = after_s


def fetch(
    url: str,
    dest: Path,
    *,
    sha256: str | None = None,
    size: int | None = None,
    progress: Progress | None = None,
    token: str | None = None,
    token_host: str = HUB,
    retries: int = 5,
    stall_timeout_s: float = 30.0,
    backoff_s: float = 1.0,
) -> Fetched:
    """Download `url` to `dest`, resuming an earlier attempt. An existing good `dest` is kept as it is.

    Args:
        sha256: expected hash in hex; without it the file is only checked for length.
        size: expected size in bytes.
        progress: called at most ten times a second, and once at the end.
        token: sent as bearer token to `token_host` only, and never again once a redirect led elsewhere.
        retries: attempts in a row that may fail without a mebibyte of progress between them.
        stall_timeout_s: silence after which a connection is given up and the next attempt begins.
        backoff_s: first pause between attempts; doubles each time, with jitter, up to a minute.

    Proxies and certificate stores come from the usual environment variables. Only https is spoken, except to
    this machine itself.

    Raises:
        NetworkError: refused, not found, or given up; what had arrived is kept for resuming.
        ModelError: the server's file has another size or hash; nothing of it is kept.
        StoreError: another process downloads it, the disk is full, or the folder cannot be written.
    """
    with (
        exclusive(dest.with_name(f".{dest.name}.lock"), f"another process is downloading {dest.name}"),
        storage_errors(dest),
    ):
        return _Download(url, dest, sha256, size, progress or (lambda *_: None), stall_timeout_s).run(
            token, token_host, retries, backoff_s
        )


class _Download:
    def __init__(
        self, url: str, dest: Path, sha256: str | None, size: int | None, progress: Progress, stall_s: float
    ) -> None:
        self.url, self.dest, self.sha256, self.size = url, dest, sha256 and sha256.lower(), size
        self.progress, self.stall_s = progress, stall_s
        self.part = dest.with_name(dest.name + ".part")
        self.meta = dest.with_name(dest.name + ".part.json")
        self.hash, self.done, self.total = hashlib.sha256(), 0, size
        self.validator: str | None = None
        self.joined = self.restarted = False

    def run(self, token: str | None, token_host: str, retries: int, backoff_s: float) -> Fetched:
        if self.dest.exists():
            digest = hash_file(self.dest)
            if self.sha256 in (None, digest):
                self._discard()
                return Fetched(self.dest, digest, self.dest.stat().st_size, self.sha256 is not None)
            self.dest.unlink()
        self._load_part()
        failures, high_water = 0, self.done
        while not (self.sha256 and self.done == self.total):
            try:
                self._attempt(token, token_host)
                break
            except _Again as again:
                if self.done >= high_water + (1 << 20):
                    failures, high_water = 0, self.done
                failures += 1
                if failures >= retries:
                    raise NetworkError(
                        f"the download of {self.dest.name} failed {failures} times in a row: {again}",
                        hint=f"run the same command again to go on from {self.done:,} bytes",
                    ) from again
                pause_s = min(60.0, backoff_s * 2 ** (failures - 1)) * random.uniform(0.5, 1.0)  # noqa: S311
                time.sleep(max(pause_s, again.after_s))
                if not self._can_resume():
                    self._discard()
        digest = self.hash.hexdigest()
        if self.sha256 not in (None, digest):
            self._discard()
            if self.joined and not self.restarted:  # the earlier part may be what was wrong
                self.restarted = True
                return self.run(token, token_host, retries, backoff_s)
            raise ModelError(
                f"{self.url} has the wrong SHA-256: expected {self.sha256}, got {digest}; it was deleted",
                hint="the file was replaced at its source or altered on the way; do not use it",
            )
        land(self.part, self.dest)
        self.meta.unlink(missing_ok=True)
        return Fetched(self.dest, digest, self.done, self.sha256 is not None)

    def _can_resume(self) -> bool:
        # Without a hash to judge the end, only an unchanged validator makes joining two pieces safe.
        return bool(self.sha256 or self.validator)

    def _load_part(self) -> None:
        """Take over what an earlier run left, when it is of the same file and can be continued safely."""
        try:
            known = json.loads(self.meta.read_text(encoding="utf-8"))
            size, same = self.part.stat().st_size, (known["url"], known["sha256"]) == (self.url, self.sha256)
            self.validator, total = known["validator"], int(known["total"])
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return self._discard()
        if not same or not self._can_resume() or size > total:
            return self._discard()
        self.total = total
        with open(self.part, "rb") as file:
            while chunk := file.read(_CHUNK_BYTES):
                self.hash.update(chunk)
                self.done += len(chunk)
        self.joined = self.done > 0

    def _discard(self) -> None:
        self.part.unlink(missing_ok=True)
        self.meta.unlink(missing_ok=True)
        self.hash, self.done, self.total, self.validator = hashlib.sha256(), 0, self.size, None

    def _attempt(self, token: str | None, token_host: str) -> None:
        import httpx

        timeout = httpx.Timeout(self.stall_s, connect=min(self.stall_s, 15.0))
        try:
            client = httpx.Client(timeout=timeout, follow_redirects=False, trust_env=True)
        except ValueError as error:
            raise NetworkError(f"the proxy settings of the environment are unusable: {error}") from error
        try:
            with client, self._open(client, token, token_host) as response:
                if self._begin(response):
                    self._receive(response)
        except ModelError:
            self._discard()
            raise
        except httpx.InvalidURL as error:
            raise NetworkError(f"{self.url} is not a usable address: {error}") from error
        except httpx.TimeoutException as error:
            raise _Again(f"no data for {self.stall_s:g} s ({type(error).__name__})") from error
        except (httpx.TransportError, httpx.StreamError) as error:
            raise _Again(str(error) or type(error).__name__) from error
        if self.total is not None and self.done != self.total:
            raise _Again(f"the connection ended at {self.done:,} of {self.total:,} bytes")

    @contextmanager
    def _open(self, client: httpx.Client, token: str | None, token_host: str) -> Iterator[httpx.Response]:
        import httpx

        url = httpx.URL(self.url)
        local = url.scheme == "http"
        if url.host != token_host:
            token = None
        origin = (url.scheme, url.host, url.port)
        for _ in range(_MAX_REDIRECTS):
            _require_safe(url, local)
            if (url.scheme, url.host, url.port) != origin:
                token = None
            headers = {"Accept-Encoding": "identity", "User-Agent": "edge-agent"}
            if token:
                headers["Authorization"] = f"Bearer {token}"
            if self.done:
                headers["Range"] = f"bytes={self.done}-"
                if self.validator:
                    headers["If-Range"] = self.validator
            with client.stream("GET", url, headers=headers) as response:
                if response.status_code not in (301, 302, 303, 307, 308):
                    yield response
                    return
                try:
                    url = url.join(response.headers["location"])
                except KeyError as error:
                    raise NetworkError(f"{url.host} redirects without saying where") from error
        raise NetworkError(f"{self.url} redirects more than {_MAX_REDIRECTS} times")

    def _begin(self, response: httpx.Response) -> bool:
        """Judge the answer and set the start and total; False when there is nothing left to receive."""
        status, headers, host = response.status_code, response.headers, response.url.host
        start, total = _content_range(headers.get("content-range"))
        if status == 416:
            if total == self.done and self.done:
                self.total = total
                return False
            self._discard()
            raise _Again(f"{host} does not have the range asked for")
        if status in (408, 425, 429) or status >= 500:
            raise _Again(f"{host} answered {status}", _retry_after_s(headers.get("retry-after")))
        if status in (401, 403):
            raise NetworkError(
                f"{host} refuses access to {self.dest.name} ({status})",
                hint="accept the licence on the model's page, then set HF_TOKEN to your access token",
            )
        if status not in (200, 206):
            raise NetworkError(f"{host} answered {status} for {self.url}", hint="the model may have been moved")
        if headers.get("content-encoding", "identity") != "identity":
            raise NetworkError(f"{host} insists on compressing the file, which cannot be resumed or checked")
        if status == 206:
            if start != self.done:
                self._discard()
                raise _Again(f"{host} sent another range than the one asked for")
            self.joined = self.joined or self.done > 0
        else:
            self._discard()
            total = _number(headers.get("content-length", ""))
        if self.size is not None and total is not None and total != self.size:
            raise ModelError(
                f"{self.url} has {total:,} bytes, not the {self.size:,} of the catalogue",
                hint="the file was replaced at its source; nothing was kept",
            )
        self.total = self.size if total is None else total
        if self.total is None:
            raise NetworkError(f"{host} does not say how large {self.dest.name} is, so it cannot be checked")
        etag = headers.get("etag", "")
        # A weak ETag must not be used in If-Range (RFC 9110, 13.1.5).
        self.validator = etag if etag.startswith('"') else headers.get("last-modified")
        require_space(self.dest.parent, self.total - self.done, self.dest.name)
        known = {"url": self.url, "sha256": self.sha256, "validator": self.validator, "total": self.total}
        write_atomic(self.meta, json.dumps(known).encode())
        return True

    def _receive(self, response: httpx.Response) -> None:
        started, first, shown = time.monotonic(), self.done, 0.0
        descriptor = os.open(self.part, os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0), 0o600)
        with open(descriptor, "ab", buffering=0) as file:
            # No chunk size: httpx would hold back, and on an error lose, what does not fill a chunk.
            for chunk in response.iter_raw():
                if self.total is not None and self.done + len(chunk) > self.total:
                    raise ModelError(f"{self.url} sends more than the {self.total:,} bytes it announced")
                rest = memoryview(chunk)
                while rest:
                    rest = rest[file.write(rest) :]
                self.hash.update(chunk)
                self.done += len(chunk)
                if time.monotonic() - shown >= 0.1:
                    shown = time.monotonic()
                    self._report(first, shown - started)
            os.fsync(file.fileno())
        self._report(first, time.monotonic() - started)

    def _report(self, first: int, elapsed_s: float) -> None:
        rate = (self.done - first) / max(elapsed_s, 1e-6)
        eta_s = (self.total - self.done) / rate if self.total is not None and rate > 0 else None
        self.progress(self.done, self.total, rate, eta_s)


def hash_file(path: Path) -> str:
    """SHA-256 in hex. Cost: about a second per GB."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def land(temporary: Path, dest: Path) -> None:
    """Make a finished file durable and give it its name in one step, in the same folder or file system."""
    with storage_errors(dest):
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(temporary, dest)
        if os.name == "posix":
            folder = os.open(dest.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)


@contextmanager
def exclusive(lock: Path, busy: str, *, timeout_s: float = 0) -> Iterator[None]:
    """Hold a lock file against other processes and threads; StoreError saying `busy` when it is taken."""
    from filelock import FileLock, Timeout

    held = FileLock(lock, mode=0o600)
    with storage_errors(lock):
        private_folder(lock.parent)
        try:
            held.acquire(timeout=timeout_s)
        except Timeout:
            raise StoreError(busy, hint="wait until it is done, or stop it") from None
    try:
        yield
    finally:
        held.release()


def private_folder(path: Path) -> None:
    """Create a folder and its missing parents for this user only; `mkdir` alone leaves parents open."""
    for folder in (*reversed(path.parents), path):
        if not folder.exists():
            folder.mkdir(mode=0o700, exist_ok=True)


def require_space(folder: Path, wanted_bytes: int, what: str) -> None:
    """Raise StoreError unless `wanted_bytes` and a reserve fit on the disk that holds `folder`."""
    free = shutil.disk_usage(folder).free
    if free < wanted_bytes + SPARE_BYTES:
        raise StoreError(
            f"{what} needs {wanted_bytes / 1e6:,.0f} MB, and {folder} has {free / 1e6:,.0f} MB free",
            hint="free some space, or remove models: edge-agent models remove NAME",
        )


@contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """Turn an OSError into a StoreError that says which file and why."""
    try:
        yield
    except OSError as error:
        where = error.filename or path
        if error.errno in _FULL:
            raise StoreError(
                f"{where}: the disk is full", hint="free some space and run the same command again"
            ) from error
        raise StoreError(f"{where}: {error.strerror or error}") from error


def _require_safe(url: httpx.URL, local: bool) -> None:
    if url.userinfo:
        raise NetworkError(f"the address at {url.host} carries a user name or password, which is not allowed")
    if url.scheme == "https":
        return
    if url.scheme == "http" and local and _is_loopback(url.host):
        return
    raise NetworkError(f"{url.scheme}://{url.host} is not a secure address", hint="only https is used")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _content_range(value: str | None) -> tuple[int | None, int | None]:
    """First byte and total of `bytes 5-9/10` or `bytes */10`; None for what it does not say."""
    unit, _, rest = (value or "").partition(" ")
    span, _, total = rest.partition("/")
    start = span.partition("-")[0]
    if unit != "bytes":
        return None, None
    return _number(start), _number(total)


def _number(text: str) -> int | None:
    return int(text) if text.isdecimal() and len(text) < 20 else None


def _retry_after_s(value: Any) -> float:
    return min(float(value), _MAX_RETRY_AFTER_S) if isinstance(value, str) and value.isdecimal() else 0.0
