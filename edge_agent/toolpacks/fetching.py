"""Fetching one web page without letting its address reach into the person's own network.

The host name is resolved once, every address it has is checked, and the connection goes to a checked address
(certificate and Host header keep the name), so a name that changes its answer gains nothing (DNS rebinding).
Each redirect is checked the same way. Loopback and private addresses are refused unless the person wrote the
address itself or `localhost`; link-local ones (cloud metadata), multicast and reserved ones always are.

Limits: 5 redirects, 2 MB, 15 s, text only; proxies from the environment are not used, since a proxy would do
the resolving. After OWASP's "Server-Side Request Forgery Prevention Cheat Sheet".
"""

from __future__ import annotations

import ipaddress
import re
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from html.parser import HTMLParser
from typing import TYPE_CHECKING

from ..errors import NetworkError, RefusedError, ToolError

if TYPE_CHECKING:
    import httpx

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolver = Callable[[str, int], list[str]]

MAX_REDIRECTS, MAX_BYTES, MAX_SECONDS = 5, 2_000_000, 15.0
_TEXTUAL = re.compile(r"text/|application/(?:[\w.+-]*\+)?(?:json|xml)\b|application/xhtml\+xml")
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


@dataclass(frozen=True, slots=True)
class Page:
    """A fetched page. url: where it came from after redirects. text: what a reader sees, without markup.
    cut: True when it was longer than MAX_BYTES."""

    url: str
    title: str
    text: str
    cut: bool


def web_url(said: str) -> httpx.URL:
    """An address as people write it (`example.org/a`) as an http(s) URL.

    Raises ToolError for another scheme, no host, or credentials inside."""
    import httpx

    text = said.strip().rstrip(".,;!?").strip("<>\"'")
    if not re.match(r"[a-z][a-z0-9+.-]*:(?!\d)", text, re.IGNORECASE):
        text = f"https://{text}"
    try:
        url = httpx.URL(text)
    except (httpx.InvalidURL, ValueError) as error:
        raise ToolError(f"{said!r} is not a web address: {error}") from error
    if url.scheme not in ("http", "https"):
        raise ToolError(f"{said!r} is not a web address: only http and https are opened")
    if not url.host or "%" in url.host:
        raise ToolError(f"{said!r} is not a web address: it names no site")
    if url.userinfo:
        raise ToolError(f"{said!r} carries a user name or password, which is not sent")
    return url


def fetch(said: str, *, resolve: Resolver | None = None) -> Page:
    """The page at an address.

    Raises RefusedError for a forbidden address, NetworkError for what the network or the site failed at,
    ToolError for a bad address or a page that is not text."""
    import httpx

    url, exact = web_url(said), True
    deadline = time.monotonic() + MAX_SECONDS
    for _ in range(MAX_REDIRECTS + 1):
        addresses = checked(url, resolve or _resolve, exact=exact)
        answer = _get(url, addresses, deadline)
        if isinstance(answer, Page):
            return answer
        try:
            url, exact = web_url(str(url.join(answer))), False
        except httpx.InvalidURL as error:
            raise NetworkError(f"{url} redirects to {answer!r}, which is no address") from error
    raise NetworkError(f"{said}: more than {MAX_REDIRECTS} redirects")


def checked(url: httpx.URL, resolve: Resolver, *, exact: bool) -> list[str]:
    """Addresses of the URL's host, all of them allowed.

    exact: the person wrote this URL, so an address literal or `localhost` in it is meant.
    Raises RefusedError naming the address, NetworkError for an unknown host."""
    port = url.port or {"http": 80, "https": 443}[url.scheme]
    try:
        addresses = resolve(url.host, port)
    except (OSError, UnicodeError) as error:
        raise NetworkError(f"{url.host} is not known to the network", hint="check the address") from error
    if not addresses:
        raise NetworkError(f"{url.host} has no address")
    named = exact and (url.host == "localhost" or _literal(url.host) is not None)
    for text in addresses:
        if not allowed(text, named=named):
            raise RefusedError(
                f"{url.host} is {text}, an address of this machine or a private network",
                hint="to fetch it on purpose, write the address itself in the request",
            )
    return addresses


def allowed(text: str, *, named: bool = False) -> bool:
    """Whether an address may be fetched from; `named`: the person wrote this very address."""
    address = _inner(_literal(text))
    if address is None or address.is_multicast:
        return False
    if address.is_global:
        return True
    if address.is_link_local or address.is_unspecified or not address.is_private:
        return False
    return named and (address.is_loopback or not address.is_reserved)  # Python counts ::1 as reserved too


def readable(html: str) -> tuple[str, str]:
    """Title and text of an HTML page: no scripts or styles, one line per block, lists with dashes."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    lines = (" ".join(line.split()) for line in "".join(reader.parts).splitlines())
    return " ".join("".join(reader.title).split()), "\n".join(line for line in lines if line not in ("", "-"))


def _get(url: httpx.URL, addresses: list[str], deadline: float) -> Page | str:
    """One hop: the page, or where it redirects to. Tries each address until one can be reached."""
    import httpx

    for address in addresses[:-1]:
        try:
            return _ask(url, address, deadline)
        except (httpx.ConnectError, httpx.ConnectTimeout):
            continue
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise _failed(url, error) from error
    try:
        return _ask(url, addresses[-1], deadline)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise _failed(url, error) from error


def _ask(url: httpx.URL, address: str, deadline: float) -> Page | str:
    import httpx

    headers = {
        "Host": url.netloc.decode("ascii"),
        "User-Agent": "edge-agent",
        "Accept": "text/html, text/plain;q=0.9, */*;q=0.1",
        "Accept-Encoding": "identity",  # so that MAX_BYTES bounds memory too
    }
    with (
        # a new client for every hop: no cookie and no connection is carried from one site to another
        httpx.Client(trust_env=False, follow_redirects=False, timeout=MAX_SECONDS / 2) as client,
        client.stream(
            "GET", url.copy_with(host=address), headers=headers, extensions={"sni_hostname": url.host}
        ) as response,
    ):
        if response.has_redirect_location:
            return response.headers["location"]
        if response.is_error:
            raise NetworkError(f"{url} answered {response.status_code} {response.reason_phrase}".rstrip())
        kind = response.headers.get("content-type", "text/html").lower()
        if not _TEXTUAL.match(kind):
            hint = "open the link in the browser instead"
            raise ToolError(f"{url} is {kind.partition(';')[0]}, which has no text to show", hint=hint)
        body, cut = _body(response.iter_bytes(65_536), deadline, url)
        text = _decoded(body, response.charset_encoding)
    title, shown = readable(text) if "html" in kind or text.lstrip()[:1] == "<" else ("", text.strip())
    return Page(str(url), title, shown, cut)


def _body(chunks: Iterator[bytes], deadline: float, url: httpx.URL) -> tuple[bytes, bool]:
    body = bytearray()
    for chunk in chunks:
        body += chunk
        if len(body) > MAX_BYTES:
            return bytes(body[:MAX_BYTES]), True
        if time.monotonic() > deadline:
            raise NetworkError(f"{url} did not arrive within {MAX_SECONDS:g} s")
    return bytes(body), False


def _decoded(body: bytes, declared: str | None) -> str:
    inside = re.search(rb"<meta[^>]+charset=[\"']?([\w-]+)", body[:2048], re.IGNORECASE)
    for name in filter(None, (declared, inside[1].decode() if inside else None)):
        try:
            return body.decode(name, errors="replace")
        except LookupError:
            continue  # a charset that does not exist
    return body.decode(errors="replace")


def _failed(url: httpx.URL, error: Exception) -> NetworkError:
    return NetworkError(f"{url} could not be fetched: {str(error) or type(error).__name__}")


def _resolve(host: str, port: int) -> list[str]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]).partition("%")[0] for entry in found))


def _literal(text: str) -> Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def _inner(address: Address | None) -> Address | None:
    """The IPv4 address that an IPv6 one leads to (mapped, NAT64, 6to4, Teredo), else the address itself."""
    if not isinstance(address, ipaddress.IPv6Address):
        return address
    if address in _NAT64:
        return ipaddress.IPv4Address(address.packed[-4:])
    return address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else address)


class _Reader(HTMLParser):
    """Collects the visible text. Void of recursion, so depth costs nothing."""

    HIDDEN = frozenset({"script", "style", "noscript", "template", "svg", "head"})
    INLINE = frozenset({"a", "abbr", "b", "code", "em", "font", "i", "mark", "q", "s", "small", "span", "strong"})

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self.title: list[str] = []
        self._hidden = 0
        self._in_title = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "body":
            self._hidden = 0  # a head that was never closed
        self._hidden += tag in self.HIDDEN
        self._in_title = tag == "title" or self._in_title
        if tag not in self.INLINE:
            self.parts.append("\n- " if tag == "li" else " " if tag in ("td", "th") else "\n")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.parts.append("\n")

    def handle_endtag(self, tag: str) -> None:
        if tag in self.HIDDEN:
            self._hidden = max(0, self._hidden - 1)
        if tag == "title":
            self._in_title = False
        if tag not in self.INLINE | {"td", "th"}:
            self.parts.append("\n")

    def handle_data(self, data: str) -> None:
        if self._in_title and not self.title:
            self.title.append(data)
        elif not self._hidden:
            # source line breaks are spaces; only tags break lines
            self.parts.append(" ".join(data.split("\n")))
