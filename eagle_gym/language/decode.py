"""A lean batched decode loop for small Llama models.

``model.generate`` spends most of its time on a small model outside the matrix products: masks rebuilt, caches
concatenated, dozens of small operations a token, and rows that are done computed on. Here the Hugging Face weights
are read into fused projections (q, k and v in one product, gate and up in one, the norms' weights folded into the
product that follows, residuals added by the product), keys and values go into a cache that grows by blocks and is
looked at through views that are made once, and a row that is done gives its place to one that is not. A token takes 26
calls of torch in each layer.

Rotary embedding is a product of complex numbers: a head's dimensions are reordered, for queries and keys alike, so
that each pair that rotates together is adjacent. Attention scores do not change under a common reordering.

Shapes: B rows, L prompt slots, T cache slots, D width, H query heads, J key-value heads, G = H / J, E head width, V
vocabulary.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

# Rows decoded together, and rows whose prompts are read together: more would not fit the caches of a processor.
ROWS = {"cpu": 64, "cuda": 1024}
READ_ROWS = {"cpu": 16, "cuda": 256}
SHARING_ROWS = 24  # rows that begin alike from which on they are better decoded by themselves than in full batches
GROWTH = 32  # slots by which caches grow: loose ones cost a third of attention's speed
TILE = 8  # rows of a fixed tile
PAD_MULTIPLE = 16  # slots to which a fixed tile's prompts are padded


@dataclass(frozen=True, slots=True)
class Generated:
    """Tokens of one row, the stop token left out, and whether a stop token ended it."""

    tokens: list[int]
    stopped: bool


@dataclass(frozen=True, slots=True)
class Ending:
    """Which tokens end a text.

    Attributes:
        stop: Tokens that end it and are not part of it.
        breaks: Tokens that end it once it has content, and are part of it (line breaks, for models that never stop by
            themselves).
        blank: Tokens that are no content.
    """

    stop: frozenset[int]
    breaks: frozenset[int] = frozenset()
    blank: frozenset[int] = frozenset()

    def ends(self, said: Sequence[int], token: int) -> bool:
        """Whether ``token`` ends the text that has ``said`` so far."""
        return token in self.stop or (token in self.breaks and any(earlier not in self.blank for earlier in said))


@dataclass(frozen=True, slots=True)
class LlamaShape:
    """The sizes of a Llama model, as its ``config.json`` gives them."""

    layers: int
    width: int
    heads: int
    kv_heads: int
    head_width: int
    inner: int
    vocab: int
    eps: float
    theta: float
    context: int
    tied: bool

    @property
    def parameters(self) -> int:
        """How many numbers the weights hold, norms left out."""
        attention = 2 * self.width * self.head_width * (self.heads + self.kv_heads)
        layer = attention + 3 * self.width * self.inner
        return self.layers * layer + (1 if self.tied else 2) * self.vocab * self.width

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> LlamaShape:
        """Read a Hugging Face Llama config; ask :func:`unsupported` first whether this module can run it."""
        heads, width = int(config["num_attention_heads"]), int(config["hidden_size"])
        rope = config.get("rope_parameters") or config
        return cls(
            layers=int(config["num_hidden_layers"]),
            width=width,
            heads=heads,
            kv_heads=int(config.get("num_key_value_heads") or heads),
            head_width=int(config.get("head_dim") or width // heads),
            inner=int(config["intermediate_size"]),
            vocab=int(config["vocab_size"]),
            eps=float(config.get("rms_norm_eps", 1e-6)),
            theta=float(rope.get("rope_theta", 10_000.0)),
            context=int(config["max_position_embeddings"]),
            tied=bool(config.get("tie_word_embeddings", False)),
        )


def unsupported(config: Mapping[str, Any]) -> str | None:
    """Why this module cannot run the model of a Hugging Face config, or None where it can."""
    if config.get("architectures") != ["LlamaForCausalLM"]:
        return f"architectures {config.get('architectures')}"
    rope = config.get("rope_parameters") or config.get("rope_scaling") or {}
    wanted = {
        "hidden_act": (config.get("hidden_act", "silu"), "silu"),
        "attention_bias": (bool(config.get("attention_bias")), False),
        "mlp_bias": (bool(config.get("mlp_bias")), False),
        "rope_type": (rope.get("rope_type", "default"), "default"),
        "quantization_config": (config.get("quantization_config"), None),
    }
    different = [f"{name} {got!r}" for name, (got, supported) in wanted.items() if got != supported]
    return ", ".join(different) or None


@dataclass(frozen=True, slots=True)
class _Layer:
    qkv: Tensor  # [D, (H + 2J) E]
    out: Tensor  # [H E, D]
    gate_up: Tensor  # [D, 2 inner]
    down: Tensor  # [inner, D]


def _pair_up(weight: Tensor, head_width: int) -> Tensor:
    """Reorder the rows of a query or key projection so that dimensions e and e + E/2 of a head become neighbours."""
    heads = weight.view(-1, 2, head_width // 2, weight.shape[1])
    return heads.transpose(1, 2).reshape(weight.shape)


class LlamaWeights:
    """A Llama model's weights, fused for decoding; immutable, shared by all that decode with them.

    Args:
        shape: The model's sizes.
        state: Its Hugging Face state dict, on any device, in any floating dtype.
        device: Where to compute.
        dtype: The number format to compute in.

    Raises:
        KeyError: A tensor is missing from ``state``.
        ValueError: A tensor has another shape than the config says.
    """

    def __init__(
        self, shape: LlamaShape, state: Mapping[str, Tensor], *, device: torch.device, dtype: torch.dtype
    ) -> None:
        self.shape, self.device, self.dtype = shape, device, dtype
        self.rows = ROWS.get(device.type, ROWS["cuda"])
        self.read_rows = READ_ROWS.get(device.type, READ_ROWS["cuda"])
        heads, kv_heads, width, head_width = shape.heads, shape.kv_heads, shape.width, shape.head_width

        def take(name: str, *size: int) -> Tensor:
            tensor = state[name]
            if tuple(tensor.shape) != size:
                raise ValueError(f"{name} has shape {tuple(tensor.shape)}, the config says {size}")
            return tensor.float()

        def place(tensor: Tensor) -> Tensor:
            return tensor.to(device=device, dtype=dtype).contiguous()

        def factor(tensor: Tensor) -> Tensor:
            return place(tensor).t()  # rows are multiplied by it from the left

        self.layers: list[_Layer] = []
        for index in range(shape.layers):
            at = f"model.layers.{index}."
            norm = take(at + "input_layernorm.weight", width)
            query = take(at + "self_attn.q_proj.weight", heads * head_width, width) / math.sqrt(head_width)
            key = take(at + "self_attn.k_proj.weight", kv_heads * head_width, width)
            value = take(at + "self_attn.v_proj.weight", kv_heads * head_width, width)
            qkv = torch.cat([_pair_up(query, head_width), _pair_up(key, head_width), value])
            gate = take(at + "mlp.gate_proj.weight", shape.inner, width)
            up = take(at + "mlp.up_proj.weight", shape.inner, width)
            post = take(at + "post_attention_layernorm.weight", width)
            self.layers.append(
                _Layer(
                    qkv=factor(qkv * norm),
                    out=factor(take(at + "self_attn.o_proj.weight", width, heads * head_width)),
                    gate_up=factor(torch.cat([gate, up]) * post),
                    down=factor(take(at + "mlp.down_proj.weight", width, shape.inner)),
                )
            )
        embedding = take("model.embed_tokens.weight", shape.vocab, width)
        head = embedding if shape.tied else take("lm_head.weight", shape.vocab, width)
        self.embedding = place(embedding)
        self.head = factor(head * take("model.norm.weight", width))
        frequency = shape.theta ** (-torch.arange(0, head_width, 2, dtype=torch.float64) / head_width)
        angles = torch.outer(torch.arange(shape.context, dtype=torch.float64), frequency)
        rotations = torch.polar(torch.ones_like(angles), angles)
        self.rotations = rotations.to(device=device, dtype=torch.complex64)  # [T, E/2]

    def rotated(self, projected: Tensor, rotation: Tensor) -> Tensor:
        """Heads ``[N, P, E]`` of a projection ``[N, P E]``, queries and keys turned by ``rotation [N, 1, E/2]``.

        Attention is computed in float32: bfloat16 is slower there on processors, and no better.
        """
        heads = projected.float().view(len(projected), -1, self.shape.head_width // 2, 2)
        torch.view_as_complex(heads)[:, : -self.shape.kv_heads].mul_(rotation)
        return heads.view(len(projected), -1, self.shape.head_width)

    def norm(self, hidden: Tensor) -> Tensor:
        """Root-mean-square norm over the last axis; its weight is folded into the product that follows."""
        return torch.rms_norm(hidden, (self.shape.width,), None, self.shape.eps)

    def finish(self, layer: _Layer, hidden: Tensor, mixed: Tensor) -> Tensor:
        """The rest of a layer after attention: ``hidden [N, D]`` and ``mixed [N, H E]`` to the next hidden states."""
        hidden = torch.addmm(hidden, mixed.to(self.dtype), layer.out)
        gate, up = torch.mm(self.norm(hidden), layer.gate_up).chunk(2, dim=1)
        return torch.addmm(hidden, functional.silu(gate).mul_(up), layer.down)

    def logits(self, hidden: Tensor) -> Tensor:
        """Next-token logits, float32 ``[N, V]``, of last hidden states ``[N, D]``."""
        return torch.mm(self.norm(hidden), self.head).float()


def sample_tokens(logits: Tensor, uniforms: Tensor, temperature: float) -> Tensor:
    """Tokens ``[B]`` by inverse CDF: the first whose cumulative probability exceeds the row's uniform draw.

    Args:
        logits: float32 ``[B, V]``.
        uniforms: float64 ``[B]`` in [0, 1).
        temperature: 0 takes the likeliest token (the first of equals).
    """
    if temperature == 0:
        return logits.argmax(dim=-1)
    scaled = logits if temperature == 1 else logits / temperature
    mass = torch.softmax(scaled, dim=-1).cumsum(dim=-1, dtype=torch.float64)
    # The draw is scaled to the sum as computed. A draw is at most 1 - 2^-53, and such a share of any number rounds to
    # less than the number: so rounding cannot run past the last token that has any probability.
    return torch.searchsorted(mass, uniforms[:, None] * mass[:, -1:], right=True)[:, 0]


@dataclass(frozen=True, slots=True)
class _Views:
    """Three ways to look at the cache of a layer; S slots, of which some are filled."""

    keys: Tensor  # [B J, E, S]
    values: Tensor  # [B J, S, E]
    by_slot: Tensor  # [S, B, 2, J, E]

    @staticmethod
    def of(cache: Tensor) -> _Views:
        keys, values = cache.flatten(1, 2)
        return _Views(keys.transpose(1, 2), values, cache.permute(3, 1, 0, 2, 4))


class _Batch:
    """Rows that are decoded together: their caches, and where they stand.

    All rows fill the same slots: a prompt shorter than the longest is padded on its left, and the padding is hidden
    from attention by a bias. Positions count real tokens only.

    Args:
        weights: The model.
        count: How many rows.
        slots: How many slots each row has at first, the prefix not counted.
        prefix: A batch of one row that has read what all rows begin with; its keys and values are attended to in place.
    """

    def __init__(self, weights: LlamaWeights, count: int, slots: int, prefix: _Batch | None = None) -> None:
        self.weights, self.count, self.slots, self.filled = weights, count, slots, 0
        shared = [cache[:, 0] for cache in prefix.caches] if prefix else []
        self.prefix: list[Tensor | None] = [*shared] or [None] * weights.shape.layers
        start = prefix.filled if prefix else 0
        shape, device = weights.shape, weights.device
        self.caches: list[Tensor] = [
            torch.empty(2, count, shape.kv_heads, slots, shape.head_width, device=device) for _ in range(shape.layers)
        ]
        self.position = torch.full((count,), start, device=device)  # real tokens read so far
        self.bias: Tensor | None = None  # [B J, 1, S], -inf where padding stands; None where there is none
        self._look()

    def read(self, texts: Sequence[Sequence[int]], length: int, *, last: int = 1) -> Tensor:
        """Read the prompts into ``length`` slots; float32 logits ``[B, last, V]`` after each of the last tokens."""
        device, count = self.weights.device, self.count
        tokens = torch.tensor([[0] * (length - len(text)) + list(text) for text in texts], device=device)
        padding = torch.tensor([length - len(text) for text in texts], device=device)  # [B]
        if int(padding.max()):
            hidden = torch.arange(self.slots, device=device) < padding[:, None]
            bias = torch.zeros(count, self.slots, device=device).masked_fill_(hidden, -torch.inf)
            self.bias = bias.repeat_interleave(self.weights.shape.kv_heads, dim=0)[:, None]
        rows = min(count, self.weights.read_rows)
        parts = [slice(at, at + rows) for at in range(0, count, rows)]
        # Rows of like length stand together, so that all rows of a part may be shorter than the longest prompt.
        surplus = [int(padding[part].min()) if len(parts) > 1 else 0 for part in parts]
        logits = [
            self._read_rows(part, tokens[part, start:], padding[part] - start, start, last)
            for part, start in zip(parts, surplus, strict=True)
        ]
        self.position += length - padding
        self.filled = length
        return torch.cat(logits)

    def _read_rows(self, rows: slice, tokens: Tensor, padding: Tensor, start: int, last: int) -> Tensor:
        weights, shape = self.weights, self.weights.shape
        count, length = tokens.shape
        for cache in self.caches:  # hidden slots are multiplied too, by zero: they must hold numbers
            cache[:, rows, :, :start] = 0.0
        position = self.position[rows, None] + torch.arange(length, device=tokens.device) - padding[:, None]  # [B, n]
        rotation = weights.rotations[position.clamp_(0, shape.context - 1)].flatten(0, 1)[:, None]  # [B n, 1, E/2]
        bias = self._prompt_bias(padding, start, length)
        hidden = functional.embedding(tokens, weights.embedding)  # [B, n, D]
        for index, (layer, cache, prefix) in enumerate(zip(weights.layers, self.caches, self.prefix, strict=True)):
            heads = weights.rotated(torch.mm(weights.norm(hidden.flatten(0, 1)), layer.qkv), rotation)
            heads = heads.view(count, length, -1, shape.head_width)
            stored = heads[:, :, shape.heads :].view(count, length, 2, shape.kv_heads, -1)
            cache[:, rows, :, start : start + length] = stored.permute(2, 0, 3, 1, 4)
            query = heads[:, :, : shape.heads]
            if index == shape.layers - 1:  # what the last layer says is asked of the last tokens only
                query, hidden, bias = query[:, -last:], hidden[:, -last:], bias[:, :, -last:]
            keys, values = cache[:, rows, :, : start + length].flatten(1, 2)
            mixed = _attend(_grouped(query, shape.kv_heads), keys.transpose(1, 2), values, _spread(bias, shape), prefix)
            mixed = mixed.view(count, shape.heads, -1, shape.head_width).transpose(1, 2)
            hidden = weights.finish(layer, hidden.flatten(0, 1), mixed.flatten(2).flatten(0, 1)).view_as(hidden)
        return weights.logits(hidden.flatten(0, 1)).view(count, -1, shape.vocab)

    def _prompt_bias(self, padding: Tensor, start: int, length: int) -> Tensor:
        """Causal, blind to padding; padding sees itself, so that no row of the softmax is empty: ``[B, 1, n, T]``."""
        slot = torch.arange(start + length, device=padding.device)
        asking = slot[start:, None]  # [n, 1]
        unseen = (slot > asking) | ((slot < start + padding[:, None, None]) & (slot != asking))  # [B, n, T]
        bias = torch.zeros(unseen.shape, device=padding.device).masked_fill_(unseen, -torch.inf)
        return bias[:, None]

    def step(self, token: Tensor) -> Tensor:
        """Read one more token a row ``[B]``; float32 logits ``[B, V]`` of the next."""
        weights, shape, slot = self.weights, self.weights.shape, self.filled
        if slot == self.slots:
            self._grow()
        # A row may run past the context before its surplus is cut: the caller says how much of it counts.
        rotation = weights.rotations[self.position.clamp(max=shape.context - 1)][:, None]  # [B, 1, E/2]
        bias = None if self.bias is None else self.bias[:, :, : slot + 1]
        hidden = functional.embedding(token, weights.embedding)
        for layer, look, prefix in zip(weights.layers, self.views, self.prefix, strict=True):
            heads = weights.rotated(torch.mm(weights.norm(hidden), layer.qkv), rotation)
            look.by_slot[slot].copy_(heads[:, shape.heads :].view(self.count, 2, shape.kv_heads, -1))
            query = heads[:, : shape.heads].reshape(self.count * shape.kv_heads, -1, shape.head_width)  # [B J, G, E]
            mixed = _attend(query, look.keys[:, :, : slot + 1], look.values[:, : slot + 1], bias, prefix)
            hidden = weights.finish(layer, hidden, mixed.view(self.count, -1))
        self.filled += 1
        self.position += 1
        return weights.logits(hidden)

    def move(self, place: list[int], last: list[int], remaining: int) -> None:
        """Move the rows ``last`` into the places ``place`` of rows that are done; keep the first ``remaining`` rows."""
        bias = None if self.bias is None else self.bias.view(self.count, -1, self.slots)
        if place:
            for cache in self.caches:
                cache[:, place, :, : self.filled] = cache[:, last, :, : self.filled]
            self.position[place] = self.position[last]
            if bias is not None:
                bias[place] = bias[last]
        self.count = remaining
        self.caches = [cache[:, :remaining] for cache in self.caches]
        self.position = self.position[:remaining]
        self.bias = None if bias is None else bias[:remaining].view(-1, 1, self.slots)
        self._look()

    def _grow(self) -> None:
        """More slots, in new memory."""
        more = (0, 0, 0, GROWTH)
        self.caches = [functional.pad(cache, more) for cache in self.caches]
        self.bias = None if self.bias is None else functional.pad(self.bias, (0, GROWTH))
        self.slots += GROWTH
        self._look()

    def _look(self) -> None:
        self.views = [_Views.of(cache) for cache in self.caches]


def _grouped(query: Tensor, kv_heads: int) -> Tensor:
    """Queries ``[B, n, H, E]`` by key-value head: ``[B J, G n, E]``."""
    return query.transpose(1, 2).reshape(len(query) * kv_heads, -1, query.shape[3])


def _spread(bias: Tensor, shape: LlamaShape) -> Tensor:
    """A bias ``[B, 1, n, T]`` for every head: ``[B J, G n, T]``."""
    return bias.expand(-1, shape.heads, -1, -1).reshape(len(bias) * shape.kv_heads, -1, bias.shape[3])


def _attend(query: Tensor, keys: Tensor, values: Tensor, bias: Tensor | None, prefix: Tensor | None) -> Tensor:
    """Softmax attention in plain products: on small heads and few queries they beat the fused kernels on a processor.

    Args:
        query: ``[B J, M, E]``, scaled; M queries share a key-value head.
        keys: Each row's own ``[B J, E, T]``.
        values: Each row's own ``[B J, T, E]``.
        bias: Added to the scores of these, ``[B J, M or 1, T]`` or None.
        prefix: Keys and values that all rows begin with ``[2, J, P, E]`` or None.

    Returns:
        ``[B J, M, E]``.
    """
    scores = torch.bmm(query, keys) if bias is None else torch.baddbmm(bias, query, keys)
    if prefix is None:
        return torch.bmm(torch.softmax(scores, dim=-1), values)
    # One product for all rows: the prefix is read from memory once, not once a row.
    _, kv_heads, length, width = prefix.shape
    asked = query.shape[1]
    across = query.view(-1, kv_heads, asked, width).transpose(0, 1).reshape(kv_heads, -1, width)  # [J, B M, E]
    common = torch.bmm(across, prefix[0].transpose(1, 2)).view(kv_heads, -1, asked, length).transpose(0, 1)
    both = torch.softmax(torch.cat([common, scores.view(-1, kv_heads, asked, scores.shape[2])], dim=-1), dim=-1)
    common, own = both[..., :length], both[..., length:].flatten(0, 1)
    shared = torch.bmm(common.transpose(0, 1).reshape(kv_heads, -1, length), prefix[1])  # [J, B M, E]
    shared = shared.view(kv_heads, -1, asked, width).transpose(0, 1).reshape(-1, asked, width)
    return torch.baddbmm(shared, own, values)


class LlamaDecoder:
    """Generates with, and scores by, :class:`LlamaWeights`.

    Args:
        weights: The model.
        ending: What ends a text.
        fixed_tiles: Compute in fixed tiles (see :func:`plan_batches`).
    """

    def __init__(self, weights: LlamaWeights, ending: Ending, *, fixed_tiles: bool = False) -> None:
        self.weights, self.ending, self.fixed_tiles = weights, ending, fixed_tiles

    @torch.inference_mode()
    def generate(
        self,
        prompts: Sequence[Sequence[int]],
        uniforms: np.ndarray,
        *,
        temperature: float,
        shareable: Sequence[int] | None = None,
    ) -> list[Generated]:
        """Continue each prompt until its text ends or its draws are used up.

        Args:
            prompts: Token ids, each non-empty and within the context; tokens past the context are the caller's to cut.
            uniforms: float64 ``[B, max_new_tokens]``: row i's draws.
            temperature: 0 takes the likeliest token.
            shareable: How many of each prompt's first tokens (fewer than all) other prompts may begin with too. Where
                all prompts do, or :data:`SHARING_ROWS` or more, these tokens are read once for all of them.
        """
        results: dict[int, Generated] = {}
        for group, begun in self._sharing(prompts, shareable):
            prefix = self._read_prefix(prompts[group[0]][:begun])
            rests = [prompts[row][begun:] for row in group]
            for places, length in plan_batches(rests, self.weights.rows, fixed_tiles=self.fixed_tiles):
                rows = [group[place] for place in places]
                asked = [rests[place] for place in places]
                said = self._decode(asked, length, uniforms[rows], temperature, prefix)
                results.update(zip(rows, said, strict=True))
        return [results[row] for row in range(len(prompts))]

    def _sharing(
        self, prompts: Sequence[Sequence[int]], shareable: Sequence[int] | None
    ) -> list[tuple[list[int], int]]:
        """Rows grouped by a common beginning and its length; those whose beginning is too rare to pay share nothing."""
        if self.fixed_tiles or shareable is None:  # in tiles, a row must not be computed otherwise for its company
            return [(list(range(len(prompts))), 0)]
        groups: dict[tuple[int, ...], list[int]] = {}
        for row, (prompt, count) in enumerate(zip(prompts, shareable, strict=True)):
            groups.setdefault(tuple(prompt[:count]), []).append(row)
        enough = 2 if len(groups) == 1 else SHARING_ROWS
        found = [(rows, len(start)) for start, rows in groups.items() if start and len(rows) >= enough]
        taken = {row for rows, _ in found for row in rows}
        alone = [row for row in range(len(prompts)) if row not in taken]
        return [*found, (alone, 0)] if alone else found

    def _read_prefix(self, tokens: Sequence[int]) -> _Batch | None:
        if not tokens:
            return None
        batch = _Batch(self.weights, 1, len(tokens))
        batch.read([tokens], len(tokens))
        return batch

    def _decode(
        self,
        prompts: Sequence[Sequence[int]],
        length: int,
        uniforms: np.ndarray,
        temperature: float,
        prefix: _Batch | None,
    ) -> list[Generated]:
        limit = uniforms.shape[1]
        batch = _Batch(self.weights, len(prompts), length + GROWTH, prefix)
        draws = torch.from_numpy(uniforms).to(self.weights.device)
        transcript = Transcript(len(prompts), self.ending)
        logits = batch.read(prompts, length)[:, 0]
        for index in range(limit):
            token = sample_tokens(logits, draws[:, index], temperature)
            done = transcript.add(token.tolist())
            if index == limit - 1 or transcript.finished:
                break
            if done and not self.fixed_tiles:
                place, last, remaining = _closing_moves(done, len(token))
                transcript.move(place, last, remaining)
                batch.move(place, last, remaining)
                token[place], draws[place] = token[last], draws[last]
                token, draws = token[:remaining], draws[:remaining]
            logits = batch.step(token)
        return transcript.results()

    @torch.inference_mode()
    def log_probabilities(self, prompt: Sequence[int], continuations: Sequence[Sequence[int]]) -> np.ndarray:
        """Log-probability (nats, float64 ``[C]``) of each continuation's tokens after the prompt."""
        scores = np.empty(len(continuations))
        begun = len(prompt) - 1 if len(continuations) > 1 and not self.fixed_tiles else 0
        prefix = self._read_prefix(prompt[:begun])
        texts = [[*prompt[begun:], *continuation] for continuation in continuations]
        for rows, length in plan_batches(texts, self.weights.rows, fixed_tiles=self.fixed_tiles):
            last = length - 1 if self.fixed_tiles else max(len(continuations[row]) for row in rows)
            batch = _Batch(self.weights, len(rows), length, prefix)
            # The last token is read by nobody, but keeping it makes slots and targets line up.
            logits = batch.read([texts[row] for row in rows], length, last=last + 1)
            logs = torch.log_softmax(logits[:, :-1].double(), dim=-1)
            for place, row in enumerate(rows):
                target = torch.tensor(continuations[row], device=logs.device)
                scores[row] = float(logs[place, last - len(target) :].gather(1, target[:, None]).sum())
        return scores


class Transcript:
    """What the rows of a batch have said, while rows move and end."""

    def __init__(self, count: int, ending: Ending) -> None:
        self._ending = ending
        self._rows = list(range(count))  # the row that stands in each place of the batch
        self._said: list[list[int]] = [[] for _ in range(count)]
        self._stopped = [False] * count

    @property
    def finished(self) -> bool:
        """Whether every row has ended."""
        return all(self._stopped)

    def add(self, tokens: Sequence[int]) -> list[int]:
        """Take one token a place; the places whose row ended with it."""
        done = []
        for place, token in enumerate(tokens):
            row = self._rows[place]
            if self._stopped[row]:
                continue
            if self._ending.ends(self._said[row], token):
                self._stopped[row] = True
                done.append(place)
            if token not in self._ending.stop:
                self._said[row].append(token)
        return done

    def move(self, place: Sequence[int], last: Sequence[int], remaining: int) -> None:
        """Follow the batch's rows as they move."""
        for to, source in zip(place, last, strict=True):
            self._rows[to] = self._rows[source]
        del self._rows[remaining:]

    def results(self) -> list[Generated]:
        """The rows in their first order."""
        return [Generated(tokens, stopped=stopped) for tokens, stopped in zip(self._said, self._stopped, strict=True)]


def plan_batches(
    prompts: Sequence[Sequence[int]], most: int = ROWS["cpu"], *, fixed_tiles: bool
) -> list[tuple[list[int], int]]:
    """Which rows are decoded together, and to how many slots their prompts are padded.

    Rows of like length go together, at most ``most`` of them. A *fixed tile* always has :data:`TILE` rows, all of
    them padded to one multiple of :data:`PAD_MULTIPLE` that depends on the row alone; free places repeat a row. So the
    same operations on the same shapes run for a row whatever else is in the call.
    """
    by_length = sorted(range(len(prompts)), key=lambda row: -len(prompts[row]))
    if not fixed_tiles:
        chunks = [by_length[at : at + most] for at in range(0, len(by_length), most)]
        return [(chunk, len(prompts[chunk[0]])) for chunk in chunks]
    tiles = []
    for length in sorted({_padded(len(prompt)) for prompt in prompts}):
        rows = [row for row in by_length if _padded(len(prompts[row])) == length]
        rows += [rows[-1]] * (-len(rows) % TILE)
        tiles += [(rows[at : at + TILE], length) for at in range(0, len(rows), TILE)]
    return tiles


def _padded(length: int) -> int:
    # At least one slot of padding: some attention kernels take another path when nothing is masked.
    return (length // PAD_MULTIPLE + 1) * PAD_MULTIPLE


def _closing_moves(done: Sequence[int], count: int) -> tuple[list[int], list[int], int]:
    """Which places to refill, from which places at the end, and how many rows remain."""
    remaining = count - len(done)
    gone = set(done)
    place = [at for at in done if at < remaining]
    last = [at for at in range(remaining, count) if at not in gone]
    return place, last, remaining
