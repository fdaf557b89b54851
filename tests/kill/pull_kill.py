"""Kill `models pull` at random moments under a misbehaving server, and look whether the store gets corrupt.

    python tests/kill/pull_kill.py --rounds 100

Each round starts a child that pulls a model from a loopback server which may stall, cut, lie about ranges,
send other content or redirect to another host, and kills it (SIGKILL) at a random moment. Then every blob
must have the hash it is named after, every ref must point to a whole blob, and a run without faults must
finish it. The last line is JSON.
"""
# ruff: noqa: E402  (the path comes first, so that the script runs from a checkout)

from __future__ import annotations

import argparse
import functools
import hashlib
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[2]), str(Path(__file__).resolve().parents[1])]

from gguf_fixture import Tensor, build
from web_fixture import Site, serve

from edge_agent import models
from edge_agent.catalogue import Catalogue, ModelEntry
from edge_agent.download import fetch, hash_file
from edge_agent.errors import EdgeAgentError, ModelError

GOOD = build(tensors=[Tensor("token_embd.weight", (1024, 700))], fill=7)  # 2.9 MB
WRONG = GOOD[:-1] + b"!"
SHA = hashlib.sha256(GOOD).hexdigest()
FAULTS = (
    *(
        [],
        ["stall"],
        ["cut"],
        ["cut", "cut"],
        ["no-range"],
        ["cut", "no-range"],
        ["cut", "shift"],
        ["cut", "416"],
    ),
    *(["500"], ["429", "cut"], ["redirect:OTHER"], ["redirect:OTHER", "cut"]),
)


def store_at(root: Path, url: str, known_hash: bool) -> models.Store:
    entry = ModelEntry(
        *("tiny", "tiny.gguf", "qwen", "MIT", 64, "1", "F32", 1),
        url=url,
        sha256=SHA if known_hash else None,
        size_bytes=len(GOOD) if known_hash else None,
        default=True,
    )
    return models.Store(root, Catalogue({"tiny": entry}))


def child(root: Path, url: str, known_hash: bool) -> int:
    models.fetch = functools.partial(fetch, backoff_s=0.02, stall_timeout_s=0.3)  # type: ignore[assignment]
    store = store_at(root, url, known_hash)
    import httpx  # noqa: F401  (so that the kill falls into the work, not into this import)

    print("go", flush=True)
    try:
        store.pull("tiny")
    except EdgeAgentError as error:
        print(error, flush=True)
        return error.exit_code
    return 0


def start(root: Path, url: str, known_hash: bool) -> subprocess.Popen[str]:
    environment = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy")}
    process = subprocess.Popen(
        [sys.executable, __file__, "--child", str(root), url, *(["--known-hash"] if known_hash else [])],
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    )
    assert process.stdout is not None
    process.stdout.readline()
    return process


def corruption(root: Path, url: str, known_hash: bool, allowed: set[str]) -> str | None:
    """What is wrong with the store; None when it is sound."""
    blobs = root / "blobs" / "sha256"
    for blob in blobs.iterdir() if blobs.is_dir() else ():
        if hash_file(blob) != blob.name or blob.name not in allowed:
            return f"blob {blob.name} is not what its name says, or not what was asked for"
    try:
        found = store_at(root, url, known_hash).resolve("tiny")
    except ModelError as error:
        # "not on this machine" is sound; a ref to a missing or short blob is not.
        return error.message if (root / "refs" / "tiny.json").exists() else None
    return (
        None if hash_file(found.path) == found.sha256 and found.verified == known_hash else "wrong ModelFile"
    )


def run(rounds: int, seed: int) -> dict[str, object]:
    chance, counts, problems = random.Random(seed), Counter[str](), []
    began = time.monotonic()
    with (
        tempfile.TemporaryDirectory() as folder,
        serve(Site(GOOD, chunk_pause_s=0.001, stall_s=1.0)) as site,
        serve(Site(GOOD, chunk_pause_s=0.001, stall_s=1.0), host="127.0.0.2") as other,
    ):
        for number in range(rounds):
            root = Path(folder) / str(number)
            known_hash = chance.random() < 0.8
            for kill in range(chance.randint(1, 3)):
                faults = list(chance.choice(FAULTS))
                wrong = known_hash and chance.random() < 0.3
                site.content = other.content = WRONG if wrong else GOOD
                site.faults = [f.replace("OTHER", other.url) for f in faults]
                process = start(root, site.url, known_hash)
                if not wrong or chance.random() < 0.5:  # some wrong files must arrive whole, to be refused
                    time.sleep(chance.uniform(0, 0.5))
                    process.kill()
                process.communicate(timeout=60)
                killed = process.returncode < 0
                counts["killed" if killed else "ended_before_the_kill"] += 1
                counts["wrong_content"] += wrong
                counts["wrong_hash_refused"] += process.returncode == ModelError.exit_code
                if problem := corruption(root, site.url, known_hash, {SHA}):
                    problems.append(f"round {number}.{kill} {faults=} {wrong=}: {problem}")
            site.content, site.faults, site.requests = GOOD, [], []
            process = start(root, site.url, known_hash)
            output, _ = process.communicate(timeout=60)
            if process.returncode:
                problems.append(f"round {number}: not finished afterwards: {output}")
            counts["resumed"] += any("range" in request for request in site.requests)
            counts["finished"] += process.returncode == 0
            problem = corruption(root, site.url, known_hash, {SHA})
            leftovers = [p.name for p in (root / "partial").iterdir() if p.name[0] != "."]
            if problem or leftovers:
                problems.append(f"round {number} at the end: {problem or leftovers}")
    return {
        "bench": "pull_kill",
        "rounds": rounds,
        "seed": seed,
        **counts,
        "corrupt": len(problems),
        # A run that hardly killed anything in the middle of its work proves nothing.
        "load_floor_held": counts["killed"] >= rounds / 2
        and counts["resumed"] >= rounds / 10
        and counts["wrong_hash_refused"] >= rounds / 10,
        "problems": problems[:5],
        "elapsed_s": round(time.monotonic() - began, 1),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--known-hash", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        return child(Path(options.child[0]), options.child[1], options.known_hash)
    result = run(options.rounds, options.seed)
    print(
        f"pull: {result['rounds']} rounds, {result['killed']} kills, {result['resumed']} resumed, "
        f"{result['finished']} finished afterwards, {result['corrupt']} corrupt"
    )
    print(json.dumps(result))
    return 1 if result["corrupt"] else 0


if __name__ == "__main__":
    sys.exit(main())
