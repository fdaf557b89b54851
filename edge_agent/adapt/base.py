"""The model that is adapted: a GGUF's own weights, dequantised and frozen in bfloat16, with LoRA on every projection.

Method: Hu et al., LoRA (arXiv 2106.09685). The forward pass is written out for the llama family (Llama, Mistral,
Qwen 2 and 3): bare matrix products with compiled parts between them, about twice as fast on a CPU
as a general library's modules, and with a mask of our own (`encode`).
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
        compiled: whether the parts between matrix products are compiled (needs a C++ compiler, half a minute).

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
        torch._dynamo.config.suppress_errors = True  # a machine without a compiler trains all the same
        self._fused = _Fused(compiled)

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
        cosine, sine = (each.to(torch.bfloat16)[:, :, None] for each in (turn.cos(), turn.sin()))
        hidden = torch.nn.functional.embedding(put(batch.tokens).flatten(), self._embed)
        scale, shape = self.alpha / self.rank, self._shape
        for number, layer in enumerate(self._layers):
            lora = [
                self.trained[f"layers.{number}.{module}.{name}.{part}"]
                for name, module in PROJECTIONS.items()
                for part in "AB"
            ]
            hidden = _layer(hidden, mask, cosine, sine, layer, lora, scale, shape, self._fused)
        chosen = hidden[put(batch.source)]
        logits = self._fused.normed(chosen, self._norm, self.config.rms_norm_eps) @ self._head.T
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


def _layer(
    x: Any,
    mask: Any,
    cosine: Any,
    sine: Any,
    frozen: Mapping[str, Any],
    lora: Any,
    scale: float,
    shape: tuple[int, int, int, float],
    fused: _Fused,
) -> Any:
    """One decoder layer. x: [packs * length, hidden]; mask: [packs, 1, 1, length, length], 0 or very negative."""
    import torch

    heads, groups, width, epsilon = shape
    packs, length = mask.shape[0], mask.shape[-1]
    adapters = {name: lora[2 * place : 2 * place + 2] for place, name in enumerate(PROJECTIONS)}

    def project(name: str, y: Any) -> Any:
        down, up = (each.to(y.dtype) for each in adapters[name])
        out = torch.addmm(y @ frozen[name].T, y @ down.T, up.T, alpha=scale)
        return out + frozen[f"{name}.bias"] if f"{name}.bias" in frozen else out

    def split(name: str, count: int) -> Any:
        each = project(f"{name}_proj", y).view(packs, length, count, width)
        if f"{name}_norm" in frozen:
            each = fused.normed(each, frozen[f"{name}_norm"], epsilon)
        return each

    y = fused.normed(x, frozen["input_layernorm"], epsilon)
    query, key = fused.turned(split("q", heads), cosine, sine), fused.turned(split("k", groups), cosine, sine)
    value = split("v", groups).transpose(1, 2)
    grouped = query.transpose(1, 2).reshape(packs, groups, heads // groups * length, width)
    seen = fused.attention.apply(grouped, key.transpose(1, 2), value, mask, width**-0.5)
    seen = seen.view(packs, heads, length, width).transpose(1, 2).reshape(packs * length, heads * width)
    x = x + project("o_proj", seen)
    y = fused.normed(x, frozen["post_attention_layernorm"], epsilon)
    return x + project("down_proj", fused.gated(project("gate_proj", y), project("up_proj", y)))


class _Fused:
    """The parts of a layer that are not matrix products, each compiled to one pass over memory."""

    def __init__(self, compiled: bool) -> None:
        import torch

        def keep(function: Any) -> Any:
            return torch.compile(function, dynamic=True) if compiled else function

        def normed(x: Any, weight: Any, epsilon: float) -> Any:
            wide = x.float()
            return (wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + epsilon)).to(x.dtype) * weight

        def turned(x: Any, cosine: Any, sine: Any) -> Any:
            first, second = x.chunk(2, -1)
            return x * cosine + torch.cat((-second, first), -1) * sine

        def gated(gate: Any, up: Any) -> Any:
            return torch.nn.functional.silu(gate) * up

        def chances_of(scores: Any, mask: Any, scaling: float) -> Any:
            packs, groups, rows, length = scores.shape
            wide = scores.view(packs, groups, rows // length, length, length).float() * scaling + mask
            return torch.softmax(wide, -1).to(scores.dtype).view(scores.shape)

        def slope_of(chances: Any, slope: Any, scaling: float) -> Any:
            weighted = chances.float() * slope.float()
            return ((weighted - chances.float() * weighted.sum(-1, keepdim=True)) * scaling).to(chances.dtype)

        chances_of, slope_of = keep(chances_of), keep(slope_of)

        class Attention(torch.autograd.Function):
            """Keeps its probabilities in bfloat16. [packs, groups, rows, width] of queries, keys and values."""

            @staticmethod
            def forward(ctx: Any, query: Any, key: Any, value: Any, mask: Any, scaling: float) -> Any:
                chances = chances_of(torch.matmul(query, key.transpose(-1, -2)), mask, scaling)
                ctx.save_for_backward(query, key, value, chances)
                ctx.scaling = scaling
                return torch.matmul(chances, value)

            @staticmethod
            def backward(ctx: Any, slope: Any) -> Any:
                query, key, value, chances = ctx.saved_tensors
                inner = slope_of(chances, torch.matmul(slope, value.transpose(-1, -2)), ctx.scaling)
                keys, values = inner.transpose(-1, -2) @ query, chances.transpose(-1, -2) @ slope
                return inner @ key, keys, values, None, None

        self.normed, self.turned, self.gated, self.attention = keep(normed), keep(turned), keep(gated), Attention


def pairs(state: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    """(projection, A, B) of every adapted projection."""
    for name in state:
        if name.endswith(".A"):
            yield name[:-2], state[name], state[f"{name[:-2]}.B"]
