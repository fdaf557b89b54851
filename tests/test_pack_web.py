"""The web pack: a loopback server, and the table of addresses that must not be reached."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest
from packs_fixture import make_context

from edge_agent.errors import EdgeAgentError, NetworkError, OfflineError, RefusedError, ToolError
from edge_agent.toolpacks import fetching, web
from edge_agent.tools import Registry

TOOLS = Registry(web.TOOLS)
HTML = """<!doctype html><html><head><title>Otters &amp; you</title><style>p {}</style><script>evil()</script>
</head><body><h1>Otters</h1><p>They <b>hold</b>
hands.<ul><li>river<li>sea</ul><table><tr><td>a</td><td>b</td></tr></table>
<noscript>no</noscript></body></html>"""


class Site(BaseHTTPRequestHandler):
    """Answers from PAGES; remembers the Host headers it saw."""

    hosts: ClassVar[list[str]] = []
    cookies: ClassVar[list[str | None]] = []
    PAGES: ClassVar[dict[str, tuple[int, dict[str, str], bytes]]] = {
        "/": (200, {"Content-Type": "text/html; charset=utf-8"}, HTML.encode()),
        "/plain": (200, {"Content-Type": "text/plain; charset=latin-1"}, "grüße".encode("latin-1")),
        "/meta": (200, {"Content-Type": "text/html"}, '<meta charset="latin-1"><p>grüße'.encode("latin-1")),
        "/json": (200, {"Content-Type": "application/json"}, b'{"a": 1}'),
        "/odd": (200, {"Content-Type": "text/plain; charset=klingon"}, b"Qapla'"),
        "/pdf": (200, {"Content-Type": "application/pdf"}, b"%PDF"),
        "/missing": (404, {}, b"no"),
        "/huge": (200, {"Content-Type": "text/plain"}, b"x" * 2_500_000),
        "/hop": (302, {"Location": "/", "Set-Cookie": "id=1"}, b""),
        "/loop": (302, {"Location": "/loop"}, b""),
        "/inside": (302, {"Location": "http://127.0.0.1:1/secret"}, b""),
        "/file": (302, {"Location": "file:///etc/passwd"}, b""),
    }

    def do_GET(self) -> None:
        self.hosts.append(self.headers["Host"])
        self.cookies.append(self.headers["Cookie"])
        status, headers, body = self.PAGES[self.path]
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        with contextlib.suppress(ConnectionError):  # the client may have read enough
            self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture(scope="module")
def server() -> Iterator[int]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Site) as site:
        thread = threading.Thread(target=site.serve_forever, daemon=True)
        thread.start()
        yield site.server_address[1]
        site.shutdown()
        thread.join()


def fetch_page(tmp_path: Path, url: str) -> Any:
    return TOOLS.get("fetch_page").call({"url": url}, make_context(tmp_path))


# -- pages ---------------------------------------------------------------------------------------------


def test_page_as_a_reader_sees_it(tmp_path: Path, server: int) -> None:
    result = fetch_page(tmp_path, f"http://127.0.0.1:{server}/")
    assert result.text == "Otters & you\n\nOtters\nThey hold hands.\n- river\n- sea\na b"
    assert result.data["title"] == "Otters & you"


@pytest.mark.parametrize(
    ("path", "text"), [("plain", "grüße"), ("meta", "grüße"), ("json", '{"a": 1}'), ("odd", "Qapla'")]
)
def test_kinds_and_charsets(tmp_path: Path, server: int, path: str, text: str) -> None:
    assert fetch_page(tmp_path, f"http://localhost:{server}/{path}").data["text"] == text


def test_long_page_is_cut_and_says_so(tmp_path: Path, server: int) -> None:
    result = fetch_page(tmp_path, f"http://127.0.0.1:{server}/huge")
    assert result.text.endswith("x\n…")
    assert len(result.text) < web.SHOWN + 100
    assert fetching.fetch(f"http://127.0.0.1:{server}/huge").cut is True


@pytest.mark.parametrize(
    ("path", "kind", "why"),
    [
        ("missing", NetworkError, "404"),
        ("pdf", ToolError, "application/pdf"),
        ("file", ToolError, "only http"),
        ("inside", RefusedError, "127.0.0.1"),
    ],
)
def test_refused_pages(tmp_path: Path, server: int, path: str, kind: type[EdgeAgentError], why: str) -> None:
    with pytest.raises(kind, match=why):
        fetch_page(tmp_path, f"http://127.0.0.1:{server}/{path}")


def test_nothing_listens(tmp_path: Path) -> None:
    with pytest.raises(NetworkError, match="could not be fetched"):
        fetch_page(tmp_path, "http://127.0.0.1:1/")


def test_too_slow(monkeypatch: pytest.MonkeyPatch, server: int) -> None:
    monkeypatch.setattr(fetching, "MAX_SECONDS", 1e-9)
    with pytest.raises(NetworkError):
        fetching.fetch(f"http://127.0.0.1:{server}/")


# -- where it may not go -------------------------------------------------------------------------------

PUBLIC = ["93.184.216.34", "2606:2800:220:1::1", "::ffff:93.184.216.34", "64:ff9b::5db8:d822"]
LOCAL = [
    "127.0.0.1",
    "127.8.8.8",
    "10.0.0.1",
    "172.16.0.1",
    "192.168.1.1",
    "::1",
    "fd00::1",
    "::ffff:10.0.0.1",
]
NEVER = [
    "169.254.169.254",
    "0.0.0.0",
    "224.0.0.1",
    "255.255.255.255",
    "240.0.0.1",
    "100.64.0.1",
    "fe80::1",
    "ff02::1",
    "::",
    "::ffff:169.254.169.254",
    "64:ff9b::a9fe:a9fe",
    "2002:a9fe:a9fe::1",
    "not an address",
]


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses(address: str) -> None:
    assert fetching.allowed(address)


@pytest.mark.parametrize("address", LOCAL)
def test_local_addresses_only_when_named(address: str) -> None:
    assert not fetching.allowed(address)
    assert fetching.allowed(address, named=True)


@pytest.mark.parametrize("address", NEVER)
def test_addresses_never_reached(address: str) -> None:
    assert not fetching.allowed(address, named=True)


@pytest.mark.parametrize(
    ("url", "resolved"),
    [
        ("http://intranet.example/", ["10.0.0.5"]),
        ("http://rebind.example/", ["93.184.216.34", "127.0.0.1"]),
        ("http://2130706433/", ["127.0.0.1"]),
        ("http://0x7f.1/", ["127.0.0.1"]),
        ("http://localhost.example/", ["127.0.0.1"]),
        ("http://169.254.169.254/latest/meta-data", ["169.254.169.254"]),
        ("http://[::ffff:169.254.169.254]/", ["::ffff:169.254.169.254"]),
    ],
)
def test_names_that_lead_inside_are_refused(url: str, resolved: list[str]) -> None:
    with pytest.raises(RefusedError, match="private network"):
        fetching.fetch(url, resolve=lambda host, port: resolved)


def test_unknown_host() -> None:
    def unknown(host: str, port: int) -> list[str]:
        raise OSError("no such host")

    with pytest.raises(NetworkError, match="not known"):
        fetching.fetch("http://nowhere.invalid/", resolve=unknown)
    with pytest.raises(NetworkError, match="no address"):
        fetching.fetch("http://nowhere.invalid/", resolve=lambda host, port: [])


def test_connection_goes_to_the_checked_address(monkeypatch: pytest.MonkeyPatch, server: int) -> None:
    """The name is asked once; the request carries it, and the next address is tried when one is dead."""
    monkeypatch.setattr(fetching, "allowed", lambda text, named=False: True)
    asked: list[str] = []

    def resolve(host: str, port: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.2", "127.0.0.1"] if len(asked) == 1 else ["127.0.0.1"]

    Site.hosts.clear(), Site.cookies.clear()
    page = fetching.fetch(f"http://otters.example:{server}/hop", resolve=resolve)
    assert page.url == f"http://otters.example:{server}/"
    assert asked == ["otters.example"] * 2
    assert Site.hosts == [f"otters.example:{server}"] * 2
    assert Site.cookies == [None, None]


def test_redirects_end_and_lose_the_persons_word(monkeypatch: pytest.MonkeyPatch, server: int) -> None:
    """An address the person wrote may be local; where it redirects to may not, not even to itself."""
    with pytest.raises(RefusedError):
        fetching.fetch(f"http://127.0.0.1:{server}/hop")
    monkeypatch.setattr(fetching, "allowed", lambda text, named=False: True)
    with pytest.raises(NetworkError, match="more than 5 redirects"):
        fetching.fetch(f"http://127.0.0.1:{server}/loop")


# -- addresses as said, links, searching -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "url"),
    [
        ("example.org", "https://example.org"),
        ("example.org/a b", "https://example.org/a%20b"),
        ("http://example.org/a.", "http://example.org/a"),
        ("<https://example.org/?q=1>", "https://example.org/?q=1"),
        ("localhost:8000/x", "https://localhost:8000/x"),
        ("HTTPS://Example.ORG", "https://example.org"),
        ("bücher.example", "https://xn--bcher-kva.example"),
    ],
)
def test_addresses(said: str, url: str) -> None:
    assert str(fetching.web_url(said)) == url


@pytest.mark.parametrize(
    "said",
    [
        *("", "https://", "two words", "http://[::1", "https://example.org:port/"),
        *("file:///etc/passwd", "javascript:alert(1)", "mailto:a@b.org", "ftp://x.org"),
        "https://me:secret@example.org",
    ],
)
def test_what_is_no_web_address(tmp_path: Path, said: str) -> None:
    ctx = make_context(tmp_path)
    with pytest.raises(ToolError):
        TOOLS.get("open_link").call({"url": said}, ctx)
    assert ctx.host.opened == []


def test_open_link_and_search(tmp_path: Path) -> None:
    ctx = make_context(tmp_path)
    assert (
        TOOLS.get("open_link").call({"url": "github.com"}, ctx).text
        == "Opened https://github.com in the browser."
    )
    TOOLS.get("web_search").call({"query": "cats & dogs"}, ctx)
    assert ctx.host.opened == ["https://github.com", "https://duckduckgo.com/?q=cats+%26+dogs"]
    with pytest.raises(ToolError, match="nothing to search"):
        TOOLS.get("web_search").call({"query": "  "}, ctx)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("fetch_page", {"url": "example.org"}),
        ("open_link", {"url": "example.org"}),
        ("web_search", {"query": "otters"}),
    ],
)
def test_offline_touches_nothing(tmp_path: Path, name: str, arguments: dict[str, str]) -> None:
    ctx = make_context(tmp_path)
    ctx.offline = True
    with pytest.raises(OfflineError, match="offline"):
        TOOLS.get(name).call(arguments, ctx)
    assert ctx.host.opened == []
    assert TOOLS.get(name).effect == "egress"
