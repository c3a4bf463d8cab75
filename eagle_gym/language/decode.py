"""A lean batched decode loop for small Llama models.

On a small model, `model.generate` spends most of its time outside the matrix products: it rebuilds masks, concatenates
caches, runs dozens of small operations per token, and goes on computing rows that are finished. This module reads the
Hugging Face weights into fused projections (q, k and v in one product; the norms' weights folded into the next product;
activations, gates and residuals applied by the previous one) and packs them once for the processor's kernels. All
batches use the same memory for keys and values, and a finished row gives its place to an unfinished one.

A rewrite repeats most of its source. So each row *drafts* the next few tokens from its source (see `drafts`), and one
pass reads them all. Each token is then drawn from its own distribution with its own uniform number, as if the tokens
before it had been drawn one by one; the pass counts up to the first token that differs from its draft. This is
speculative decoding with prompt lookup, with inverse-CDF draws instead of rejection: the text is the one that plain
decoding draws, except for the rounding of logits.

Rotary embedding is a product of complex numbers. For this, a head's dimensions are reordered so that each pair that
rotates together is adjacent. Queries and keys are reordered alike, so attention scores do not change.

Shapes: B rows, L prompt slots, T cache slots, D width, H query heads, J key-value heads, G = H / J, E head width, V
vocabulary.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from eagle_gym.errors import LanguageModelError
from eagle_gym.language.drafts import Draft, NGrams

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

# Rows decoded together, and rows whose prompts are read together; more would not fit a processor's caches.
ROWS = {"cpu": 64, "cuda": 1024}
READ_ROWS = {"cpu": 16, "cuda": 256}
SHARING_ROWS = 24  # minimum group size for which sharing a prefix pays off
PACKED_ROWS = 4  # minimum number of rows for which packed matrices are faster
ALIKE = 16  # passes are padded to a multiple of so many tokens: oneDNN builds a kernel for each number of rows
GROWTH = 96  # slots of a new cache in addition to its prompts, and slots by which it grows
LENT = range(2**20, 2**26 + 1)  # sizes, in numbers, of memory kept for the next batch's caches: up to 256 MiB
LENT_STEP = 2**22  # that memory is rounded up to a multiple of so many numbers, since texts grow
DRAFTED = 4  # longest draft of a row in a full batch, in tokens
DRAFTED_TOGETHER = 128  # drafts may be longer as long as they have no more tokens in total
BLOCK = 64  # if many rows are drawn, probabilities are summed in blocks of so many tokens first
BLOCKED_ROWS = 32  # minimum number of rows for which blocks are faster
TILE = 8  # rows of a fixed tile
PAD_MULTIPLE = 16  # slots to which a fixed tile's prompts are padded


@dataclass(frozen=True, slots=True)
class Generated:
    """Tokens of one row without the stop token, whether the text ended by itself, and the stop token that was drawn."""

    tokens: list[int]
    stopped: bool
    end: int | None = None


@dataclass(frozen=True, slots=True)
class Ending:
    """Which tokens end a text.

    Attributes:
        stop: Tokens that end a text and are not part of it.
        breaks: Tokens that end a text that has content, and are part of it: line breaks, for models that never stop.
        blank: Tokens that do not count as content.
    """

    stop: frozenset[int]
    breaks: frozenset[int] = frozenset()
    blank: frozenset[int] = frozenset()

    def ends(self, said: Sequence[int], token: int) -> bool:
        """Whether `token` ends the text whose tokens so far are `said`."""
        return token in self.stop or (token in self.breaks and any(earlier not in self.blank for earlier in said))


@dataclass(frozen=True, slots=True)
class LlamaShape:
    """The sizes of a Llama model, as its `config.json` gives them."""

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
        """Read a Hugging Face Llama config; ask `unsupported` first whether this module can run it."""
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
        "rope_type": (rope.get("rope_type", rope.get("type", "default")), "default"),
        "quantization_config": (config.get("quantization_config"), None),
    }
    different = [f"{name} {got!r}" for name, (got, supported) in wanted.items() if got != supported]
    return ", ".join(different) or None


class _Product:
    """Multiplies rows by a matrix.

    On a processor the matrix also stands in memory as oneDNN's kernels read it: rearranged once, not at every call.
    PyTorch's compiler prepares matrices in the same way. A few rows are multiplied as fast without.

    Args:
        weight: `[out, in]`, on its device, in its dtype.
    """

    def __init__(self, weight: Tensor) -> None:
        self._plain = weight.t()
        self._packed: Tensor | None = torch.ops.mkldnn._reorder_linear_weight(weight) if _packs(weight) else None

    def _as_it_is(self, rows: Tensor) -> bool:
        return self._packed is None or rows.shape[0] < PACKED_ROWS

    def __call__(self, rows: Tensor) -> Tensor:
        """`[N, in]` to `[N, out]`."""
        if self._as_it_is(rows):
            return torch.mm(rows, self._plain)
        product: Tensor = torch.ops.mkldnn._linear_pointwise(rows, self._packed, None, "none", [], "")
        return product

    def activated(self, rows: Tensor) -> Tensor:
        """The product, SiLU applied."""
        if self._as_it_is(rows):
            return functional.silu(torch.mm(rows, self._plain))
        product: Tensor = torch.ops.mkldnn._linear_pointwise(rows, self._packed, None, "swish", [], "")
        return product

    def multiplied(self, rows: Tensor, by: Tensor) -> Tensor:
        """The product, multiplied by `by [N, out]` element by element."""
        if self._as_it_is(rows):
            return torch.mm(rows, self._plain).mul_(by)
        product: Tensor = torch.ops.mkldnn._linear_pointwise.binary(rows, by, self._packed, None, "mul")
        return product

    def added(self, rows: Tensor, base: Tensor) -> Tensor:
        """The product, and `base [N, out]` added."""
        if self._as_it_is(rows):
            return torch.addmm(base, rows, self._plain)
        total: Tensor = torch.ops.mkldnn._linear_pointwise.binary(rows, base, self._packed, None, "add")
        return total


def _packs(weight: Tensor) -> bool:
    """Whether this PyTorch and this processor have oneDNN's kernels for a matrix."""
    if weight.device.type != "cpu" or not hasattr(torch.ops.mkldnn, "_reorder_linear_weight"):
        return False
    if weight.dtype == torch.bfloat16:
        return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    return weight.dtype == torch.float32


@dataclass(frozen=True, slots=True)
class _Layer:
    qkv: _Product  # D to (H + 2J) E
    out: _Product  # H E to D
    gate: _Product  # D to inner
    up: _Product  # D to inner
    down: _Product  # inner to D


def _pair_up(weight: Tensor, head_width: int) -> Tensor:
    """Reorder the rows of a query or key projection so that dimensions e and e + E/2 of a head become neighbours."""
    heads = weight.view(-1, 2, head_width // 2, weight.shape[1])
    return heads.transpose(1, 2).reshape(weight.shape)


class LlamaWeights:
    """A Llama model's weights, fused for decoding; shared by all that decode with them, as is memory for their caches.

    Args:
        shape: The model's sizes.
        state: Its Hugging Face state dict, on any device, in any floating dtype.
        device: Where to compute.
        dtype: The number format to compute in.

    Raises:
        KeyError: A tensor is missing from `state`.
        ValueError: A tensor has another shape than the config says.
    """

    def __init__(
        self, shape: LlamaShape, state: Mapping[str, Tensor], *, device: torch.device, dtype: torch.dtype
    ) -> None:
        self.shape, self.device, self.dtype = shape, device, dtype
        self._spare: list[Tensor] = []
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

        def factor(tensor: Tensor) -> _Product:
            return _Product(place(tensor))

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
                    gate=factor(gate * post),
                    up=factor(up * post),
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

    def lend(self, numbers: int) -> Tensor:
        """Memory for caches, float32 `[numbers or more]`, every number finite.

        On a processor large pieces are used again once they are given back: fresh memory costs a tenth of a batch's
        time. There are never more of them than were lent at one time. Any thread may ask.
        """
        if self._keeps(numbers):
            with suppress(IndexError):
                spare = self._spare.pop()
                if spare.numel() >= numbers:
                    return spare
            numbers += -numbers % LENT_STEP
        return torch.zeros(numbers, device=self.device)

    def take_back(self, memory: Tensor) -> None:
        """What was lent is free again."""
        if self._keeps(memory.numel()):
            self._spare.append(memory)

    def _keeps(self, numbers: int) -> bool:
        return self.device.type == "cpu" and numbers in LENT

    def rotated(self, projected: Tensor, rotation: Tensor) -> Tensor:
        """Heads `[N, P, E]` of a projection `[N, P E]`, queries and keys turned by `rotation [N, 1, E/2]`.

        Attention is computed in float32: bfloat16 is slower there on processors, and no better.
        """
        count = projected.shape[0]
        heads = projected.float().view(count, -1, self.shape.head_width // 2, 2)
        torch.view_as_complex(heads)[:, : -self.shape.kv_heads].mul_(rotation)
        return heads.view(count, -1, self.shape.head_width)

    def norm(self, hidden: Tensor) -> Tensor:
        """Root-mean-square norm over the last axis; its weight is folded into the product that follows."""
        return torch.rms_norm(hidden, (self.shape.width,), None, self.shape.eps)

    def finish(self, layer: _Layer, hidden: Tensor, mixed: Tensor) -> Tensor:
        """The rest of a layer after attention: `hidden [N, D]` and `mixed [N, H E]` to the next hidden states."""
        hidden = layer.out.added(mixed.to(self.dtype), hidden)
        normed = self.norm(hidden)
        return layer.down.added(layer.up.multiplied(normed, layer.gate.activated(normed)), hidden)

    def logits(self, hidden: Tensor) -> Tensor:
        """Next-token logits, float32 `[N, V]`, of last hidden states `[N, D]`."""
        return self.head(self.norm(hidden)).float()


def sample_tokens(logits: Tensor, uniforms: Tensor, temperature: float) -> Tensor:
    """Tokens `[B]` by inverse CDF: the first whose cumulative probability exceeds the row's uniform draw.

    Args:
        logits: Float32 `[B, V]`.
        uniforms: Float64 `[B]` in [0, 1).
        temperature: 0 takes the likeliest token (the first of equals).

    Raises:
        LanguageModelError: Logits are no numbers.
    """
    if temperature == 0:
        most, token = logits.max(dim=-1)
        check_finite(most)
        return token
    mass = torch.softmax(logits if temperature == 1 else logits / temperature, dim=-1)
    if len(mass) < BLOCKED_ROWS or mass.shape[-1] % BLOCK:
        return _place(*_scaled(mass, uniforms))[:, 0]
    # The sums of blocks tell in which one a draw falls: only that one is gone through token by token.
    blocks = mass.view(len(mass), -1, BLOCK)
    sums = blocks.sum(dim=-1, dtype=torch.float64)
    total, wanted = _scaled(sums, uniforms)
    block = _place(total, wanted)
    within = (1 - (total.gather(1, block) - wanted) / sums.gather(1, block)).clamp_(0, 1 - 2**-53)
    tokens = blocks[torch.arange(len(mass), device=mass.device), block[:, 0]]
    return (block * BLOCK + _place(*_scaled(tokens, within[:, 0])))[:, 0]


def _scaled(mass: Tensor, uniforms: Tensor) -> tuple[Tensor, Tensor]:
    """Cumulative mass, float64 `[B, n]`, and the draws scaled to it, `[B, 1]`."""
    total = mass.cumsum(dim=-1, dtype=torch.float64)
    check_finite(total[:, -1])
    return total, uniforms[:, None] * total[:, -1:]


def _place(total: Tensor, wanted: Tensor) -> Tensor:
    """The first place `[B, 1]` whose cumulative mass exceeds what is wanted."""
    # Draws are scaled to the sum as computed. A draw is at most 1 - 2^-53, and such a share of any number rounds to
    # less than the number: so rounding cannot run past the last place that has any mass.
    return torch.searchsorted(total, wanted, right=True)


def check_finite(numbers: Tensor) -> None:
    """Raise an error if a number computed from logits is not finite.

    Raises:
        LanguageModelError: One is NaN or infinite.
    """
    if not bool(numbers.isfinite().all()):
        raise LanguageModelError(
            f"the model's logits are NaN or infinite for {int((~numbers.isfinite()).sum())} of {len(numbers)} tokens "
            "to be drawn or scored: its weights are damaged, or too large for their dtype; try dtype float32"
        )


@dataclass(frozen=True, slots=True)
class _Asked:
    """The tokens of B rows whose attention is computed: M of each row; a row with fewer repeats its last ones."""

    rows: int
    place: Tensor | None  # [B M], each one's place among the tokens that are read; None where they are all, in turn
    back: Tensor | None  # [N], the place of each token that is read among the B M; None where they are the same
    bias: Tensor | None  # [B, 1, M, T], -inf where a token may not look; None where it may look everywhere

    def gather(self, query: Tensor, kv_heads: int) -> Tensor:
        """Queries `[N, H, E]` by key-value head: `[B J, G M, E]`."""
        query = query if self.place is None else query.index_select(0, self.place)
        by_row = query.reshape(self.rows, -1, *query.shape[1:])
        return by_row.transpose(1, 2).reshape(self.rows * kv_heads, -1, query.shape[2])

    def scatter(self, mixed: Tensor, heads: int) -> Tensor:
        """What attention says `[B J, G M, E]` by token: `[N, H E]`."""
        mixed = mixed.view(self.rows, heads, -1, mixed.shape[2]).transpose(1, 2).flatten(2).flatten(0, 1)
        return mixed if self.back is None else mixed.index_select(0, self.back)


@dataclass(frozen=True, slots=True)
class _ReadingPlan:
    """How N tokens are read: which ones, where their keys and values are stored, and whose attention is computed."""

    tokens: Tensor  # [N]
    rotation: Tensor  # [N, 1, E/2]
    stored: Tensor  # [N 2 J], rows of a cache seen as [2 B J S, E]
    seen: int  # T, slots that are looked at
    asked: _Asked  # in all layers but the last
    answered: _Asked  # in the last one: the tokens whose logits are wanted


class _Batch:
    """Rows that are decoded together, with their caches.

    A row fills its slots from the first on, each with one token. Later slots are hidden from its attention by a bias,
    and overwritten as the row goes on; so a row can take tokens back.

    Args:
        weights: The model.
        count: Number of rows.
        slots: Number of slots that each row has at first.
        prefix: A batch of one row that has read the common beginning of all rows.
        padded: For a fixed tile: the number of tokens to which prompts are padded on their right. A row attends to that
            many slots, and to one more for every token since, whatever is read.
    """

    def __init__(
        self,
        weights: LlamaWeights,
        count: int,
        slots: int,
        prefix: _Batch | None = None,
        padded: int | None = None,
    ) -> None:
        self.weights, self.count, self.slots, self.padded = weights, count, slots, padded
        self.filled: Ints = np.zeros(count, np.int64)  # slots of each row
        self.looked = padded or 0  # slots that a row looks at, if it has not filled more
        self.memory, self.caches = self._lay_out()
        if prefix is not None:
            self.filled[:] = begun = int(prefix.filled[0])
            for cache, read in zip(self.caches, prefix.caches, strict=True):
                cache[:, :, :, :begun] = read[:, :, :, :begun]

    def _lay_out(self) -> tuple[Tensor, list[Tensor]]:
        """Memory, and a cache `[2, B, J, S, E]` a layer in it."""
        shape = self.weights.shape
        # Hidden slots are multiplied too, by zero: they must hold numbers.
        size = (shape.layers, 2, self.count, shape.kv_heads, self.slots, shape.head_width)
        numbers = math.prod(size)
        memory = self.weights.lend(numbers)
        return memory, list(memory[:numbers].view(size))

    def close(self) -> None:
        """Return the memory; the batch must not be used afterwards."""
        self.weights.take_back(self.memory)

    def read_prompts(self, texts: Sequence[Sequence[int]], *, last: int = 1) -> Tensor:
        """Read the prompts; float32 logits `[B, last, V]` after each one's last tokens, the first one repeated."""
        lengths = np.array([len(text) for text in texts])
        padded = texts if self.padded is None else [[*text, *[0] * (self.padded - len(text))] for text in texts]
        answered = np.maximum(lengths[:, None] + np.arange(-last, 0), 0)
        rows = min(self.count, self.weights.read_rows)
        # Rows of like length stand together, and a part's intermediate results stay in the processor's cache.
        parts = [slice(at, at + rows) for at in range(0, self.count, rows)]
        filled = self.filled + lengths
        logits = [self._run(padded[part], part, answered[part]) for part in parts]
        self.filled[:] = filled  # padding is as good as never read
        return torch.cat(logits).view(self.count, last, -1)

    def read(self, texts: Sequence[Sequence[int]]) -> Tensor:
        """Read one or more further tokens of each row; float32 logits `[N, V]` after each token, row by row."""
        self.looked += self.padded is not None
        return self._run(texts, slice(0, self.count), None)[: sum(map(len, texts))]

    def forget(self, counts: Sequence[int]) -> None:
        """Remove the last tokens of each row."""
        self.filled -= counts

    def _run(self, texts: Sequence[Sequence[int]], rows: slice, answered: Ints | None) -> Tensor:
        weights, shape = self.weights, self.weights.shape
        plan = self._plan(texts, rows, answered)
        hidden = functional.embedding(plan.tokens, weights.embedding)  # [N, D]
        asked = plan.asked
        for index, (layer, cache) in enumerate(zip(weights.layers, self.caches, strict=True)):
            heads = weights.rotated(layer.qkv(weights.norm(hidden)), plan.rotation)
            cache.view(-1, shape.head_width).index_copy_(0, plan.stored, heads[:, shape.heads :].flatten(0, 1))
            if index == shape.layers - 1:
                asked = plan.answered
                hidden = hidden if asked.place is None or asked.back is not None else hidden[asked.place]
            keys, values = cache[:, rows.start : rows.start + asked.rows, :, : plan.seen].flatten(1, 2)
            query = asked.gather(heads[:, : shape.heads], shape.kv_heads)
            mixed = _attend(query, keys.transpose(1, 2), values, asked.bias)
            hidden = weights.finish(layer, hidden, asked.scatter(mixed, shape.heads))
        return weights.logits(hidden)

    def _plan(self, texts: Sequence[Sequence[int]], rows: slice, answered: Ints | None) -> _ReadingPlan:
        """Plan the reading of tokens, which count as read from here on."""
        weights, shape = self.weights, self.weights.shape
        counts = np.array([len(text) for text in texts])
        starts = np.cumsum(counts) - counts
        token = _filled_up(int(counts.sum()))  # [N]
        row = np.repeat(np.arange(len(texts)), counts)[token]
        slot = (self.filled[rows] - starts)[row] + token
        self.filled[rows] += counts
        seen = max(self.looked, int(self.filled[rows].max()))
        if seen > self.slots:
            self._grow(seen)
        kv_heads = shape.kv_heads
        caches = np.arange(2)[:, None] * (self.caches[0].shape[1] * kv_heads) + np.arange(kv_heads)  # [2, J]
        stored = (caches + (row[:, None, None] + rows.start) * kv_heads) * self.slots + slot[:, None, None]
        # A row may run past the context before its surplus is cut: the caller says how much of it counts.
        position = np.minimum(slot, shape.context - 1)
        place = starts[:, None] + np.minimum(np.arange(counts.max()), counts[:, None] - 1)  # [B, M]
        whole = counts.sum() == place.size == len(token)
        back = None if whole else row * place.shape[1] + token - starts[row]
        asked = self._asked(place, back, slot, seen, whole=whole)
        return _ReadingPlan(
            tokens=self._place(np.fromiter(chain.from_iterable(texts), np.int64)[token]),
            rotation=weights.rotations[self._place(position)][:, None],
            stored=self._place(stored.reshape(-1)),
            seen=seen,
            asked=asked,
            answered=asked if answered is None else self._asked(starts[:, None] + answered, None, slot, seen),
        )

    def _asked(self, place: Ints, back: Ints | None, slot: Ints, seen: int, *, whole: bool = False) -> _Asked:
        """The attention of the tokens at `place [B, M]`, each of which sees the slots up to its own."""
        own = slot[place]
        bias = None
        if int(own.min()) < seen - 1:
            later = torch.arange(seen, device=self.weights.device) > self._place(own)[:, None, :, None]
            bias = torch.zeros(later.shape, device=later.device).masked_fill_(later, -torch.inf)
        flat = None if whole else self._place(place.reshape(-1))
        return _Asked(len(place), flat, None if back is None else self._place(back), bias)

    def _place(self, numbers: Ints) -> Tensor:
        return torch.from_numpy(numbers).to(self.weights.device)

    def move(self, place: list[int], last: list[int], remaining: int) -> None:
        """Move the rows `last` to the places `place` of finished rows; keep the first `remaining` rows."""
        if place:
            filled = int(self.filled[last].max())
            for cache in self.caches:
                for to, source in zip(place, last, strict=True):
                    cache[:, to, :, :filled] = cache[:, source, :, :filled]
            self.filled[place] = self.filled[last]
        self.count, self.filled = remaining, self.filled[:remaining]

    def _grow(self, least: int) -> None:
        """Move the remaining rows to larger memory."""
        old, memory, slots = self.caches, self.memory, self.slots
        self.slots = max(self.slots + GROWTH, least)
        self.memory, self.caches = self._lay_out()
        for cache, before in zip(self.caches, old, strict=True):
            cache[:, :, :, :slots] = before[:, : self.count]
        self.weights.take_back(memory)


def _filled_up(count: int) -> Ints:
    """The numbers of `count` tokens; if they are more than `ALIKE`, the last is repeated to fill up a multiple of it.

    A token that is read twice is stored twice in the same place, with the same numbers.
    """
    full = count + (-count % ALIKE if count > ALIKE else 0)
    numbers: Ints = np.minimum(np.arange(full), count - 1)
    return numbers


def _attend(query: Tensor, keys: Tensor, values: Tensor, bias: Tensor | None) -> Tensor:
    """Softmax attention in plain products, faster than fused kernels for small heads and few queries.

    Args:
        query: `[B J, M, E]`, scaled; M queries share a key-value head.
        keys: Each row's own `[B J, E, T]`.
        values: Each row's own `[B J, T, E]`.
        bias: Added to the scores of these, `[B, 1, M / G, T]` or None.

    Returns:
        `[B J, M, E]`.
    """
    scores = torch.bmm(query, keys)
    if bias is not None:
        scores.view(len(bias), -1, *bias.shape[2:]).add_(bias)
    return torch.bmm(torch.softmax(scores, dim=-1), values)


class LlamaDecoder:
    """Generates and scores texts with `LlamaWeights`.

    Args:
        weights: The model.
        ending: What ends a text.
        fixed_tiles: Compute in fixed tiles (see `plan_batches`).
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
        sources: Sequence[Sequence[int]] | None = None,
    ) -> list[Generated]:
        """Continue each prompt until its text ends or its random numbers are used up.

        Args:
            prompts: Token ids, each non-empty and within the context; tokens past the context are the caller's to cut.
            uniforms: Float64 `[B, max_new_tokens]`: row i's draws.
            temperature: 0 takes the likeliest token.
            shareable: How many of each prompt's first tokens (fewer than all) other prompts may begin with too. Where
                all prompts do, or `SHARING_ROWS` or more, these tokens are read once for all of them.
            sources: What each text is likely to repeat, empty for nothing (see `drafts`).
        """
        results: dict[int, Generated] = {}
        texts = sources if sources is not None and not self.fixed_tiles else [()] * len(prompts)
        for group, begun in self._sharing(prompts, shareable):
            prefix = self._read_prefix(prompts[group[0]][:begun])
            rests = [prompts[row][begun:] for row in group]
            for places, length in plan_batches(rests, self.weights.rows, fixed_tiles=self.fixed_tiles):
                rows = [group[place] for place in places]
                batch = self._batch(len(rows), begun + length, GROWTH, prefix)
                common = NGrams([texts[row] for row in rows])
                answers = [TokenStream(self.ending, uniforms.shape[1], Draft(texts[row], common)) for row in rows]
                self._decode(batch, [rests[place] for place in places], answers, uniforms[rows], temperature)
                batch.close()
                results.update((row, answer.generated) for row, answer in zip(rows, answers, strict=True))
        return [results[row] for row in range(len(prompts))]

    def _batch(self, count: int, length: int, more: int, prefix: _Batch | None) -> _Batch:
        return _Batch(self.weights, count, length + more, prefix, length if self.fixed_tiles else None)

    def _sharing(
        self, prompts: Sequence[Sequence[int]], shareable: Sequence[int] | None
    ) -> list[tuple[list[int], int]]:
        """Rows grouped by a common beginning, and its length; rows with a rare beginning share nothing."""
        if self.fixed_tiles or shareable is None:  # in tiles, a row must not be computed otherwise for its company
            return [(list(range(len(prompts))), 0)]
        groups: dict[tuple[int, ...], list[int]] = {}
        for row, (prompt, count) in enumerate(zip(prompts, shareable, strict=True)):
            groups.setdefault(tuple(prompt[:count]), []).append(row)
        enough = 2 if len(groups) == 1 else SHARING_ROWS
        found = [(rows, len(start)) for start, rows in groups.items() if start and len(rows) >= enough]
        taken = {row for rows, _ in found for row in rows}
        others = [row for row in range(len(prompts)) if row not in taken]
        return [*found, (others, 0)] if others else found

    def _read_prefix(self, tokens: Sequence[int]) -> _Batch | None:
        if not tokens:
            return None
        batch = _Batch(self.weights, 1, len(tokens))
        batch.read_prompts([tokens])
        return batch

    def _decode(
        self,
        batch: _Batch,
        prompts: Sequence[Sequence[int]],
        answers: Sequence[TokenStream],
        uniforms: np.ndarray,
        temperature: float,
    ) -> None:
        """Draw the answers in passes, each of which reads the last token and a draft, and draws after each of them."""
        rows = list(range(len(answers)))  # which answer stands in each place of the batch
        drafts: list[list[int]] = [[]] * len(answers)
        logits = batch.read_prompts(prompts)[:, 0]
        while True:
            count = [1 + len(draft) for draft in drafts]
            draws = _next_draws(uniforms, rows, [answers[row].drawn for row in rows], count)
            tokens = iter(sample_tokens(logits, draws.to(logits.device), temperature).tolist())
            kept = [
                answers[row].add(list(islice(tokens, 1 + len(draft))), draft)
                for row, draft in zip(rows, drafts, strict=True)
            ]
            if all(answers[row].done for row in rows):
                return
            batch.forget([len(draft) - some for draft, some in zip(drafts, kept, strict=True)])
            done = [] if self.fixed_tiles else [place for place, row in enumerate(rows) if answers[row].done]
            if done:
                place, last, remaining = _closing_moves(done, len(rows))
                batch.move(place, last, remaining)
                for to, source in zip(place, last, strict=True):
                    rows[to] = rows[source]
                del rows[remaining:]
            most = max(DRAFTED, DRAFTED_TOGETHER // len(rows))
            drafts = [answers[row].draft(most) for row in rows]
            logits = batch.read([[answers[row].last, *draft] for row, draft in zip(rows, drafts, strict=True)])

    @torch.inference_mode()
    def log_probabilities(self, prompt: Sequence[int], continuations: Sequence[Sequence[int]]) -> np.ndarray:
        """Log-probability (nats, float64 `[C]`) of each continuation's tokens after the prompt."""
        begun = len(prompt) - 1 if len(continuations) > 1 and not self.fixed_tiles else 0
        prefix = self._read_prefix(prompt[:begun])
        texts = [[*prompt[begun:], *continuation] for continuation in continuations]
        return np.array([row.sum() for row in self._token_logs(texts, continuations, begun, prefix)])

    @torch.inference_mode()
    def token_log_probabilities(
        self, prompts: Sequence[Sequence[int]], continuations: Sequence[Sequence[int]]
    ) -> list[Floats]:
        """Log-probability (nats) of each token of each continuation after its own prompt, one array per row."""
        texts = [[*prompt, *continuation] for prompt, continuation in zip(prompts, continuations, strict=True)]
        return self._token_logs(texts, continuations, 0, None)

    def _token_logs(
        self, texts: Sequence[Sequence[int]], continuations: Sequence[Sequence[int]], begun: int, prefix: _Batch | None
    ) -> list[Floats]:
        """Log-probabilities of the continuations' tokens, which end the texts; `prefix` holds `begun` tokens before."""
        scores: list[Floats] = [np.empty(0)] * len(continuations)
        for rows, length in plan_batches(texts, self.weights.rows, fixed_tiles=self.fixed_tiles):
            last = length - 1 if self.fixed_tiles else max(len(continuations[row]) for row in rows)
            # The last token is read by nobody, but keeping it makes places and targets line up.
            batch = self._batch(len(rows), begun + length, 0, prefix)
            logits = batch.read_prompts([texts[row] for row in rows], last=last + 1)
            check_finite(logits.amax(dim=-1).flatten())
            batch.close()
            logs = torch.log_softmax(logits[:, :-1].double(), dim=-1)
            for place, row in enumerate(rows):
                target = torch.tensor(continuations[row], device=logs.device)
                scores[row] = logs[place, last - len(target) :].gather(1, target[:, None])[:, 0].cpu().numpy()
        return scores


def _next_draws(uniforms: Floats, rows: Sequence[int], drawn: Sequence[int], counts: Sequence[int]) -> Tensor:
    """The next random numbers `[N]` of some rows of `uniforms [B, n]`, `counts` of each."""
    starts = np.cumsum(counts) - counts
    nth = np.arange(sum(counts)) + np.repeat(np.subtract(drawn, starts), counts)
    last = uniforms.shape[1] - 1  # a tile's row that waits for the others takes any
    return torch.from_numpy(uniforms[np.repeat(rows, counts), np.minimum(nth, last)])


class TokenStream:
    """The tokens of one row while they are drawn.

    Args:
        ending: Which tokens end the text.
        limit: The most tokens that the text may have, its end included.
        draft: Guesses its continuation.
    """

    def __init__(self, ending: Ending, limit: int, draft: Draft | None = None) -> None:
        self._ending, self._limit, self._draft = ending, limit, draft or Draft()
        self.tokens: list[int] = []
        self.drawn = 0  # tokens, a stop token included
        self.last = 0  # the one drawn last
        self.stopped = False
        self.end: int | None = None  # the stop token that was drawn

    @property
    def done(self) -> bool:
        """Whether no further token may be drawn."""
        return self.stopped or self.drawn == self._limit

    @property
    def generated(self) -> Generated:
        """The result."""
        return Generated(self.tokens, stopped=self.stopped, end=self.end)

    def add(self, drawn: Sequence[int], draft: Sequence[int] = ()) -> int:
        """Add the tokens that were drawn after the last token and after each token of a draft, as far as it is right.

        Returns:
            How many tokens of the draft were right.
        """
        for kept, token in enumerate(drawn):
            self.last = token
            if self.done:  # a tile's row that waits for the others
                return kept
            self.drawn += 1
            self.stopped = self._ending.ends(self.tokens, token)
            if token not in self._ending.stop:
                self.tokens.append(token)
            else:
                self.end = token
            if kept == len(draft) or draft[kept] != token:
                break
        return kept

    def draft(self, most: int) -> list[int]:
        """Up to `most` tokens that are likely to follow."""
        return self._draft.after(self.tokens, min(most, self._limit - self.drawn - 1)) if not self.done else []


def plan_batches(
    prompts: Sequence[Sequence[int]], most: int = ROWS["cpu"], *, fixed_tiles: bool
) -> list[tuple[list[int], int]]:
    """Group rows to be decoded together, each group with the number of slots that its prompts are padded to.

    Rows of like length go together, at most `most` of them. A *fixed tile* always has `TILE` rows, all of
    them padded to one multiple of `PAD_MULTIPLE` that depends only on the row; free places repeat a row. So the
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
    """The places to refill, the places at the end that refill them, and the number of remaining rows."""
    remaining = count - len(done)
    gone = set(done)
    place = [at for at in done if at < remaining]
    last = [at for at in range(remaining, count) if at not in gone]
    return place, last, remaining
