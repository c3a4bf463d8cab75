"""Causal language models in this process: the embedded one, and any in a folder or on the Hugging Face hub.

Small Llama models in a folder use this package's own decode loop (`decode.py`), all others `model.generate`. Both
sample with the same per-row generators. Handles with the same source, device and dtype share one copy of the weights
within a process. A weak dictionary holds it, so it is freed when the last handle is closed or collected.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import threading
import time
import weakref
from collections.abc import Iterable, Mapping, Sequence
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from tokenizers import Tokenizer

from eagle_gym.errors import ConfigurationError, LanguageModelError, PreparationError
from eagle_gym.language import decode, gguf
from eagle_gym.language.formats import ControlFormat, GeneralFormat, PromptFormat
from eagle_gym.language.model import Completion, FinishReason, Language, Tokens, Usage, check_request
from eagle_gym.language.prompts import CONTROL_TOKENS, END, PAD, Prompt, PromptSet, PromptSource, load_prompts
from eagle_gym.language.sampling import draw_until_finished, row_uniforms

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
LEAN_PARAMETERS = 300_000_000  # Llama models up to this size use the lean loop


class TokenDecoder(Protocol):
    """Continues and scores token ids: the lean loop, or `model.generate`."""

    def generate(
        self,
        prompts: Sequence[Sequence[int]],
        uniforms: np.ndarray,
        *,
        temperature: float,
        shareable: Sequence[int] | None = None,
        sources: Sequence[Sequence[int]] | None = None,
    ) -> list[decode.Generated]:
        """Continue each prompt, row i sampled with the draws `uniforms[i]`."""
        ...

    def log_probabilities(self, prompt: Sequence[int], continuations: Sequence[Sequence[int]]) -> np.ndarray:
        """Log-probability (nats, float64 `[C]`) of each continuation's tokens after the prompt."""
        ...

    def token_log_probabilities(
        self, prompts: Sequence[Sequence[int]], continuations: Sequence[Sequence[int]]
    ) -> list[np.ndarray]:
        """Log-probability (nats) of each token of each continuation after its own prompt, one array per row."""
        ...


class GenerateDecoder:
    """Decodes any causal language model with `model.generate` of `transformers`, with the same per-row sampling."""

    def __init__(
        self, model: PreTrainedModel, ending: decode.Ending, *, context: int | None = None, fixed_tiles: bool = False
    ) -> None:
        self._model, self._ending, self._context, self._fixed_tiles = model, ending, context, fixed_tiles
        self._pad = min(ending.stop, default=0)

    @torch.inference_mode()
    def generate(
        self,
        prompts: Sequence[Sequence[int]],
        uniforms: np.ndarray,
        *,
        temperature: float,
        shareable: Sequence[int] | None = None,
        sources: Sequence[Sequence[int]] | None = None,
    ) -> list[decode.Generated]:
        """Continue each prompt like `LlamaDecoder.generate`, but without shared prefixes and drafts.

        A batch ends when its longest row fills the context. Shorter rows that are not finished are then drawn again
        without that row, with the same random numbers.
        """
        results: dict[int, decode.Generated] = {}
        left = list(range(len(prompts)))
        while left:
            for places, length in decode.plan_batches([prompts[row] for row in left], fixed_tiles=self._fixed_tiles):
                rows = [left[place] for place in places]
                most = min(uniforms.shape[1], self._room(max(len(prompts[row]) for row in rows)))
                said = self._decode([prompts[row] for row in rows], length, uniforms[rows, :most], temperature)
                for row, answer in zip(rows, said, strict=True):
                    if answer.stopped or most == min(uniforms.shape[1], self._room(len(prompts[row]))):
                        results[row] = answer
            left = [row for row in left if row not in results]
        return [results[row] for row in range(len(prompts))]

    def _room(self, prompt: int) -> int:
        """How many tokens may follow a prompt; at least one, since `TransformersModel` refuses longer prompts."""
        return sys.maxsize if self._context is None else max(1, self._context - prompt)

    def _decode(
        self, prompts: Sequence[Sequence[int]], length: int, uniforms: np.ndarray, temperature: float
    ) -> list[decode.Generated]:
        from transformers import GenerationConfig, LogitsProcessorList, StoppingCriteriaList

        tokens, mask = self._pad_left(prompts, length)
        draws = torch.from_numpy(uniforms).to(tokens.device)
        answers = [decode.TokenStream(self._ending, uniforms.shape[1]) for _ in prompts]

        def choose(seen: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
            token = decode.sample_tokens(scores.float(), draws[:, seen.shape[1] - length], temperature)
            return torch.full_like(scores, -torch.inf).scatter_(1, token[:, None], 0.0)

        def ended(seen: torch.Tensor, _: object) -> torch.Tensor:
            for answer, token in zip(answers, seen[:, -1].tolist(), strict=True):
                answer.add([token])
            return torch.tensor([answer.stopped for answer in answers], device=seen.device)

        self._model.generate(
            tokens,
            attention_mask=mask,
            generation_config=GenerationConfig(
                max_new_tokens=draws.shape[1], do_sample=False, pad_token_id=self._pad, eos_token_id=None
            ),
            logits_processor=LogitsProcessorList([choose]),
            stopping_criteria=StoppingCriteriaList([ended]),
        )
        return [answer.generated for answer in answers]

    @torch.inference_mode()
    def log_probabilities(self, prompt: Sequence[int], continuations: Sequence[Sequence[int]]) -> np.ndarray:
        """Score like `LlamaDecoder.log_probabilities`."""
        rows = self.token_log_probabilities([prompt] * len(continuations), continuations)
        return np.array([row.sum() for row in rows])

    @torch.inference_mode()
    def token_log_probabilities(
        self, prompts: Sequence[Sequence[int]], continuations: Sequence[Sequence[int]]
    ) -> list[np.ndarray]:
        """Score like `LlamaDecoder.token_log_probabilities`."""
        scores: list[np.ndarray] = [np.empty(0)] * len(continuations)
        texts = [[*prompt, *continuation] for prompt, continuation in zip(prompts, continuations, strict=True)]
        for rows, length in decode.plan_batches(texts, fixed_tiles=self._fixed_tiles):
            tokens, mask = self._pad_left([texts[row] for row in rows], length)
            position = (mask.cumsum(dim=1) - 1).clamp_(min=0)
            logits = self._model(input_ids=tokens, attention_mask=mask, position_ids=position).logits
            for place, row in enumerate(rows):
                target = torch.tensor(continuations[row], device=logits.device)
                decode.check_finite(logits[place, -len(target) - 1 : -1].amax(dim=-1))
                logs = torch.log_softmax(logits[place, -len(target) - 1 : -1].double(), dim=-1)
                scores[row] = logs.gather(1, target[:, None])[:, 0].cpu().numpy()
        return scores

    def _pad_left(self, prompts: Sequence[Sequence[int]], length: int) -> tuple[torch.Tensor, torch.Tensor]:
        tokens = torch.full((len(prompts), length), self._pad, dtype=torch.long)
        mask = torch.zeros_like(tokens)
        for row, prompt in enumerate(prompts):
            tokens[row, length - len(prompt) :] = torch.tensor(prompt, dtype=torch.long)
            mask[row, length - len(prompt) :] = 1
        return tokens.to(self._model.device), mask.to(self._model.device)


class _Shared:
    """What handles share within a process: the weights and tokenizer of one source, on one device, in one dtype."""

    def __init__(self, source: str, device: str, dtype: str) -> None:
        self.source = source
        folder = Path(source)
        self.is_folder = folder.is_dir()
        self.config = _read_config(folder) if self.is_folder else {}
        self.llama: decode.LlamaWeights | None = None
        self.model: Any = None
        target = _check_device(device)
        if self.is_folder and self._is_lean():
            self.llama = _load_llama(folder, self.config, target, DTYPES[dtype])
        else:
            self.model = _load_hugging_face(source, device, DTYPES[dtype])
            self.config = self.model.config.get_text_config().to_dict()
            # Read as an attribute, since configs map this name to their own, such as n_positions.
            self.config["max_position_embeddings"] = getattr(
                self.model.config.get_text_config(), "max_position_embeddings", None
            )
        self._was_converted = gguf.is_converted(folder)
        self._control = _control_tokenizer(folder / "tokenizer.json")
        self._tokenizer: Any = _load_tokenizer(source) if self._control is None else None
        self._stop = self._stop_tokens()
        self._formats: dict[str, PromptFormat] = {}  # by fingerprint of the prompts
        if self.model is not None:
            self._forget_generation_habits()
        self.context: int | None = self.config.get("max_position_embeddings")
        self.fingerprint = _hash_folder(folder) if self.is_folder else self._hash_name()

    def _is_lean(self) -> bool:
        if decode.unsupported(self.config) is not None:
            return False
        try:
            return decode.LlamaShape.from_config(self.config).parameters <= LEAN_PARAMETERS
        except (KeyError, TypeError, ValueError) as error:
            raise PreparationError(f"{self.source}: config.json is no Llama's, {error} is missing or wrong") from error

    def format_of(self, prompts: PromptSet | None, about: str | None = None) -> PromptFormat:
        """How this model is asked in the words of a set; None chooses the built-in set that it understands.

        Args:
            prompts: The set.
            about: What the texts describe, for the choice of a built-in set.

        Raises:
            ConfigurationError: The model does not understand the set's format.
            PreparationError: The model has no chat template, or one that cannot be used.
        """
        chosen = prompts or load_prompts(self._default_prompts(), about)
        with _loading:
            if chosen.fingerprint not in self._formats:
                self._formats[chosen.fingerprint] = self._make_format(chosen)
            return self._formats[chosen.fingerprint]

    def _default_prompts(self) -> str:
        if self._control is not None:
            return "control"
        # A conversion to GGUF may have lost the template of a chat model: nobody guesses that it is a base model.
        return "chat" if self._has_template or self._was_converted else "few_shot"

    @property
    def _has_template(self) -> bool:
        return getattr(self._tokenizer, "chat_template", None) is not None

    def _make_format(self, prompts: PromptSet) -> PromptFormat:
        if (prompts.format == "control") != (self._control is not None):
            wanted = "that do not use" if self._control is None else "that use"
            raise ConfigurationError(
                f"expected prompts {wanted} the embedded model's control tokens for {self.source!r}, got "
                f"{prompts.name!r}: leave prompts out, and the model is asked as it understands"
            )
        if self._control is not None:
            return ControlFormat(self._control, prompts)
        if prompts.format == "chat" and not self._has_template:
            named = gguf.original_name(Path(self.source)) or self.source
            raise PreparationError(
                f"expected a chat template in {named!r}, got none: name prompts='few_shot' if it is a base "
                "model, or take the instruction-tuned model in a form that has its template"
            )
        return GeneralFormat(self._tokenizer, prompts, self._stop, self.source)

    def _stop_tokens(self) -> frozenset[int]:
        """End tokens of tokenizer, model and generation config, and the token that begins a new document."""
        if self._control is not None:
            numbers = self._control.get_vocab(with_added_tokens=True)
            return frozenset(numbers[token] for token in (PAD, END))
        stated = [self._tokenizer.eos_token_id, self._tokenizer.bos_token_id, self.config.get("eos_token_id")]
        stated.append(self._generation_config().get("eos_token_id"))
        stop: set[int] = set()
        for value in stated:
            stop.update([value] if isinstance(value, int) else value or [])
        return frozenset(stop)

    def _generation_config(self) -> dict[str, Any]:
        if self.model is not None:
            stated = getattr(self.model, "generation_config", None)
            return {} if stated is None else dict(stated.to_dict())
        path = Path(self.source) / "generation_config.json"
        return _read_object(path) if path.is_file() else {}

    def _forget_generation_habits(self) -> None:
        """Drop repetition penalties and the like, so that texts are drawn from softmax(logits / T)."""
        from transformers import GenerationConfig

        self.model.generation_config = GenerationConfig(eos_token_id=sorted(self._stop) or None)

    def _hash_name(self) -> str:
        commit = getattr(self.model.config, "_commit_hash", None) or "unknown"
        return _digest([f"{self.source}@{commit}".encode()])

    def decoder(self, ending: decode.Ending, *, fixed_tiles: bool) -> TokenDecoder:
        """A decoder over the shared weights."""
        if self.llama is not None:
            return decode.LlamaDecoder(self.llama, ending, fixed_tiles=fixed_tiles)
        return GenerateDecoder(self.model, ending, context=self.context, fixed_tiles=fixed_tiles)

    def fingerprint_with(self, prompts: PromptSet) -> str:
        """Identifies the weights together with the words in which they are asked.

        The words in which the embedded model was trained are a part of its weights.
        """
        if prompts.fingerprint == load_prompts("control").fingerprint:
            return self.fingerprint
        return _digest([self.fingerprint.encode(), prompts.fingerprint.encode()])


_shared: weakref.WeakValueDictionary[tuple[str, str, str], _Shared] = weakref.WeakValueDictionary()
_loading = threading.Lock()


def _acquire(source: str, device: str, dtype: str) -> _Shared:
    """The shared weights, loaded at the first call and kept as long as a handle holds them."""
    _let_forks_live()
    with _loading:
        found = _shared.get((source, device, dtype))
        if found is None:
            found = _shared[source, device, dtype] = _Shared(source, device, dtype)
        return found


@cache
def _let_forks_live() -> None:
    """Make forked processes compute in a single thread, as PyTorch's own data loaders do.

    OpenMP's threads do not survive a fork, and a process that waits for them hangs.
    """
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=partial(torch.set_num_threads, 1))


class TransformersModel:
    """A causal language model in this process (see `LanguageModel`).

    Args:
        name: The model's name: the spec that it was opened with.
        target: A folder in the Hugging Face layout, a GGUF file, or a name on the hub.
        device: `"cpu"`, `"cuda"`, `"cuda:1"`; `"auto"` lets accelerate spread a large model.
        dtype: `"float32"`, `"bfloat16"` or `"float16"`.
        batch_invariant: Compute in fixed tiles. On a CPU, a row's text then depends only on its prompt and seed.
        max_new_tokens: Longest generation; None takes 160 for control-token models, 512 for others.
        prompts: The words in which it is asked; None takes control tokens for models that were trained on them,
            `"chat"` for models with a chat template and for GGUF files, and `"few_shot"` for others.
        cache_dir: Folder of converted GGUF files; None takes the platform's cache folder.
        about: What the texts describe (`"film"`, `"product"`), for nouns and examples; None where nobody knows.

    Raises:
        ConfigurationError: The dtype or a field of the prompts is unknown, or this machine lacks the device.
        PreparationError: The model is missing or cannot be loaded.
    """

    def __init__(
        self,
        name: str,
        target: str,
        *,
        device: str = "cpu",
        dtype: str = "float32",
        batch_invariant: bool = False,
        max_new_tokens: int | None = None,
        prompts: PromptSource | None = None,
        cache_dir: str | None = None,
        about: str | None = None,
    ) -> None:
        if dtype not in DTYPES:
            raise ConfigurationError(f"unknown dtype {dtype!r}: expected one of {', '.join(DTYPES)}")
        self.name = name
        self.usage = Usage()
        asked = None if prompts is None else load_prompts(prompts, about)
        self._source = _resolve(target, cache_dir)
        self._held: _Shared | None = _acquire(self._source, device, dtype)
        self.prompt_format = self._held.format_of(asked, about)
        self._decoder: TokenDecoder | None = self._held.decoder(self.prompt_format.ending, fixed_tiles=batch_invariant)
        self._max_new_tokens = max_new_tokens or self.prompt_format.default_max_tokens
        self.fingerprint = self._held.fingerprint_with(self.prompt_format.prompts)
        self.language: Language = self.prompt_format.language
        self.deterministic = batch_invariant and device == "cpu" and self.prompt_format.repeatable

    @property
    def decoder(self) -> TokenDecoder:
        """Continues and scores token ids."""
        return self._open()[1]

    def generate(
        self, prompts: Sequence[Prompt], seeds: Sequence[int], *, temperature: float = 1.0
    ) -> list[Completion]:
        """Answer all prompts in one batched call; see the protocol."""
        check_request(prompts, seeds, temperature)
        _, decoder = self._open()
        encoded = {prompt: self.prompt_format.encode(prompt) for prompt in set(prompts)}
        for ids, _ in encoded.values():
            self._room(len(ids))

        def draw(prompts: Sequence[Prompt], seeds: Sequence[int]) -> list[Completion]:
            began = time.perf_counter()
            ids, shareable = zip(*(encoded[prompt] for prompt in prompts), strict=True)
            uniforms = row_uniforms(seeds, self._most())
            generated = decoder.generate(
                ids,
                uniforms,
                temperature=temperature,
                shareable=shareable,
                sources=[self.prompt_format.source(prompt) for prompt in prompts],
            )
            generated = [self._cut(len(row), said) for row, said in zip(ids, generated, strict=True)]
            none: list[Tokens | None] = [None] * len(ids)
            tokens = none if self.usage.listener is None else self._tokens(ids, generated)
            completions = [
                self._read(len(row), said, prompt, traced)
                for row, said, prompt, traced in zip(ids, generated, prompts, tokens, strict=True)
            ]
            self.usage.add(completions, seconds=time.perf_counter() - began)
            return completions

        if not prompts:
            return []
        return draw_until_finished(draw, prompts, seeds, temperature=temperature, usage=self.usage)

    def score(self, prompt: Prompt, continuations: Sequence[str]) -> np.ndarray:
        """Log-probabilities (nats, float64 `[C]`) of each continuation, its end included, as the prompt's answer."""
        _, decoder = self._open()
        began = time.perf_counter()
        ids, _ = self.prompt_format.encode(prompt)
        answers = [self.prompt_format.encode_answer(text) for text in continuations]
        self._room(len(ids) + max((len(answer) for answer in answers), default=0) - 1)
        scores = decoder.log_probabilities(ids, answers)
        self.usage.calls += len(answers)
        self.usage.prompt_tokens += sum(len(ids) + len(answer) for answer in answers)
        self.usage.seconds += time.perf_counter() - began
        return scores

    def load(self) -> tuple[Any, Any]:
        """A fresh float32 `(model, tokenizer)` pair of `transformers` on the CPU, the caller's to train."""
        self._open()
        return _load_hugging_face(self._source, "cpu", torch.float32), _load_tokenizer(self._source)

    def close(self) -> None:
        """Release the weights; the last handle frees them."""
        self._held = self._decoder = None

    def _open(self) -> tuple[_Shared, TokenDecoder]:
        if self._held is None or self._decoder is None:
            raise LanguageModelError(f"the language model {self.name!r} is closed; open it again")
        return self._held, self._decoder

    def _most(self) -> int:
        """The most tokens that any text may have. Each row gets that many random numbers, for any prompt."""
        context = self._open()[0].context
        return self._max_new_tokens if context is None else min(self._max_new_tokens, context)

    def _room(self, prompt_tokens: int) -> int:
        """How many tokens may follow a prompt: max_new_tokens, or fewer if the context ends before.

        Raises:
            LanguageModelError: The prompt fills the context.
        """
        context = self._open()[0].context
        if context is None:
            return self._max_new_tokens
        if prompt_tokens >= context:
            raise LanguageModelError(
                f"expected a prompt that leaves room for an answer in the context of {self.name!r} ({context} tokens), "
                f"got {prompt_tokens} tokens, {prompt_tokens - context + 1} too many: shorten the text, take prompts "
                "without examples (prompts='plain'), or use a model with a longer context"
            )
        return min(self._max_new_tokens, context - prompt_tokens)

    def _cut(self, prompt_tokens: int, generated: decode.Generated) -> decode.Generated:
        """What was generated, without tokens past the context's end."""
        room = self._room(prompt_tokens)
        if len(generated.tokens) + generated.stopped <= room:
            return generated
        return decode.Generated(generated.tokens[:room], stopped=False)

    def _tokens(self, prompts: Sequence[Sequence[int]], generated: Sequence[decode.Generated]) -> list[Tokens | None]:
        """The tokens of each row with their log-probabilities, which one more pass over them computes."""
        drawn = [(*said.tokens, *(() if said.end is None else (said.end,))) for said in generated]
        logs = self.decoder.token_log_probabilities(prompts, drawn)
        return [
            Tokens(tuple(map(int, asked)), tuple(map(int, said)), tuple(row.tolist()))
            for asked, said, row in zip(prompts, drawn, logs, strict=True)
        ]

    def _read(
        self,
        prompt_tokens: int,
        generated: decode.Generated,
        prompt: Prompt | None = None,
        traced: Tokens | None = None,
    ) -> Completion:
        generated = self._cut(prompt_tokens, generated)
        tokens, stopped = generated.tokens, generated.stopped
        finished = stopped or self.prompt_format.has_stop(tokens)
        text, problem = self.prompt_format.read(tokens, prompt, finished=finished)
        # A list is read without the edit that the limit has cut.
        is_list = prompt is not None and prompt.asks_for_list and self.language == "free"
        reason: FinishReason = "stop" if finished or is_list else "length"
        return Completion(text, prompt_tokens, len(tokens) + stopped, reason, problem, traced)


def _resolve(target: str, cache_dir: str | None) -> str:
    """The absolute path of a folder, which a GGUF file is converted into, or a hub name unchanged."""
    path = Path(target).expanduser()
    if path.is_dir():
        return str(path.resolve())
    if path.suffix.lower() == ".gguf" and path.is_file():
        return str(gguf.converted(path.resolve(), cache_dir))
    if path.is_absolute() or target.startswith((".", "~")) or target.count("/") > 1 or path.exists():
        raise PreparationError(
            f"no model folder at {path}: expected a folder with config.json, model.safetensors and tokenizer.json, or "
            "a GGUF file"
        )
    return target


def _check_device(device: str) -> torch.device:
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        found = torch.device(device)
    except RuntimeError:
        found = None
    if found is None or found.type not in ("cpu", "cuda"):
        raise ConfigurationError(f"unknown device {device!r}: expected 'cpu', 'cuda', 'cuda:N' or 'auto'")
    if found.type == "cuda" and (found.index or 0) >= torch.cuda.device_count():
        raise ConfigurationError(f"device {device!r} is not on this machine ({torch.cuda.device_count()} CUDA devices)")
    return found


def _read_config(folder: Path) -> dict[str, Any]:
    path = folder / "config.json"
    if not path.is_file():
        raise PreparationError(f"{folder} has no config.json: not a model folder in the Hugging Face layout")
    return _read_object(path)


def _read_object(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise PreparationError(f"{path} cannot be read: {error}") from error
    except ValueError as error:
        raise PreparationError(f"{path} is not JSON: {error}") from error
    if not isinstance(found, dict):
        raise PreparationError(f"{path} must hold a JSON object, got {type(found).__name__}")
    return found


def _load_llama(
    folder: Path, config: Mapping[str, Any], device: torch.device, dtype: torch.dtype
) -> decode.LlamaWeights:
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise PreparationError(f"{folder} has no .safetensors file (weights in other formats are not read)")
    state: dict[str, torch.Tensor] = {}
    for file in files:
        try:
            state.update(load_file(file))
        except (SafetensorError, OSError) as error:
            raise PreparationError(f"{file} is not a whole safetensors file: {error}") from error
    try:
        return decode.LlamaWeights(decode.LlamaShape.from_config(config), state, device=device, dtype=dtype)
    except KeyError as error:
        raise PreparationError(f"{folder}: config.json and weights do not match, {error} is missing") from error
    except ValueError as error:
        raise PreparationError(f"{folder}: config.json and weights do not match: {error}") from error


def _load_hugging_face(source: str, device: str, dtype: torch.dtype) -> PreTrainedModel:
    """A model for inference; code that comes with its weights is never run, and nobody is asked whether to."""
    from transformers import AutoConfig

    try:
        config = AutoConfig.from_pretrained(source, trust_remote_code=False)
        model, report = _auto_class(config).from_pretrained(
            source,
            config=config,
            dtype=dtype,
            device_map=device,
            use_safetensors=True,
            output_loading_info=True,
            trust_remote_code=False,
        )
    except (OSError, ValueError, KeyError, RuntimeError, ImportError, SafetensorError) as error:
        raise PreparationError(f"cannot load the language model {source!r}: {error}") from error
    broken = [*report["missing_keys"], *report["mismatched_keys"]]
    if broken:
        raise PreparationError(f"the weights of {source!r} do not fit its config: {broken[:3]} missing or misshapen")
    return model.eval()


def _auto_class(config: Any) -> Any:  # noqa: ANN401  # classes that transformers does not export with types
    """The auto class that loads a config's model: image-text models that were saved as such answer texts, too."""
    from transformers import MODEL_FOR_CAUSAL_LM_MAPPING, AutoModelForCausalLM, AutoModelForImageTextToText

    mapping = AutoModelForImageTextToText._model_mapping
    if type(config) not in mapping or getattr(config, "is_encoder_decoder", False):
        return AutoModelForCausalLM
    saved = set(config.architectures or ())
    if type(config) in MODEL_FOR_CAUSAL_LM_MAPPING and MODEL_FOR_CAUSAL_LM_MAPPING[type(config)].__name__ in saved:
        return AutoModelForCausalLM
    return AutoModelForImageTextToText


def _control_tokenizer(path: Path) -> Tokenizer | None:
    """The tokenizer in a file, if it knows the embedded model's control tokens."""
    if not path.is_file():
        return None
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # the tokenizers library raises the bare class
        raise PreparationError(f"{path} is not a readable tokenizer: {error}") from error
    return tokenizer if all(tokenizer.token_to_id(token) is not None for token in CONTROL_TOKENS) else None


def _load_tokenizer(source: str) -> PreTrainedTokenizerBase:
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(source, trust_remote_code=False)
    except (OSError, ValueError, KeyError, ImportError) as error:
        raise PreparationError(f"cannot load the tokenizer of {source!r}: {error}") from error


def _hash_folder(folder: Path) -> str:
    """A hash of config, weights and tokenizer, by names and bytes, without the training recipe (`recipe.json`)."""
    read, names = {".json", ".safetensors", ".jinja", ".model"}, {"vocab.txt", "merges.txt"}
    files = [file for file in sorted(folder.iterdir()) if file.suffix in read or file.name in names]
    kept = [file for file in files if file.name != "recipe.json"]
    return _digest(part for file in kept for part in (file.name.encode(), file.read_bytes()))


def _digest(parts: Iterable[bytes]) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        digest.update(len(part).to_bytes(8, "little"))
        digest.update(part)
    return digest.hexdigest()
