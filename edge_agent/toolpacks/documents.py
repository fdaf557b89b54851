"""Documents: read, summarise and search the text of PDF, Word, OpenDocument and text files.

The summary is extractive: it picks sentences of the document and changes none of them.
"""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Annotated

from ..errors import ToolError
from ..tools import Effect, Example, ToolResult, copied, tool
from ..workspace import Context
from . import finding, reading
from .filewords import KINDS, extension_of

_SHOWN = 4_000  # characters of a document that one answer shows
_SENTENCES = 2_000  # most sentences ranked: the similarity matrix then has 16 MB
_SEARCH_S = 15.0  # longest that a search through files may take
_SEARCHED = (KINDS["text"] | KINDS["document"] | {"csv", "tsv", "json", "html", "xml", "py", "toml", "yaml"}) - {
    "doc",
    "rtf",
    "pages",
}
#: Words too common to say what a sentence is about.
_COMMON = frozenset(
    re.findall(
        r"\w+",
        """a about after all also an and any are as at be been but by can did do for from had has have he
    her his how i if in into is it its may more most no not of on one or other our out she should so
    some such than that the their them then there these they this to up was we were what when which
    who will with would you your""",
    )
)


@tool(
    effect=Effect.READ,
    pack="documents",
    examples=(
        Example("Read the lease pdf to me", {"file": "the lease pdf"}),
        Example("what does page 3 of handbook.pdf say", {"file": "handbook.pdf", "page": "3"}),
        Example("show me the text of my cover letter", {"file": "cover letter"}),
    ),
)
def read_document(
    ctx: Context,
    file: Annotated[str, copied("path")],
    page: Annotated[str, copied("number")] = "",
) -> ToolResult:
    """Read the text of a PDF, Word or other document, all of it or one page.

    Args:
        file: Which document.
        page: Page number, if only one page is wanted.
    """
    from ..when import parse_number

    document = reading.read(ctx, finding.one(ctx, file))
    shown, pages = ctx.shown(document.path), len(document.pages)
    if not page:
        return _excerpt(shown, document.text, {"pages": pages})
    number = parse_number(page)
    if number is None or number not in range(1, pages + 1):
        raise ToolError(f"{shown} has no page {page!r}; its pages are 1 to {pages}")
    return _excerpt(f"{shown}, page {number:.0f} of {pages}", document.pages[int(number) - 1], {"page": number})


@tool(
    effect=Effect.READ,
    pack="documents",
    examples=(
        Example("Summarize the lease pdf", {"file": "the lease pdf"}),
        Example("give me the gist of meeting-minutes.docx", {"file": "meeting-minutes.docx"}),
        Example("What is the annual report in documents about?", {"file": "annual report in documents"}),
    ),
)
def summarize_document(ctx: Context, file: Annotated[str, copied("path")]) -> ToolResult:
    """Summarize a PDF or other document: its most important sentences.

    Args:
        file: Which document.
    """
    document = reading.read(ctx, finding.one(ctx, file))
    sentences = split_sentences(document.text)
    picked = rank_sentences(sentences[:_SENTENCES])
    shown = ctx.shown(document.path)
    cut = ", the first part of it only" if document.cut or len(sentences) > _SENTENCES else ""
    head = f"Extractive summary of {shown} ({len(picked)} of its {len(sentences)} sentences, unchanged{cut}):"
    summary = " ".join(sentences[i] for i in picked)
    return ToolResult(f"{head}\n{summary}", {"path": shown, "summary": summary, "method": "extractive"})


@tool(
    effect=Effect.READ,
    pack="documents",
    examples=(
        Example("Find deposit in the lease pdf", {"text": "deposit", "file": "the lease pdf"}),
        Example("where does handbook.pdf mention overtime", {"text": "overtime", "file": "handbook.pdf"}),
    ),
)
def search_document(
    ctx: Context, text: Annotated[str, copied("text")], file: Annotated[str, copied("path")]
) -> ToolResult:
    """Find where a word or phrase is mentioned inside one document.

    Args:
        text: The word or phrase.
        file: Which document.
    """
    document = reading.read(ctx, finding.one(ctx, file))
    shown = ctx.shown(document.path)
    wanted = _pattern(text)
    hits = [
        {"page": number, "text": " ".join(page[max(0, hit.start() - 80) : hit.end() + 80].split())}
        for number, page in enumerate(document.pages, 1)
        for hit in wanted.finditer(page)
    ]
    if not hits:
        return ToolResult(f"{shown} does not mention “{text}”.", {"path": shown, "hits": []})
    many = "once" if len(hits) == 1 else f"{len(hits)} times"
    lines = [f"page {hit['page']}: … {hit['text']} …" for hit in hits[:10]]
    rest = [f"and {len(hits) - 10} more"] if len(hits) > 10 else []
    said = "\n".join([f"{shown} mentions “{text}” {many}:", *lines, *rest])
    return ToolResult(said, {"path": shown, "hits": hits[:100]})


@tool(
    effect=Effect.READ,
    pack="documents",
    examples=(
        Example("Which files mention the plumber?", {"text": "the plumber"}),
        Example(
            "search inside my documents for passport number",
            {"text": "passport number", "where": "my documents"},
        ),
        Example("find the file that contains project orion", {"text": "project orion"}),
    ),
)
def search_in_files(
    ctx: Context, text: Annotated[str, copied("text")], where: Annotated[str, copied("path")] = "home"
) -> ToolResult:
    """Find which files contain some words inside them.

    Args:
        text: The words inside the file.
        where: Folder to look in.
    """
    wanted, deadline = _pattern(text), time.monotonic() + _SEARCH_S
    seen = finding.walk(finding.folder(ctx, where), skip=ctx.data)
    hits, unread, complete = list[Path](), 0, seen.complete
    for path in (e.path for e in seen.entries if not e.folder and extension_of(e.path) in _SEARCHED):
        if complete and (complete := time.monotonic() < deadline):
            try:
                hits += [path] if wanted.search(reading.read(ctx, path).text) else []
            except ToolError:
                unread += 1
    note = f" {unread} could not be read." if unread else ""
    note += "" if complete else " The search stopped at its limit; there may be more."
    data = {"files": [ctx.shown(path) for path in hits[:200]]}
    if not hits:
        return ToolResult(f"No file contains “{text}”.{note}", data)
    return ToolResult(f"“{text}” is in {finding.listing(ctx, hits, 10)}.{note}", data)


@tool(
    effect=Effect.READ,
    pack="documents",
    examples=(
        Example("How many pages does the lease pdf have?", {"file": "the lease pdf"}),
        Example("how long is my thesis", {"file": "my thesis"}),
    ),
)
def document_length(ctx: Context, file: Annotated[str, copied("path")]) -> ToolResult:
    """Say how long a document is: its pages and words.

    Args:
        file: Which document.
    """
    document = reading.read(ctx, finding.one(ctx, file))
    shown, pages, words = ctx.shown(document.path), len(document.pages), len(document.text.split())
    paged = document.path.suffix.lower() == ".pdf"
    more = " (of the part that was read)" if document.cut else ""
    length = f"{pages:,} page{'s' * (pages != 1)} and {words:,} words" if paged else f"{words:,} words"
    return ToolResult(
        f"{shown} has {length}{more}.", {"path": shown, "pages": pages if paged else None, "words": words}
    )


def split_sentences(text: str) -> list[str]:
    """Sentences and headings of at least four words, with their white space normalised.

    A blank line ends a sentence; so does `.`, `!` or `?` before a capital, a digit or a quote.
    """
    blocks = re.split(r"\n\s*\n", text)
    parts = [part for block in blocks for part in re.split(r"(?<=[.!?])[\"”’)]*\s+(?=[\"“‘(]?[A-Z0-9])", block)]
    return [sentence for part in parts if len((sentence := " ".join(part.split())).split()) >= 4]


def rank_sentences(sentences: list[str], most: int = 5) -> list[int]:
    """Indices, in reading order, of the most central sentences: a tenth of them, at least 3, at most `most`.

    TextRank (Mihalcea and Tarau, 2004): sentences vote for those they share words with, weighted by
    shared / (ln words + ln words), by power iteration of PageRank. Quadratic: about a second for 2,000.
    """
    import numpy as np

    wanted = max(3, min(most, len(sentences) // 10))
    if len(sentences) <= wanted:
        return list(range(len(sentences)))
    bags = [set(re.findall(r"[^\W\d_]{2,}", sentence.lower())) - _COMMON for sentence in sentences]
    column = {word: i for i, word in enumerate(sorted(set().union(*bags)))}
    incidence = np.zeros((len(bags), max(1, len(column))), dtype=np.float32)
    for row, bag in enumerate(bags):
        incidence[row, [column[word] for word in bag]] = 1
    sizes = np.log(np.maximum([len(bag) for bag in bags], 2))
    weights = (incidence @ incidence.T) / (sizes[:, None] + sizes[None, :])
    np.fill_diagonal(weights, 0)
    totals = weights.sum(axis=0)
    moves = np.divide(weights, totals, out=np.full_like(weights, 1 / len(bags)), where=totals > 0)
    rank = np.full(len(bags), 1 / len(bags))
    for _ in range(50):
        rank = 0.15 / len(bags) + 0.85 * (moves @ rank)
    best = np.argsort(-rank, kind="stable")[:wanted]
    return sorted(int(index) for index in best)


def _pattern(text: str) -> re.Pattern[str]:
    if not text.strip():
        raise ToolError("there is no text to look for")
    return re.compile(r"\s+".join(map(re.escape, text.split())), re.IGNORECASE)


def _excerpt(title: str, text: str, data: dict[str, float]) -> ToolResult:
    shown = text[:_SHOWN].rstrip()
    rest = "" if len(text) <= _SHOWN else f"\n… ({_SHOWN:,} of {len(text):,} characters shown)"
    return ToolResult(f"{title}:\n{shown}{rest}", {"path": title, "text": text[:20_000], **data})


TOOLS = (read_document, summarize_document, search_document, search_in_files, document_length)
