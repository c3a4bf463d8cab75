"""A language model as a policy: it reads the user, the text and the K edits, and scores each edit.

The prefix that all K edits share (the text and the user's profile) is encoded once. The edits follow it in one sequence
as branches: the tokens of an edit attend to the prefix and to their own edit, and their positions continue from the end
of the prefix. Each edit is therefore scored as if it were the only one, and the order of the edits has no influence.
The idea is that of Hydragen [1], written as an attention mask, which every model of `transformers` accepts.

A batch goes through the model in parts of similar length. Short rows are not padded to the longest one, and a part's
activations stay in the processor's cache. With `precision="bfloat16"`, the matrix products use 16 bits. Attention keeps
32, because on a CPU its gradient is slower in bfloat16 than in float32.

An edit's score is either a head on the hidden state of its last token, or its log-likelihood.

[1] Juravsky et al., "Hydragen: High-Throughput LLM Inference with Shared Prefixes", 2024, arXiv 2402.05099.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from transformers import AttentionInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward

from baselines import run
from baselines.networks import MASKED
from eagle_gym.errors import ConfigurationError
from eagle_gym.language.loading import load_language_model
from eagle_gym.language.prompts import Prompt
from eagle_gym.language.rewriting import visible
from eagle_gym.language.transformers import TransformersModel

PAD = -1  # segment of an empty slot
ROWS: Final = 16  # observations that go through the model together, at most
FLOAT32_ATTENTION: Final = "eagle_gym_float32_attention"  # name in transformers
Precision = Literal["float32", "bfloat16"]
NUMBERS = 2  # that the heads are given besides hidden states: time and last reward
OBSERVATION = re.compile(
    r"(?:User: (?P<profile>.*?)\n)?Text: (?P<text>.*)\nStep (?P<step>\d+) of (?P<horizon>\d+)\.\n"
    r"(?:Last reward: (?P<reward>-?\d+\.\d+)\.\n)?Edits:\n(?P<edits>.*)",
    re.S,
)
EDIT = re.compile(r"^(?P<index>\d+)\. (?P<edit>.*)$", re.M)


@dataclass(frozen=True, slots=True)
class ParsedObservation:
    """The parts of a text observation.

    Attributes:
        text: The state's text.
        profile: The user's profile; "" if the taste is hidden.
        time: Fraction of the episode that has passed.
        edits: K edits, `""` where none is offered.
        reward: The last reward, which a hidden taste is guessed from; 0 if the taste is shown.
    """

    text: str
    profile: str
    time: float
    edits: tuple[str, ...]
    reward: float = 0.0


def read_texts(observation: object, actions: int) -> list[ParsedObservation]:
    """Parse text observations.

    Args:
        observation: One string, several, or a mapping that holds them under `"text"`.
        actions: K of the agent.

    Raises:
        ConfigurationError: It is another kind of observation, or has another K.
    """
    texts = observation
    if isinstance(observation, Mapping):
        texts = observation.get("text")
        offered = np.shape(observation.get("mask", np.zeros(actions)))[-1]
        if offered != actions:
            raise ConfigurationError(
                f"expected K = {actions} actions, as in training, got {offered}: "
                "make the environment with the settings of the training"
            )
    rows = [texts] if isinstance(texts, str) else texts
    if not isinstance(rows, Sequence) or not all(isinstance(row, str) for row in rows):
        got = sorted(observation) if isinstance(observation, Mapping) else type(observation).__name__
        raise ConfigurationError(
            f"expected the text observation, or a mapping that holds it under 'text', got {got}: "
            'make the environment with observation="text"'
        )
    return [read_text(row, actions) for row in rows]


def read_text(observation: str, actions: int) -> ParsedObservation:
    """Parse one text observation; see `read_texts`."""
    found = OBSERVATION.fullmatch(observation)
    if found is None:
        raise ConfigurationError(f"expected a text observation of eagle_gym, got {observation!r}")
    edits = [""] * actions
    for found_edit in EDIT.finditer(found["edits"]):
        index = int(found_edit["index"])
        if index >= actions:
            raise ConfigurationError(f"expected K = {actions} actions, as in training, got an action {index}")
        edits[index] = found_edit["edit"]
    time = int(found["step"]) / int(found["horizon"])
    return ParsedObservation(found["text"], found["profile"] or "", time, tuple(edits), float(found["reward"] or 0.0))


@dataclass(frozen=True, slots=True)
class Packed:
    """A batch of observations as token sequences of length L.

    Attributes:
        tokens: `[B, L]`.
        positions: `[B, L]`.
        segments: `[B, L]` 0 in the prefix, k + 1 in edit k, `PAD` after the end.
        prefix_end: `[B]` slot of the prefix's last token.
        edit_ends: `[B, K]` slot of each edit's last token; 0 where none is offered.
        mask: `[B, K]` True where an edit is offered.
        numbers: `[B, 2]` fraction of the episode that has passed, and the last reward.
    """

    tokens: Tensor
    positions: Tensor
    segments: Tensor
    prefix_end: Tensor
    edit_ends: Tensor
    mask: Tensor
    numbers: Tensor

    def to(self, device: torch.device | str) -> Packed:
        """Move to another device."""
        return Packed(*(getattr(self, name).to(device) for name in self.__slots__))

    def attention(self, dtype: torch.dtype) -> Tensor:
        """Attention bias `[B, 1, L, L]`: 0 where a slot attends to another, very negative elsewhere."""
        length = self.tokens.shape[1]
        here, there = self.segments[:, :, None], self.segments[:, None, :]
        before = torch.ones(length, length, dtype=torch.bool, device=self.tokens.device).tril()
        seen = before & ((there == 0) | (there == here)) & (there != PAD)
        seen = seen | torch.eye(length, dtype=torch.bool, device=self.tokens.device)  # no empty rows
        added = torch.zeros(seen.shape, dtype=dtype, device=seen.device)
        return added.masked_fill(~seen, torch.finfo(dtype).min)[:, None]


def pack(rows: Sequence[tuple[Sequence[int], Sequence[Sequence[int]]]], seen: Sequence[ParsedObservation]) -> Packed:
    """Lay out prefixes and their edits.

    Args:
        rows: `[B]` tokens of a prefix, and of its K edits; none where no edit is offered.
        seen: `[B]` observations that they are made of.
    """
    laid = [_lay_out(prefix, edits) for prefix, edits in rows]
    length = max(len(tokens) for tokens, *_ in laid)
    tokens, positions = (np.zeros((len(laid), length), np.int64) for _ in range(2))
    segments = np.full((len(laid), length), PAD)
    for i, (ids, places, parts, _) in enumerate(laid):
        tokens[i, : len(ids)], positions[i, : len(ids)], segments[i, : len(ids)] = ids, places, parts
    last = np.array([ends for *_, ends in laid], np.int64)
    return Packed(
        tokens=torch.as_tensor(tokens),
        positions=torch.as_tensor(positions),
        segments=torch.as_tensor(segments),
        prefix_end=torch.as_tensor((segments == 0).sum(axis=1) - 1),
        edit_ends=torch.as_tensor(last),
        mask=torch.as_tensor(last > 0),
        numbers=torch.as_tensor([(each.time, each.reward) for each in seen], dtype=torch.float32),
    )


def _lay_out(prefix: Sequence[int], edits: Sequence[Sequence[int]]) -> tuple[list[int], ...]:
    """Tokens, positions and segments of one row, and the slot where each edit ends."""
    tokens, positions = list(prefix), list(range(len(prefix)))
    segments, ends = [0] * len(prefix), []
    for number, said in enumerate(edits):
        tokens += said
        positions += range(len(prefix), len(prefix) + len(said))
        segments += [number + 1] * len(said)
        ends.append(len(tokens) - 1 if said else 0)
    return tokens, positions, segments, ends


@dataclass(frozen=True, slots=True)
class Parts:
    """A batch of B observations, divided into parts of similar length.

    Attributes:
        packed: The parts.
        places: `[B]` where each observation is found in the parts, one after the other.
    """

    packed: tuple[Packed, ...]
    places: Tensor

    def to(self, device: torch.device | str) -> Parts:
        """Move to another device."""
        return Parts(tuple(each.to(device) for each in self.packed), self.places.to(device))


def likelihoods(hidden: Tensor, packed: Packed, output: nn.Module) -> Tensor:
    """Log-likelihood of each edit's tokens after the prefix, `[B, K]`.

    Args:
        hidden: `[B, L, D]` last hidden states.
        packed: What they belong to.
        output: The model's output layer.
    """
    slots = torch.arange(hidden.shape[1], device=hidden.device)[None]
    first = packed.positions == packed.prefix_end[:, None] + 1  # the prefix's last token predicts it
    before = torch.where(first, packed.prefix_end[:, None], slots - 1)
    rows, places = torch.nonzero(packed.segments > 0, as_tuple=True)
    logits = output(hidden[rows, before[rows, places]]).float()
    chosen = torch.log_softmax(logits, dim=-1).gather(1, packed.tokens[rows, places][:, None])[:, 0]
    scores = torch.zeros(packed.mask.shape, device=hidden.device)
    return scores.index_put((rows, packed.segments[rows, places] - 1), chosen, accumulate=True)


class LanguagePolicy(nn.Module):
    """Scores of the K edits, and the state's value, from a causal language model.

    Args:
        spec: `"embedded"` or `"transformers:PATH_OR_NAME"`.
        score: `"head"` (on the last token of an edit) or `"likelihood"` (of the edit after the prefix).
        dropout: Share of hidden units that are dropped in training.
        lora_rank: Rank of the LoRA adapters that are trained instead of the model's weights; 0 for none.
        precision: Of the model's matrix products; the weights and the heads have 32 bits.

    Raises:
        ConfigurationError: The spec names a model whose weights are not in this process.
    """

    def __init__(
        self,
        spec: str,
        *,
        score: Literal["head", "likelihood"] = "head",
        dropout: float = 0.0,
        lora_rank: int = 0,
        precision: Precision = "float32",
    ) -> None:
        super().__init__()
        source = load_language_model(spec)
        if not isinstance(source, TransformersModel):
            raise ConfigurationError(
                f"expected a model with weights of its own, got {spec!r}: choose 'embedded' or 'transformers:...'"
            )
        self._format = source.prompt_format
        model, _ = source.load()
        source.close()
        self.model: Any = add_lora(model, lora_rank) if lora_rank else model
        self.by_likelihood = score == "likelihood"
        self._half = precision == "bfloat16"
        if self._half:
            AttentionInterface.register(FLOAT32_ATTENTION, float32_attention)
            model.set_attn_implementation(FLOAT32_ATTENTION)
        width = self.model.get_input_embeddings().embedding_dim
        self.dropout = nn.Dropout(dropout)
        if not self.by_likelihood:
            self.score_head = head(2 * width + NUMBERS, width)
            output = self.model.get_output_embeddings()
            if output.weight is not self.model.get_input_embeddings().weight:
                output.requires_grad_(False)  # it does not affect the scores
        self.value_head = head(2 * width + NUMBERS, width)

    def pack(self, observations: Sequence[ParsedObservation]) -> Parts:
        """Token sequences of observations, on the CPU."""
        rows = [self._row(observation) for observation in observations]
        order = np.argsort([len(prefix) + sum(map(len, edits)) for prefix, edits in rows], kind="stable")
        parts = np.array_split(order, -(-len(order) // ROWS))
        packed = (pack([rows[i] for i in part], [observations[i] for i in part]) for part in parts)
        return Parts(tuple(packed), torch.as_tensor(np.argsort(order)))

    def _row(self, observation: ParsedObservation) -> tuple[Sequence[int], list[Sequence[int]]]:
        """Tokens of the prefix, and of each edit."""
        text = visible(observation.text, self._format.language)
        prefix, _ = self._format.encode(Prompt("propose", text=text, profile=observation.profile))
        return prefix, [self._format.encode_answer(edit) if edit else [] for edit in observation.edits]

    def forward(self, batch: Parts) -> tuple[Tensor, Tensor]:
        """Scores `[B, K]`, `MASKED` where no edit is offered, and values `[B]`."""
        scores, values = zip(*(self._judge(packed) for packed in batch.packed), strict=True)
        return torch.cat(scores)[batch.places], torch.cat(values)[batch.places]

    def _judge(self, packed: Packed) -> tuple[Tensor, Tensor]:
        """Scores and values of one part."""
        with torch.autocast(packed.tokens.device.type, dtype=torch.bfloat16, enabled=self._half):
            hidden = self.model.base_model(
                input_ids=packed.tokens,
                position_ids=packed.positions,
                attention_mask=packed.attention(self.model.dtype),
                use_cache=False,
            ).last_hidden_state
        hidden = self.dropout(hidden.float())  # [B, L, D]
        rows = torch.arange(len(hidden), device=hidden.device)
        begin = hidden[rows, packed.prefix_end].float()  # [B, D]
        ends = hidden[rows[:, None], packed.edit_ends].float()  # [B, K, D]
        if self.by_likelihood:
            scores = likelihoods(hidden, packed, self.model.get_output_embeddings())
        else:
            scores = self._heads(begin, ends, packed)
        weights = packed.mask.float()[..., None]
        mean = (ends * weights).sum(1) / weights.sum(1)
        # The value head reads the hidden states without changing them: its gradient stops here.
        values = self.value_head(torch.cat([begin, mean, packed.numbers], dim=-1).detach()).squeeze(-1)
        return scores.masked_fill(~packed.mask, MASKED), values

    def _heads(self, begin: Tensor, ends: Tensor, packed: Packed) -> Tensor:
        shared = torch.cat([begin, packed.numbers], dim=-1)[:, None].expand(-1, ends.shape[1], -1)
        scores: Tensor = self.score_head(torch.cat([ends, shared], dim=-1)).squeeze(-1)
        return scores

    def trained(self) -> dict[str, Tensor]:
        """Named weights that training changes."""
        return {name: weight.detach() for name, weight in self.named_parameters() if weight.requires_grad}

    def restore(self, weights: Mapping[str, Tensor]) -> None:
        """Load the weights of `trained`; RuntimeError if they are those of another policy."""
        run.restore_weights(self, weights, self.trained())


def float32_attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor,
    **settings: Any,  # noqa: ANN401
) -> tuple[Tensor, None]:
    """Scaled dot-product attention in 32 bits, also under autocast."""
    with torch.autocast(query.device.type, enabled=False):
        found: tuple[Tensor, None] = sdpa_attention_forward(
            module, query.float(), key.float(), value.float(), attention_mask, **settings
        )
    return found


class LanguageActorCritic(nn.Module):
    """A language-model policy and its value, as EAGLE trains them (see `baselines.eagle.ActorCritic`).

    Args:
        actions: K.
        device: Device of the model.
        **language: Arguments of `LanguagePolicy`; the embedded model if there are none.
    """

    def __init__(self, actions: int, device: str, **language: Any) -> None:  # noqa: ANN401
        super().__init__()
        # No dropout: the policy that is improved must be the policy that chose.
        self.policy = LanguagePolicy(**({"spec": "embedded"} | language | {"dropout": 0.0})).to(device)
        self._actions, self._device = actions, device

    def forward(self, batch: Sequence[ParsedObservation]) -> tuple[Tensor, Tensor]:
        """Scores `[B, K]` and values `[B]`."""
        scores, values = self.policy(self.policy.pack(batch).to(self._device))
        return scores, values

    def read(self, observation: object) -> list[ParsedObservation]:
        """Parse text observations."""
        return read_texts(observation, self._actions)

    def take(self, batch: Sequence[ParsedObservation], rows: NDArray[np.int64]) -> list[ParsedObservation]:
        """Select observations."""
        return [batch[row] for row in rows]

    def join(self, batches: Sequence[list[ParsedObservation]]) -> list[ParsedObservation]:
        """Concatenate observations."""
        return [observation for batch in batches for observation in batch]

    def parts(self) -> dict[str, list[nn.Parameter]]:
        """The parameters of the value head, and all others that are trained."""
        value = list(self.policy.value_head.parameters())
        heads = {id(weight) for weight in value}
        rest = [weight for weight in self.policy.parameters() if weight.requires_grad and id(weight) not in heads]
        return {"policy": rest, "value": value}

    def trained(self) -> dict[str, Tensor]:
        """Named weights that training changes."""
        return self.policy.trained()

    def restore(self, weights: Mapping[str, Tensor]) -> None:
        """Load the weights of `trained`."""
        self.policy.restore(weights)


def head(inputs: int, width: int) -> nn.Sequential:
    """Two layers; the last one starts at 0, so that a policy starts uniform."""
    layers = nn.Sequential(nn.LayerNorm(inputs), nn.Linear(inputs, width), nn.Tanh(), nn.Linear(width, 1))
    last = layers[-1]
    assert isinstance(last, nn.Linear)
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    return layers


def add_lora(model: Any, rank: int) -> Any:  # noqa: ANN401 - a model of transformers
    """Add LoRA adapters to all linear layers except the output, and freeze the model's own weights.

    Raises:
        ConfigurationError: peft is not installed.
    """
    try:
        from peft import LoraConfig, inject_adapter_in_model
    except ImportError as error:
        raise ConfigurationError("lora_rank needs the package peft: pip install 'eagle_gym[baselines]'") from error
    config = LoraConfig(r=rank, lora_alpha=2 * rank, target_modules="all-linear")
    return inject_adapter_in_model(config, model)
