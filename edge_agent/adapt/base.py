"""The model that is adapted: a GGUF's own weights, dequantised and frozen in bfloat16, with LoRA on every projection.

Method: Hu et al., LoRA (arXiv 2106.09685). The forward pass is written out for the llama family (Llama, Mistral,
Qwen 2 and 3): one function per layer, compiled once for all layers, twice as fast on a CPU as a general library's
modules, and with a mask of our own (`encode`).
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ModelError
from .encode import Batch

if TYPE_CHECKING:
    import torch

#: projections of a layer, by the name of their module
PROJECTIONS = {
    **dict.fromkeys(("q_proj", "k_proj", "v_proj", "o_proj"), "self_attn"),
    **dict.fromkeys(("gate_proj", "up_proj", "down_proj"), "mlp"),
}


class Learner:
    """A model and its adapter on one device.

    Args:
        path: The GGUF file. rank, alpha: of the adapter; its product is scaled by alpha / rank.
        compiled: whether layers are compiled (needs a C++ compiler; half a minute for each new shape).

    Raises ModelError when the file is not of the llama family.
    """

    def __init__(self, path: Path, *, rank: int, alpha: float, seed: int, compiled: bool = True) -> None:
        import torch
        from transformers import AutoModelForCausalLM, GgufConfig

        try:
            model = AutoModelForCausalLM.from_pretrained(
                path.parent,
                gguf_file=path.name,
                dtype=torch.float32,
                quantization_config=GgufConfig(dequantize=True),
            )
        except (ValueError, KeyError, OSError) as error:
            raise ModelError(f"{path}: cannot be trained: {error}") from error
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.config, self.rank, self.alpha = model.config, rank, alpha
        if self.config.model_type not in ("llama", "mistral", "qwen2", "qwen3"):
            raise ModelError(f"{path}: models of type {self.config.model_type!r} cannot be trained yet")
        frozen = {name: each.to(self.device, torch.bfloat16) for name, each in model.state_dict().items()}
        inverse = model.model.rotary_emb.inv_freq.float().to(self.device)
        self._embed, self._norm = frozen["model.embed_tokens.weight"], frozen["model.norm.weight"]
        self._head = frozen.get("lm_head.weight", self._embed)
        self._frequencies = inverse
        self._layers = [_layer_weights(frozen, f"model.layers.{n}.") for n in range(self.config.num_hidden_layers)]
        generator = torch.Generator().manual_seed(seed)
        self.trained: dict[str, torch.Tensor] = {}
        for number, layer in enumerate(self._layers):
            for name, module in PROJECTIONS.items():
                out, into = layer[name].shape
                down = torch.empty(rank, into).uniform_(-1, 1, generator=generator) * (3 / into) ** 0.5
                for part, start in (("A", down), ("B", torch.zeros(out, rank))):
                    full = f"layers.{number}.{module}.{name}.{part}"
                    self.trained[full] = start.to(self.device).requires_grad_()
        self._layer = torch.compile(_layer, dynamic=False) if compiled else _layer
        if compiled:
            torch._dynamo.config.suppress_errors = True  # a machine without a compiler trains all the same
            torch._dynamo.config.recompile_limit = 64

    def load(self, state: Mapping[str, Any]) -> None:
        import torch

        with torch.no_grad():
            for name, value in state.items():
                self.trained[name].copy_(value)

    def losses(self, batch: Batch) -> torch.Tensor:
        """Cross entropy of every answer token, unweighted: [targets]. Logits are computed for these alone."""
        import torch

        def put(array: Any) -> torch.Tensor:
            return torch.from_numpy(array).to(self.device)

        visible = put(batch.visible)[:, None, None]
        mask = torch.zeros(visible.shape, dtype=torch.bfloat16, device=self.device).masked_fill_(~visible, -1e9)
        angles = put(batch.positions)[..., None].float() * self._frequencies
        turn = torch.cat((angles, angles), -1)
        cosine, sine = (each.to(torch.bfloat16)[:, None] for each in (turn.cos(), turn.sin()))
        hidden = torch.nn.functional.embedding(put(batch.tokens), self._embed)
        scale, shape = self.alpha / self.rank, self._shape
        for number, layer in enumerate(self._layers):
            lora = [
                self.trained[f"layers.{number}.{module}.{name}.{part}"]
                for name, module in PROJECTIONS.items()
                for part in "AB"
            ]
            hidden = self._layer(hidden, mask, cosine, sine, layer, lora, scale, shape)
        chosen = hidden.flatten(0, 1)[put(batch.source)]
        logits = _normed(chosen, self._norm, self.config.rms_norm_eps) @ self._head.T
        return torch.nn.functional.cross_entropy(logits.float(), put(batch.target), reduction="none")

    @functools.cached_property
    def _shape(self) -> tuple[int, int, int, float]:
        """Heads, heads of keys and values, width of one, and the epsilon of the norms."""
        config = self.config
        width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        return config.num_attention_heads, config.num_key_value_heads, width, config.rms_norm_eps


def _layer_weights(frozen: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    """Frozen weights of one layer by short name; `q_proj`, `q_proj.bias`, `q_norm`, `input_layernorm` …"""
    mine = {name.removeprefix(prefix): value for name, value in frozen.items() if name.startswith(prefix)}
    return {name.removesuffix(".weight").split(".", 1)[-1]: value for name, value in mine.items()}


def _normed(x: Any, weight: Any, epsilon: float) -> Any:
    import torch

    wide = x.float()
    return (wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + epsilon)).to(x.dtype) * weight


def _layer(
    x: Any, mask: Any, cosine: Any, sine: Any, frozen: Mapping[str, Any], lora: Any, scale: float, shape: Any
) -> Any:
    """One decoder layer. x: [packs, length, hidden]; mask: [packs, 1, 1, length, length], 0 or very negative."""
    import torch

    heads, groups, width, epsilon = shape
    packs, length, _ = x.shape
    adapters = {name: lora[2 * place : 2 * place + 2] for place, name in enumerate(PROJECTIONS)}

    def project(name: str, y: Any) -> Any:
        down, up = (each.to(y.dtype) for each in adapters[name])
        out = y @ frozen[name].T + ((y @ down.T) @ up.T) * scale
        return out + frozen[f"{name}.bias"] if f"{name}.bias" in frozen else out

    def turned(y: Any) -> Any:
        first, second = y.chunk(2, -1)
        return y * cosine + torch.cat((-second, first), -1) * sine

    def split(name: str, y: Any, count: int) -> Any:
        each = project(f"{name}_proj", y).view(packs, length, count, width)
        if f"{name}_norm" in frozen:
            each = _normed(each, frozen[f"{name}_norm"], epsilon)
        return each.transpose(1, 2)

    y = _normed(x, frozen["input_layernorm"], epsilon)
    query, key, value = turned(split("q", y, heads)), turned(split("k", y, groups)), split("v", y, groups)
    rows = heads // groups * length
    scores = query.reshape(packs, groups, rows, width) @ key.transpose(-1, -2)
    wide = scores.view(packs, groups, heads // groups, length, length).float() * width**-0.5 + mask
    chances = torch.softmax(wide, -1).to(x.dtype).view(packs, groups, rows, length)
    seen = (chances @ value).view(packs, heads, length, width).transpose(1, 2).reshape(packs, length, heads * width)
    x = x + project("o_proj", seen)
    y = _normed(x, frozen["post_attention_layernorm"], epsilon)
    return x + project("down_proj", torch.nn.functional.silu(project("gate_proj", y)) * project("up_proj", y))


def pairs(state: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    """(projection, A, B) of every adapted projection."""
    for name in state:
        if name.endswith(".A"):
            yield name[:-2], state[name], state[f"{name[:-2]}.B"]
