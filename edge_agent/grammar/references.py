"""What `$ref` points to: inside the schema, or in documents that the caller gives. Nothing is ever fetched."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any
from urllib.parse import unquote, urljoin

from ..errors import SchemaError
from .rewriting import parts, schemas

_POINTERS = ("$ref", "$dynamicRef", "$recursiveRef")


class References:
    """The `$ref`s of one schema.

    document: The schema. Where it (or a remote) has identifiers of its own, a copy with all references absolute, so
        that they can be followed from anywhere.
    """

    def __init__(self, document: Any, remotes: Mapping[str, Any] | None = None) -> None:
        self._remotes = dict(remotes or {})
        self._plain = not self._remotes and not _identified(document)
        self.document = document if self._plain else _absolute(document, "")

    def follow(self, ref: Any, path: str) -> Any:
        """What `ref` names; None when it lies outside of all known documents. Raises SchemaError naming `path`
        when it points into a known document but at nothing, or is no reference."""
        if not isinstance(ref, str):
            raise SchemaError(f"{path}: $ref is not a text")
        if self._plain and (not ref or ref[0] == "#"):
            return _pointed(self.document, ref.lstrip("#"), ref, path)
        from referencing.exceptions import PointerToNowhere, Unresolvable

        try:
            return self._registry.resolver().lookup(ref).contents
        except Unresolvable as error:
            if isinstance(error, PointerToNowhere):
                raise SchemaError(f"{path}: $ref {ref!r} points at nothing") from None
            return None
        except (AttributeError, TypeError, ValueError):
            raise SchemaError(f"{path}: $ref {ref!r} leads through what is no schema") from None

    def dynamic(self, ref: Any, path: str) -> Any:
        """What a `$dynamicRef` names, if that is the same wherever it is evaluated; else None."""
        if not isinstance(ref, str):
            raise SchemaError(f"{path}: $dynamicRef is not a text")
        anchor = ref.rpartition("#")[2]
        documents = [self.document, *self._remotes.values()]
        found = [each for document in documents for each in schemas(document) if each.get("$dynamicAnchor") == anchor]
        return self.follow(ref, path) if len(found) <= 1 else None

    @cached_property
    def _registry(self) -> Any:
        remotes = {uri: _absolute(document, uri) for uri, document in self._remotes.items()}
        return registry(remotes | {"": self.document})


def registry(documents: Mapping[str, Any]) -> Any:
    """A `referencing.Registry` of the specifications' own schemas and `documents`, by URI; it fetches nothing."""
    from jsonschema_specifications import REGISTRY
    from referencing import Resource
    from referencing.exceptions import CannotDetermineSpecification
    from referencing.jsonschema import DRAFT202012

    def resource(document: Any) -> Any:
        try:
            return Resource.from_contents(document, default_specification=DRAFT202012)
        except CannotDetermineSpecification:
            return DRAFT202012.create_resource(document)

    if not documents:
        return REGISTRY
    return REGISTRY.with_resources((uri, resource(document)) for uri, document in documents.items()).crawl()


def _pointed(document: Any, pointer: str, ref: str, path: str) -> Any:
    if pointer and not pointer.startswith("/"):
        for found in schemas(document):
            old = "#" + pointer  # draft-04 to -07
            if pointer in (found.get("$anchor"), found.get("$dynamicAnchor")) or old in (
                found.get("$id"),
                found.get("id"),
            ):
                return found
        raise SchemaError(f"{path}: $ref {ref!r} names an anchor that does not exist")
    target = document
    for step in pointer.split("/")[1:]:
        key = unquote(step).replace("~1", "/").replace("~0", "~")
        try:
            target = target[int(key)] if isinstance(target, list) else target[key]
        except (KeyError, IndexError, ValueError, TypeError):
            raise SchemaError(f"{path}: $ref {ref!r} points at nothing") from None
    return target


def _identified(document: Any) -> bool:
    """Whether a part of `document` has an identifier of its own, or refers to anything but a place in it."""
    return any(
        (found is not document and isinstance(found.get("$id"), str) and found["$id"][:1] != "#")
        or any(not str(found.get(key, "#")).startswith("#") for key in _POINTERS)
        for found in schemas(document)
    )


def _joined(base: str, ref: str) -> str:
    """`ref` as it is meant at `base`. urljoin knows no fragments of URNs."""
    return base.partition("#")[0] + ref if ref.startswith("#") else urljoin(base, ref)


def _absolute(item: Any, base: str) -> Any:
    """A copy of `item` with every identifier and reference absolute."""
    if isinstance(item, list):
        return [_absolute(each, base) for each in item]
    if not isinstance(item, Mapping):
        return item
    if isinstance(item.get("$id"), str):
        base = urljoin(base, item["$id"]).removesuffix("#")
    copy = dict(item)
    for key, value, named in parts(item):
        if key == "$id" and isinstance(value, str):
            copy[key] = base
        elif key in _POINTERS and isinstance(value, str):
            copy[key] = _joined(base, value) if base else value
        elif named:
            copy[key] = {name: _absolute(sub, base) for name, sub in value.items()}
        else:
            copy[key] = _absolute(value, base)
    return copy
