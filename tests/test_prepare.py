from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pytest
from gguf_fixture import build, write

from edge_agent import prepare
from edge_agent.catalogue import Catalogue
from edge_agent.errors import EngineError, ModelError, StoreError
from edge_agent.models import ModelFile, Store


class Speed(NamedTuple):
    prompt_tok_s: float
    generate_tok_s: float


SLOW, MIDDLE, FAST = Speed(100, 10), Speed(200, 20), Speed(400, 40)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store", Catalogue({}))


@pytest.fixture
def model(store: Store, tmp_path: Path) -> ModelFile:
    return store.add(write(tmp_path / "m.gguf", build(fill=1)), "tiny", "qwen")


class Bench:
    """Fake quantiser and stopwatch: a candidate's content names its format, and `speeds` says how it does."""

    def __init__(self, shipped: Speed | Exception, **speeds: Speed | Exception) -> None:
        self.speeds = {"shipped": shipped, **speeds}
        self.measured: list[str] = []

    def quantize(self, source: Path, target: Path, name: str) -> None:
        write(target, build(fill={"q4_0": 4, "q8_0": 8}[name]))

    def measure(self, path: Path, kernels: str) -> Speed:
        name = {1: "shipped", 4: "q4_0", 8: "q8_0"}[path.read_bytes()[-1]]
        self.measured.append(name)
        speed = self.speeds[name]
        if isinstance(speed, Exception):
            raise speed
        return speed

    def run(self, store: Store, model: ModelFile, **options: object) -> prepare.Prepared:
        return prepare.prepare(store, model, quantize=self.quantize, measure=self.measure, **options)  # type: ignore[arg-type]


def files(store: Store) -> list[str]:
    return sorted(
        p.name.replace(p.name[:64], "SHA") for p in (store.root / "prepared").iterdir() if p.name[0] != "."
    )


@pytest.mark.parametrize(
    ("shipped", "q4_0", "q8_0", "kept"),
    [
        (SLOW, FAST, MIDDLE, "q4_0"),
        (SLOW, MIDDLE, FAST, "q8_0"),
        (FAST, SLOW, MIDDLE, prepare.AS_SHIPPED),
        (Speed(100, 10), Speed(102, 10.2), SLOW, prepare.AS_SHIPPED),  # within the scatter of measurements
        (SLOW, ModelError("no"), FAST, "q8_0"),
        (SLOW, EngineError("no"), EngineError("no"), prepare.AS_SHIPPED),
    ],
)
def test_keeps_the_fastest_and_deletes_the_rest(
    shipped: Speed,
    q4_0: Speed | Exception,
    q8_0: Speed | Exception,
    kept: str,
    store: Store,
    model: ModelFile,
) -> None:
    prepared = Bench(shipped, q4_0=q4_0, q8_0=q8_0).run(store, model)
    assert prepared.format == kept
    assert files(store) == ([] if kept == prepare.AS_SHIPPED else [f"SHA-{kept}.gguf"]) + ["SHA.json"]
    assert (prepared.path == model.path) == (kept == prepare.AS_SHIPPED)
    assert prepared.failures.keys() | prepared.measurements.keys() == {prepare.AS_SHIPPED, "q4_0", "q8_0"}
    assert prepare.find(store, model) == prepared


def test_score_is_the_time_of_a_typical_request(store: Store, model: ModelFile) -> None:
    prepared = Bench(Speed(800, 60), q4_0=SLOW, q8_0=SLOW).run(store, model)
    assert prepared.measurements[prepare.AS_SHIPPED].request_s == pytest.approx(400 / 800 + 30 / 60)


def test_the_shipped_format_is_not_made_again(store: Store, tmp_path: Path) -> None:
    model = store.add(write(tmp_path / "m.gguf", build(fill=1)), "tiny", "qwen")  # its file_type is Q4_1
    prepared = Bench(SLOW).run(store, model, formats=("q4_1",))
    assert prepared.failures == {"q4_1": "this is the shipped format"}


def test_a_second_run_measures_nothing_unless_told_to(store: Store, model: ModelFile) -> None:
    bench = Bench(SLOW, q4_0=FAST, q8_0=MIDDLE)
    first = bench.run(store, model, formats=("q4_0",))
    assert bench.measured == ["shipped", "q4_0"]
    assert bench.run(store, model, formats=("q4_0",)) == first
    assert len(bench.measured) == 2
    bench.run(store, model)  # q8_0 is new
    assert len(bench.measured) == 5
    bench.run(store, model, again=True)
    assert len(bench.measured) == 8


@pytest.mark.parametrize("damage", ["cut", "gone", "record", "other cpu"])
def test_a_damaged_or_foreign_result_is_not_used_and_made_anew(
    damage: str, store: Store, model: ModelFile
) -> None:
    bench = Bench(SLOW, q4_0=FAST, q8_0=MIDDLE)
    good = bench.run(store, model)
    record = store.root / "prepared" / f"{model.sha256}.json"
    if damage == "cut":
        good.path.write_bytes(good.path.read_bytes()[:-1])
    elif damage == "gone":
        good.path.unlink()
    elif damage == "record":
        record.write_text("{]")
    else:
        record.write_text(json.dumps(json.loads(record.read_text()) | {"cpu": "pdp11"}))
    assert prepare.find(store, model) is None
    assert bench.run(store, model) == good


def test_leftovers_of_a_killed_process_are_swept(store: Store, model: ModelFile) -> None:
    folder = store.root / "prepared"
    folder.mkdir()
    for name in (f"{model.sha256}-q4_0.tmp", f"{model.sha256}-q2_k.gguf", "0" * 64 + "-q4_0.gguf"):
        (folder / name).write_bytes(b"left")
    Bench(SLOW, q4_0=SLOW, q8_0=FAST).run(store, model)
    assert (folder / ("0" * 64 + "-q4_0.gguf")).exists()
    assert len(files(store)) == 3


def test_the_shipped_file_failing_is_an_error_and_leaves_nothing(store: Store, model: ModelFile) -> None:
    with pytest.raises(EngineError, match="broken"):
        Bench(EngineError("broken")).run(store, model)
    assert files(store) == []


def test_ctrl_c_keeps_the_earlier_result(store: Store, model: ModelFile) -> None:
    good = Bench(SLOW, q4_0=FAST, q8_0=MIDDLE).run(store, model)

    def interrupt(line: str) -> None:
        if line == "measuring q8_0":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Bench(SLOW, q4_0=MIDDLE, q8_0=FAST).run(store, model, again=True, progress=interrupt)
    assert files(store) == ["SHA-q4_0.gguf", "SHA.json"]
    assert prepare.find(store, model) == good


def test_a_full_disk_is_said_before_writing(
    store: Store, model: ModelFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(store.root)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=0))
    with pytest.raises(StoreError, match="format q4_0 needs"):
        Bench(SLOW, q4_0=FAST, q8_0=FAST).run(store, model)
    assert files(store) == []


def test_a_read_only_store(store: Store, model: ModelFile) -> None:
    def refuse(*_: object) -> None:
        raise OSError(30, "Read-only file system", "somewhere")

    with pytest.raises(StoreError, match="somewhere: Read-only file system"):
        prepare.prepare(store, model, quantize=refuse, measure=lambda *_: SLOW)


def test_a_second_process_is_told(store: Store, model: ModelFile) -> None:
    inside, go_on = threading.Event(), threading.Event()
    bench = Bench(SLOW, q4_0=FAST, q8_0=MIDDLE)

    def wait(_: str) -> None:
        inside.set()
        go_on.wait(5)

    first = threading.Thread(target=bench.run, args=(store, model), kwargs={"progress": wait})
    first.start()
    inside.wait(5)
    with pytest.raises(StoreError, match="another process is preparing"):
        bench.run(store, model)
    go_on.set()
    first.join()
    assert prepare.find(store, model) is not None


def test_cpu_name_without_proc(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: object, **__: object) -> str:
        raise FileNotFoundError

    assert prepare.cpu_name()
    monkeypatch.setattr(Path, "read_text", missing)
    monkeypatch.setattr("platform.processor", lambda: "Apple M9")
    monkeypatch.setattr("platform.machine", lambda: "arm64")
    assert prepare.cpu_name() == "arm64 Apple M9"


def test_store_survives_kills() -> None:
    script = Path(__file__).parent / "kill" / "prepare_kill.py"
    done = subprocess.run(
        [sys.executable, script, "--rounds", "5"], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["corrupt"] == 0


def test_kernels_that_crash_here_are_not_used(store: Store, model: ModelFile) -> None:
    def measure(path: Path, kernels: str) -> Speed | None:
        return None if kernels == "auto" else Speed(900, 90) if kernels == "repack" else SLOW

    prepared = prepare.prepare(store, model, quantize=Bench(SLOW).quantize, measure=measure)
    assert (prepared.format, prepared.kernels) == ("q4_0", "repack")
    assert prepared.measurements[prepare.AS_SHIPPED].kernels == "plain"
    found = prepare.find(store, model)
    assert found
    assert found.kernels == "repack"


def test_a_file_that_runs_with_no_kernels_is_an_error(store: Store, model: ModelFile) -> None:
    with pytest.raises(EngineError, match="does not run on this CPU"):
        prepare.prepare(store, model, quantize=Bench(SLOW).quantize, measure=lambda *_: None)


@pytest.mark.parametrize("eight_bits", [SLOW, EngineError("no")])
def test_an_adapter_is_worked_in_and_eight_bits_kept_where_they_run(
    store: Store, model: ModelFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, eight_bits: Speed | Exception
) -> None:
    adapter = tmp_path / "adapter.gguf"
    both = store.root / "prepared" / f"{'b' * 64}-f16.gguf"
    adapted = replace(model, path=both, sha256="b" * 64, parts=(model.path, adapter))
    worked: list[tuple[Path, Path]] = []

    def merge(base: Path, lora: Path, target: Path, _: object) -> None:
        worked.append((base, lora))
        write(target, build(fill=1))

    monkeypatch.setattr(prepare, "merge", merge)
    bench = Bench(FAST, q8_0=eight_bits)
    prepared = bench.run(store, adapted)
    assert worked == [(model.path, adapter)]
    runs = not isinstance(eight_bits, Exception)
    assert prepared.format == ("q8_0" if runs else prepare.AS_SHIPPED)
    assert files(store) == [f"SHA-{'q8_0' if runs else 'f16'}.gguf", "SHA.json"]
    assert prepare.find(store, adapted) == prepared
    assert bench.run(store, adapted) == prepared
    assert len(worked) == 1
