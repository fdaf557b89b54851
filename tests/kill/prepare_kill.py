"""Kill `models prepare` at random moments, and look whether the store ever holds or names a broken file.

    python tests/kill/prepare_kill.py --rounds 100

Each round a child prepares one model with a slow fake quantiser and made-up speeds (the winner changes) and
is killed (SIGKILL) at a random moment. What `find` then returns must be a whole file of the format it names;
a result that was there before must not be lost; a run to the end leaves exactly one. The last line is JSON.
"""
# ruff: noqa: E402  (the path comes first, so that the script runs from a checkout)

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import NamedTuple

sys.path[:0] = [str(Path(__file__).resolve().parents[2]), str(Path(__file__).resolve().parents[1])]

from gguf_fixture import Tensor, build, write

from edge_agent import gguf, prepare
from edge_agent.catalogue import Catalogue
from edge_agent.models import Store

SHIPPED = build(tensors=[Tensor("token_embd.weight", (1024, 64))], fill=1)
FORMATS = {name: build(tensors=[Tensor("token_embd.weight", (1024, 64), kind)], fill=kind)
           for name, kind in (("q4_0", 2), ("q8_0", 8))}  # fmt: skip


class Speed(NamedTuple):
    prompt_tok_s: float
    generate_tok_s: float


def quantize(source: Path, target: Path, name: str) -> None:
    with open(target, "wb", buffering=0) as file:
        for at in range(0, len(FORMATS[name]), 1 << 13):
            file.write(FORMATS[name][at : at + (1 << 13)])
            time.sleep(0.003)


def child(root: Path, winner: str) -> int:
    def measure(path: Path, kernels: str) -> Speed:
        time.sleep(0.02)
        speed = 400.0 if winner in path.name or (winner == "shipped" and "blobs" in path.parts) else 100.0
        return Speed(speed, speed)

    store = Store(root, Catalogue({}))
    model = store.resolve("tiny")
    print("go", flush=True)
    prepare.prepare(store, model, quantize=quantize, measure=measure, again=True)
    return 0


def corruption(store: Store, had_result: bool) -> str | None:
    model = store.resolve("tiny")
    if model.path.read_bytes() != SHIPPED:
        return "the model itself has changed"
    found = prepare.find(store, model)
    if found is None:
        return "an earlier result was lost" if had_result else None
    gguf.check(found.path)
    wanted = SHIPPED if found.format == prepare.AS_SHIPPED else FORMATS[found.format]
    return None if found.path.read_bytes() == wanted else f"{found.path.name} is not whole"


def run(rounds: int, seed: int) -> dict[str, object]:
    chance, counts, problems = random.Random(seed), Counter[str](), []
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder) / "store", Catalogue({}))
        model = store.add(write(Path(folder) / "tiny.gguf", SHIPPED), "tiny", "qwen")
        for number in range(rounds):
            before = prepare.find(store, model)
            winner = chance.choice(["q4_0", "q8_0", "shipped"])
            arguments = [sys.executable, __file__, "--child", str(store.root), winner]
            process = subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True)
            assert process.stdout is not None
            process.stdout.readline()
            last = number % 10 == 9
            if not last:
                time.sleep(chance.uniform(0, 0.15))
                process.kill()
            process.communicate(timeout=60)
            killed = process.returncode < 0
            counts["killed" if killed else "ended"] += 1
            counts["replaced_a_result"] += before is not None
            if problem := corruption(store, before is not None):
                problems.append(f"round {number} winner {winner}: {problem}")
            if not killed:
                files = [p for p in (store.root / "prepared").iterdir() if p.name[0] != "."]
                found = prepare.find(store, model)
                if process.returncode or found is None or len(files) != 1 + (found.path != model.path):
                    problems.append(f"round {number}: the end of a whole run: {[p.name for p in files]}")
    return {
        "bench": "prepare_kill",
        "rounds": rounds,
        "seed": seed,
        **counts,
        "corrupt": len(problems),
        "load_floor_held": counts["killed"] >= rounds / 2,
        "problems": problems[:5],
        "elapsed_s": round(time.monotonic() - began, 1),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        return child(Path(options.child[0]), options.child[1])
    result = run(options.rounds, options.seed)
    print(f"prepare: {result['rounds']} rounds, {result['killed']} kills, {result['corrupt']} corrupt")
    print(json.dumps(result))
    return 1 if result["corrupt"] else 0


if __name__ == "__main__":
    sys.exit(main())
