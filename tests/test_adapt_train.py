"""The learner computes what llama.cpp computes, and what it learns arrives there. Needs the extra [adapt]."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_agent.adapt.compose import Branch, Pack
from edge_agent.adapt.encode import Encoded, batch, encode
from edge_agent.adapt.train import Plan, Progress, train
from edge_agent.dialects import get
from edge_agent.dialects.base import Call, Message, Reply, ToolSpec
from edge_agent.engine.base import Engine
from edge_agent.errors import InputError
from edge_agent.merge import merge

torch = pytest.importorskip("torch", reason="pip install torch==2.13.0 'edge-agent[adapt]'")
pytest.importorskip("transformers")

pytestmark = [pytest.mark.model, pytest.mark.filterwarnings("ignore")]

DIALECT = get("smollm2")
TOOLS = tuple(
    ToolSpec(name, about, {"type": "object", "properties": {key: {"type": "string"}}, "required": [key]})
    for name, about, key in (("brew_tea", "Brews a pot of tea.", "leaf"), ("walk_dog", "Walks a dog.", "dog"))
)


def pack(tokenize: Any, *texts: str) -> Encoded:
    branches = [
        Branch((Message("user", f"some {text} please"),), Reply((Call("brew_tea", {"leaf": text}),))) for text in texts
    ]
    made = encode(Pack(TOOLS, tuple(branches)), DIALECT, tokenize)
    assert made
    return made


@pytest.fixture(scope="module")
def learner(weights: Path) -> Any:
    from edge_agent.adapt.base import Learner

    made = Learner(weights, rank=4, alpha=8.0, seed=3, compiled=False)
    made.device = torch.device("cpu")
    return made


def by_engine(engine: Engine, made: Encoded) -> float:
    """Mean cross entropy of the first branch's answer, by llama.cpp."""
    (asked, said), *_ = made.branches
    start = made.head + sum(made.blocks) + asked
    tokens = made.tokens[: start + said].tolist()
    engine.trim(0)
    logits = engine.evaluate(tokens[:start])
    losses = []
    for token in tokens[start:]:
        row = logits.astype(np.float64)
        losses.append(np.log(np.exp(row - row.max()).sum()) + row.max() - row[token])
        logits = engine.evaluate([token])
    return float(np.mean(losses))


def by_learner(learner: Any, made: Encoded, *, blocks: bool = False) -> Any:
    with torch.no_grad():
        return learner.losses(batch([made], blocks=blocks))[: made.branches[0][1]].mean().item()


def test_the_learner_computes_what_llama_cpp_computes(learner: Any, engine: Engine) -> None:
    made = pack(engine.tokenize, "oolong", "sencha", "assam")
    assert by_learner(learner, made) == pytest.approx(by_engine(engine, made), abs=0.12)


def test_what_is_learnt_arrives_in_llama_cpp(learner: Any, engine: Engine, weights: Path, tmp_path: Path) -> None:
    from edge_agent.adapt.export import write_adapter
    from edge_agent.engine.llama import LlamaEngine, quantize

    made = pack(engine.tokenize, "oolong", "sencha")
    before = by_learner(learner, made)
    start = {name: each.detach().clone() for name, each in learner.trained.items()}
    seen: list[Progress] = []
    plan = Plan(tokens=12 * len(made), rate=3e-3, batch_tokens=len(made), warm_up=0.1, block_share=0.5)
    state = train(learner, lambda _: [made], [made], plan, tmp_path / "run", seen.append)
    after = by_learner(learner, made)
    assert after < before / 3
    assert seen[-1].checked == pytest.approx(after, rel=0.5)
    assert [json.loads(line)["step"] for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()] == list(
        range(1, len(seen) + 1)
    )

    adapter, merged = tmp_path / "adapter.gguf", tmp_path / "merged.gguf"
    write_adapter(state, weights, adapter, alpha=8.0)
    merge(weights, adapter, merged, quantize)
    one = LlamaEngine(merged, context=512)
    try:
        assert by_engine(one, made) == pytest.approx(after, abs=0.1)
    finally:
        one.close()
    two = LlamaEngine(weights, context=512)
    try:
        two.use_adapter(adapter)
        assert by_engine(two, made) == pytest.approx(after, abs=0.1)
    finally:
        two.close()

    # a run goes on from its last checkpoint, and not with other settings
    learner.load(start)
    again = train(learner, lambda _: [made], [], plan, tmp_path / "run")
    assert all(torch.equal(again[name], value) for name, value in state.items())
    with pytest.raises(InputError, match=r"other settings \(rate\)"):
        train(learner, lambda _: [made], [], replace(plan, rate=1.0), tmp_path / "run")
    learner.load(start)
