"""The text of a file: plain text, PDF (pypdf), Word (.docx) and OpenDocument (.odt).

Contents are a stranger's data and are read within limits: 50 MB a file, 500 PDF pages, 2 million characters.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..errors import ToolError
from ..workspace import Context

MAX_BYTES = 50_000_000
MAX_PAGES = 500
MAX_CHARACTERS = 2_000_000
_SPACES = {"tab": "\t", "br": "\n", "line-break": "\n", "s": " "}


@dataclass(frozen=True, slots=True)
class Document:
    """`pages`: text of each page; a format without pages is one page. `cut`: a limit left some of it out."""

    path: Path
    pages: tuple[str, ...]
    cut: bool = False

    @property
    def text(self) -> str:
        return "\n\n".join(self.pages)


def read(ctx: Context, path: Path) -> Document:
    """Reads a document. Raises ToolError naming the file if it is too large, locked, damaged or textless."""
    shown = ctx.shown(path)
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise ToolError(f"{shown} has {size / 1e6:.0f} MB; at most {MAX_BYTES / 1e6:.0f} MB are read")
        match path.suffix.lower():
            case ".pdf":
                pages, cut = _pdf(path, shown)
            case ".docx":
                pages, cut = (_zipped_xml(path, shown, "word/document.xml"),), False
            case ".odt":
                pages, cut = (_zipped_xml(path, shown, "content.xml"),), False
            case _:
                pages, cut = (_plain(path, shown),), False
    except OSError as error:
        raise ToolError(f"{shown}: {error.strerror or error}") from error
    if not any(page.strip() for page in pages):
        raise ToolError(f"{shown} has no text in it", hint="a scanned page is a picture; it needs OCR first")
    whole = sum(map(len, pages))
    if whole > MAX_CHARACTERS:
        pages, cut = ("\n\n".join(pages)[:MAX_CHARACTERS],), True
    return Document(path, pages, cut)


def _plain(path: Path, shown: str) -> str:
    data = path.read_bytes()
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", errors="replace")
    if b"\0" in data[:8192]:
        raise ToolError(f"{shown} is not a text file", hint="open it instead")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("cp1252", errors="replace")


def _pdf(path: Path, shown: str) -> tuple[tuple[str, ...], bool]:
    import logging

    from pypdf import PdfReader
    from pypdf.errors import DependencyError, PyPdfError

    logging.getLogger("pypdf").setLevel(logging.CRITICAL)  # damage is reported below, not on stderr
    try:
        reader = PdfReader(path)
        if reader.is_encrypted and not reader.decrypt(""):
            raise ToolError(f"{shown} is protected by a password")
        count = len(reader.pages)
        pages = tuple(reader.pages[i].extract_text() for i in range(min(count, MAX_PAGES)))
    except DependencyError as error:
        raise ToolError(f"{shown} is encrypted: {error}", hint="pip install 'pypdf[crypto]'") from error
    except (PyPdfError, ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError) as error:
        raise ToolError(f"{shown} is not a readable PDF: {error}") from error
    return pages, count > MAX_PAGES


def _zipped_xml(path: Path, shown: str, member: str) -> str:
    """Paragraphs of an Office Open XML (ECMA-376) or OpenDocument (ISO 26300) text."""
    import zipfile
    from xml.etree import ElementTree

    try:
        with zipfile.ZipFile(path) as archive:
            if archive.getinfo(member).file_size > MAX_BYTES:
                raise ToolError(f"{shown} unpacks to more than {MAX_BYTES / 1e6:.0f} MB")
            data = archive.read(member)
        if b"<!DOCTYPE" in data or b"<!ENTITY" in data:  # neither format has one; entity bombs need one
            raise ToolError(f"{shown} holds an XML document type; it is not read")
        root = ElementTree.fromstring(data)  # noqa: S314 (no entities, size bounded above)
    except (zipfile.BadZipFile, KeyError, ElementTree.ParseError, NotImplementedError, RuntimeError) as error:
        raise ToolError(f"{shown} is not a readable {path.suffix[1:].upper()} document: {error}") from error
    for node in root.iter():
        name = node.tag.rpartition("}")[2]
        if name in _SPACES:
            node.text = _SPACES[name]
        elif name in ("delText", "instrText"):  # struck out by a tracked change; a field's formula
            node.text = None
    blocks = (node for node in root.iter() if node.tag.endswith(("}p", "}h")))
    return "\n".join("".join(block.itertext()).strip() for block in blocks)
