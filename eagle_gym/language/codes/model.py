"""A code model: a frozen language model whose next tokens follow from codes, and a policy that chooses codes.

The hidden state x_t of the base model and the vector of a code give the next token greedily: the codes are the only
randomness. A code holds for `every` tokens. World model, codebook and policy see only the positions of answers; what a
prompt says reaches them through x_t.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import safetensors.torch
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from torch import Tensor, nn
from transformers import DynamicCache

from eagle_gym.errors import ConfigurationError, LanguageModelError, PreparationError
from eagle_gym.language.codes.networks import CodeHead, WorldModel
from eagle_gym.language.loading import load_language_model
from eagle_gym.language.transformers import TransformersModel

SHIPPED: Final = "plain"
FOLDER: Final = Path(__file__).parent / "weights"
SETTINGS, WEIGHTS = "codes.json", "codes.safetensors"
Codes = NDArray[np.int64]


@dataclass(frozen=True)
class CodeSettings:
    """Sizes of a code model.

    Attributes:
        base: The language model: `"embedded"` or `"transformers:PATH_OR_NAME"`.
        codes: N.
        every: Tokens for which a code holds.
        layers: Causal blocks of the policy.
        inner: Width inside the world model's gated layers.
        prompt_set: Words in which the language model is asked, as `prompts` of `load_language_model`; "" takes what it
            understands.
    """

    base: str = "embedded"
    codes: int = 16
    every: int = 1
    layers: int = 1
    inner: int = 320
    prompt_set: str = ""


@dataclass(frozen=True, eq=False)
class Written:
    """An answer that was written under codes or token by token.

    Attributes:
        tokens: Its T tokens, the end token included if it ended by itself.
        stopped: Whether it did.
        codes: `[T]` code at each position; -1 where no code was used.
        hidden: `[T, D]` hidden states from which the tokens were read.
        passes: Forward passes of the base model that it took.
    """

    tokens: list[int]
    stopped: bool
    codes: Codes
    hidden: Tensor
    passes: int


class CodeModel(nn.Module):
    """A base model with codebook, world model and policy.

    Args:
        settings: The sizes.

    Raises:
        ConfigurationError: `settings.base` names a model whose weights are not in this process.
    """

    def __init__(self, settings: CodeSettings) -> None:
        super().__init__()
        source = load_language_model(settings.base, prompts=settings.prompt_set or None)
        if not isinstance(source, TransformersModel):
            raise ConfigurationError(
                f"expected a base model with weights of its own, got {settings.base!r}: choose 'embedded' or "
                "'transformers:...'"
            )
        self.settings, self.format, self.fingerprint = settings, source.prompt_format, source.fingerprint
        self.base: Any = source.load()[0].requires_grad_(False)
        source.close()
        self.width: int = self.base.get_input_embeddings().embedding_dim
        self.stop = sorted(self.format.ending.stop)
        self.codebook = nn.Linear(settings.codes, self.width, bias=False)
        self.world = WorldModel(self.width, settings.inner)
        self.policy = CodeHead(self.width, settings.layers, settings.codes)
        self.eval()

    @property
    def device(self) -> torch.device:
        """Device of the weights."""
        return self.codebook.weight.device

    def output(self, hidden: Tensor) -> Tensor:
        """Logits of the base model's own output layer, `[..., V]`."""
        logits: Tensor = self.base.get_output_embeddings()(hidden)
        return logits.float()

    def next_logits(self, x: Tensor, chosen: Tensor) -> Tensor:
        """Logits of the next token, `[..., V]`, from hidden states `[..., D]` and one-hot codes `[..., N]`."""
        return self.output(self.world(x, self.codebook(chosen)))

    def tokens_under(self, x: Tensor, codes: Tensor) -> Tensor:
        """The most likely next token under each code: `[B, D]` and `[B]` to `[B]`."""
        return self.next_logits(x, nn.functional.one_hot(codes, self.settings.codes).float()).argmax(dim=-1)

    def hidden_states(self, ids: Tensor) -> Tensor:
        """Hidden states of sequences padded on the right, `[B, L]` to `[B, L, D]`."""
        found: Tensor = self.base.base_model(input_ids=ids, use_cache=False).last_hidden_state
        return found

    def trained(self) -> dict[str, Tensor]:
        """Named weights of everything but the base model."""
        own = self.state_dict()
        return {name: weight for name, weight in own.items() if not name.startswith("base.")}

    def save(self, folder: Path, dtype: torch.dtype = torch.float32, **facts: Any) -> None:  # noqa: ANN401
        """Write sizes, facts and weights without the base model, for `load_codes`."""
        folder.mkdir(parents=True, exist_ok=True)
        header = {"settings": asdict(self.settings), "base": self.fingerprint, **facts}
        (folder / SETTINGS).write_text(json.dumps(header, indent=1) + "\n")
        tensors = {name: weight.to(dtype).contiguous() for name, weight in self.trained().items()}
        safetensors.torch.save_file(tensors, folder / WEIGHTS)


def load_codes(place: str | Path = SHIPPED) -> CodeModel:
    """Read a code model.

    Args:
        place: A folder that `CodeModel.save` wrote, or `"plain"` for the one that ships with the package.

    Raises:
        PreparationError: A file is missing or broken, or belongs to another base model.
    """
    folder = FOLDER / SHIPPED if place == SHIPPED else Path(place)
    try:
        header = json.loads((folder / SETTINGS).read_text())
        model = make_codes(CodeSettings(**header["settings"]))
        if header["base"] != model.fingerprint:
            raise ValueError("it was trained on another base model")
        restore(model, safetensors.torch.load_file(folder / WEIGHTS))
    except (OSError, KeyError, TypeError, ValueError, RuntimeError, SafetensorError) as error:
        raise PreparationError(
            f"{folder} holds no code model that can be read ({error}): make one with python -m baselines train cola"
        ) from error
    return model


def make_codes(settings: CodeSettings, seed: int = 0) -> CodeModel:
    """An untrained code model; torch's global random state is left unchanged."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return CodeModel(settings)


def restore(model: CodeModel, weights: Mapping[str, Tensor]) -> None:
    """Load the weights of `trained`; RuntimeError if they are those of another model."""
    if different := sorted(set(weights) ^ set(model.trained())):
        raise RuntimeError(f"missing or unknown weights: {', '.join(different[:4])}")
    model.load_state_dict({name: weight.float() for name, weight in weights.items()}, strict=False)


def padded_left(prompts: Sequence[Sequence[int]], pad: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Prompts as ids and mask, both `[B, L]`, with the padding on the left."""
    longest = max(map(len, prompts))
    ids = torch.full((len(prompts), longest), pad, dtype=torch.long)
    mask = torch.zeros_like(ids)
    for row, prompt in enumerate(prompts):
        ids[row, longest - len(prompt) :] = torch.tensor(prompt, dtype=torch.long)
        mask[row, longest - len(prompt) :] = 1
    return ids.to(device), mask.to(device)


def context_of(base: Any) -> int:  # noqa: ANN401 - a causal language model of transformers
    """The most tokens that a model reads; very many if it does not say."""
    found = getattr(base.config.get_text_config(), "max_position_embeddings", None)
    return sys.maxsize if found is None else int(found)


def room(base: Any, prompts: Sequence[Sequence[int]]) -> int:  # noqa: ANN401
    """How many tokens may follow the longest of some prompts.

    Raises:
        LanguageModelError: None may.
    """
    context, longest = context_of(base), max(map(len, prompts))
    if longest >= context:
        raise LanguageModelError(
            f"expected prompts that leave room for an answer in the base model's context of {context} tokens, got one "
            f"of {longest}: take prompts without examples (prompt_set='plain'), or a model with a longer context"
        )
    return context - longest


class Reader:
    """Reads prompts with the base model, then one token of each row at a time.

    Args:
        base: A causal language model of `transformers`.
        prompts: Token ids of B prompts.
        pad: A token to pad with.

    Attributes:
        hidden: `[B, D]` hidden states of the last tokens.
        mask: `[B, L]` 1 where there is a token, 0 in the padding on the left.
        cache: Keys and values of all tokens so far.

    Raises:
        LanguageModelError: A prompt fills the base model's context.
    """

    def __init__(self, base: Any, prompts: Sequence[Sequence[int]], pad: int) -> None:  # noqa: ANN401
        room(base, prompts)
        self.base, self.cache = base, DynamicCache()
        ids, self.mask = padded_left(prompts, pad, base.device)
        self.hidden = self._read(ids, (self.mask.cumsum(dim=1) - 1).clamp_min(0))

    def add(self, tokens: Tensor) -> None:
        """Read a token `[B]` of each row."""
        self.mask = torch.cat([self.mask, torch.ones_like(self.mask[:, :1])], dim=1)
        self.hidden = self._read(tokens[:, None], self.mask.sum(dim=1, keepdim=True) - 1)

    def keep(self, rows: Tensor) -> None:
        """Go on with some rows only."""
        self.cache.batch_select_indices(rows)
        self.mask, self.hidden = self.mask[rows], self.hidden[rows]

    def _read(self, ids: Tensor, positions: Tensor) -> Tensor:
        """Hidden states of the last position, `[B, D]`."""
        found = self.base.base_model(
            input_ids=ids,
            attention_mask=self.mask,
            position_ids=positions,
            past_key_values=self.cache,
            use_cache=True,
        )
        last: Tensor = found.last_hidden_state[:, -1]
        return last
