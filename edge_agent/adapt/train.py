"""The training loop: AdamW, warm-up and cosine, checkpoints that a stopped run goes on from.

A run is a folder: `run.json` (its settings), `log.jsonl` (a line per step), `state.pt` (adapter, optimiser, place).
Everything random comes from the seed and the place, so a resumed run sees the same batches.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InputError
from .encode import Encoded, batch, batches

if TYPE_CHECKING:
    from .base import Learner


@dataclass(frozen=True, slots=True)
class Plan:
    """tokens: how many to train on, padding not counted. batch_tokens: of one step. block_share: of the steps in
    block mode. checkpoint_s, check_s: seconds between checkpoints, and between looks at the held-out packs."""

    tokens: int
    rate: float = 8e-4
    batch_tokens: int = 4096
    block_share: float = 0.35
    warm_up: float = 0.04
    last_rate: float = 0.05
    clip: float = 1.0
    weight_decay: float = 0.0
    seed: int = 1
    checkpoint_s: float = 240.0
    check_s: float = 900.0


@dataclass(frozen=True, slots=True)
class Progress:
    """After a step: tokens trained on so far and in all, mean loss of an answer token, and on held-out packs if it was
    looked at."""

    step: int
    tokens: int
    total: int
    loss: float
    tokens_per_s: float
    checked: float | None = None

    @property
    def left_s(self) -> float:
        return max(0, self.total - self.tokens) / self.tokens_per_s if self.tokens_per_s else math.inf


def train(
    learner: Learner,
    passes: Callable[[int], Sequence[Encoded]],
    held: Sequence[Encoded],
    plan: Plan,
    folder: Path,
    progress: Callable[[Progress], None] | None = None,
) -> dict[str, Any]:
    """Trains until `plan.tokens`; returns the adapter's state by name (float32, on the CPU).

    passes: the packs of pass 0, 1, … An interrupted run in `folder` goes on. Raises InputError when the folder holds
    a run with other settings. Cost: about 0.5 to 1 million tokens in 20 minutes on two cores with bfloat16 units.
    """
    import torch

    folder.mkdir(parents=True, exist_ok=True)
    _same_run(folder / "run.json", asdict(plan))
    parameters = list(learner.trained.values())
    optimiser = torch.optim.AdamW(parameters, lr=plan.rate, betas=(0.9, 0.98), weight_decay=plan.weight_decay)
    step, tokens, number, skip = 0, 0, 0, 0
    saved = folder / "state.pt"
    if saved.exists():
        state = torch.load(saved, map_location=learner.device, weights_only=True)
        learner.load(state["adapter"])
        optimiser.load_state_dict(state["optimiser"])
        step, tokens, number, skip = (state[key] for key in ("step", "tokens", "pass", "batch"))

    def save(number: int, done: int) -> None:
        state = {
            "adapter": adapter(),
            "optimiser": optimiser.state_dict(),
            "step": step,
            "tokens": tokens,
            "pass": number,
            "batch": done,
        }
        torch.save(state, saved.with_suffix(".tmp"))
        os.replace(saved.with_suffix(".tmp"), saved)

    def adapter() -> dict[str, Any]:
        return {name: each.detach().float().cpu().clone() for name, each in learner.trained.items()}

    last_saved = last_checked = time.monotonic()
    with (folder / "log.jsonl").open("a", encoding="utf-8") as log:
        while tokens < plan.tokens:
            groups = list(batches(passes(number), plan.batch_tokens))
            order = np.random.default_rng((plan.seed, number)).permutation(len(groups))
            for done, index in enumerate(order[skip:], skip + 1):
                began = time.monotonic()
                group, shape = groups[index]
                blocks = bool(np.random.default_rng((plan.seed, number, done)).random() < plan.block_share)
                share = tokens / plan.tokens
                for each in optimiser.param_groups:
                    each["lr"] = plan.rate * _schedule(share, plan)
                made = batch(group, blocks=blocks, shape=shape)
                losses = learner.losses(made)
                weight = torch.from_numpy(made.weight).to(losses.device)
                loss = (losses * weight).sum() / weight.sum()
                loss.backward()
                torch.nn.utils.clip_grad_norm_(parameters, plan.clip)
                optimiser.step()
                optimiser.zero_grad(set_to_none=True)
                step, tokens = step + 1, tokens + sum(map(len, group))
                now = time.monotonic()
                checked = None
                if held and (now - last_checked > plan.check_s or tokens >= plan.tokens):
                    checked = held_loss(learner, held)
                    last_checked = time.monotonic()
                told = Progress(step, tokens, plan.tokens, loss.item(), sum(map(len, group)) / (now - began), checked)
                log.write(json.dumps({**asdict(told), "blocks": blocks, "shape": made.tokens.shape}) + "\n")
                log.flush()
                if progress:
                    progress(told)
                if now - last_saved > plan.checkpoint_s or tokens >= plan.tokens:
                    save(number, done)
                    last_saved = now
                if tokens >= plan.tokens:
                    break
            number, skip = number + 1, 0
    return adapter()


def held_loss(learner: Learner, held: Sequence[Encoded], *, blocks: bool = False) -> float:
    """Mean cross entropy of an answer token on packs that are not trained on."""
    import torch

    total, count = 0.0, 0
    with torch.no_grad():
        for group, shape in batches(held, 4096):
            losses = learner.losses(batch(group, blocks=blocks, shape=shape))
            total, count = total + losses.sum().item(), count + len(losses)
    return total / count


def _schedule(share: float, plan: Plan) -> float:
    """Part of the full rate after `share` of the tokens."""
    if share < plan.warm_up:
        return (share + 0.1 * plan.warm_up) / (1.1 * plan.warm_up)
    turned = (share - plan.warm_up) / (1 - plan.warm_up)
    return plan.last_rate + (1 - plan.last_rate) * 0.5 * (1 + math.cos(math.pi * min(1.0, turned)))


def _same_run(path: Path, settings: dict[str, Any]) -> None:
    if not path.exists():
        path.write_text(json.dumps(settings, indent=1), encoding="utf-8")
    elif (found := json.loads(path.read_text(encoding="utf-8"))) != settings:
        changed = ", ".join(key for key in settings if settings[key] != found.get(key))
        raise InputError(f"{path.parent} holds a run with other settings ({changed})", hint="choose another folder")
