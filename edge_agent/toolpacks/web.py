"""The web, for when the person asks for it: read a page, open a link, search. Nothing here runs offline."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import quote_plus

from ..errors import OfflineError, ToolError
from ..tools import Effect, Example, ToolResult, copied, tool
from ..workspace import Context
from .fetching import fetch, web_url

SEARCH = "https://duckduckgo.com/?q="
#: Characters of a page that are shown; `data` has as many again for later steps.
SHOWN = 4_000


@tool(
    effect=Effect.EGRESS,
    pack="web",
    examples=(
        Example("Read me the page at example.org", {"url": "example.org"}),
        Example("what does https://example.com/news say", {"url": "https://example.com/news"}),
        Example("Fetch en.wikipedia.org/wiki/Otter", {"url": "en.wikipedia.org/wiki/Otter"}),
    ),
)
def fetch_page(ctx: Context, url: Annotated[str, copied("url")]) -> ToolResult:
    """Read a web page and show its text.

    Args:
        url: The page's address.
    """
    _online(ctx, url)
    page = fetch(url)
    text = page.text[:SHOWN].rstrip() or "(the page has no text)"
    more = "\n…" if page.cut or len(page.text) > SHOWN else ""
    data = {"url": page.url, "title": page.title, "text": page.text[: 2 * SHOWN]}
    return ToolResult(f"{page.title or page.url}\n\n{text}{more}", data)


@tool(
    effect=Effect.EGRESS,
    pack="web",
    examples=(
        Example("Open github.com in my browser", {"url": "github.com"}),
        Example("go to https://example.org/login", {"url": "https://example.org/login"}),
        Example("take me to news.ycombinator.com", {"url": "news.ycombinator.com"}),
    ),
)
def open_link(ctx: Context, url: Annotated[str, copied("url")]) -> ToolResult:
    """Open a website or link in the browser.

    Args:
        url: The site's address.
    """
    _online(ctx, url)
    address = str(web_url(url))
    ctx.host.open(address)
    return ToolResult(f"Opened {address} in the browser.", {"url": address})


@tool(
    effect=Effect.EGRESS,
    pack="web",
    examples=(
        Example("Search the web for sourdough recipes", {"query": "sourdough recipes"}),
        Example("google how tall is the eiffel tower", {"query": "how tall is the eiffel tower"}),
        Example("look up cheap flights to Lisbon online", {"query": "cheap flights to Lisbon"}),
    ),
)
def web_search(ctx: Context, query: Annotated[str, copied("text")]) -> ToolResult:
    """Search the web for something, in the browser.

    Args:
        query: What to search for.
    """
    if not query.strip():
        raise ToolError("there is nothing to search for")
    _online(ctx, query)
    address = SEARCH + quote_plus(query.strip())
    ctx.host.open(address)
    return ToolResult(f"Searching the web for “{query.strip()}”.", {"url": address})


def _online(ctx: Context, what: str) -> None:
    if ctx.offline:
        raise OfflineError(f"{what!r} needs the network, and the agent is offline", hint="run without --offline")


TOOLS = (fetch_page, open_link, web_search)
