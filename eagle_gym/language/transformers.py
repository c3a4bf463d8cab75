"""Causal language models that run in this process: the embedded one, and any in a folder or on the Hugging Face hub.

Small Llama models in a folder go through this package's own decode loop (``decode.py``), all others through
``model.generate``; both sample with the same per-row generators. Weights are shared: handles of one process with the
same source, device and dtype hold one copy, kept in a weak dictionary, so it is freed when the last handle is closed
or collected.
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
from functools import cache, lru_cache, partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from tokenizers import Tokenizer

from eagle_gym.errors import ConfigurationError, LanguageModelError, PreparationError
from eagle_gym.language import decode
from eagle_gym.language.model import Completion, FinishReason, Language, Usage, check_request
from eagle_gym.language.prompts import (
    CONTROL_TOKENS,
    END,
    PAD,
    Prompt,
    chat_messages,
    clean_answer,
    control_segments,
    harmless,
    plain_instructions,
    well_formed,
)
from eagle_gym.language.sampling import draw_until_finished, row_uniforms

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
LEAN_PARAMETERS = 300_000_000  # Llama models up to this size use the lean loop
CONTROL_MAX_TOKENS = 160  # a plot-English text has about 55
GENERAL_MAX_TOKENS = 512
TOKENISED = 8192  # texts and instructions whose tokens are remembered


class Decoder(Protocol):
    """What turns token ids into token ids: the lean loop or ``model.generate``."""

    def generate(
        self,
        prompts: Sequence[Sequence[int]],
        uniforms: np.ndarray,
        *,
        temperature: float,
        shareable: Sequence[int] | None = None,
        sources: Sequence[Sequence[int]] | None = None,
    ) -> list[decode.Generated]:
        """Continue each prompt, row i sampled with the draws ``uniforms[i]``."""
        ...

    def log_probabilities(self, prompt: Sequence[int], continuations: Sequence[Sequence[int]]) -> np.ndarray:
        """Log-probability (nats, float64 ``[C]``) of each continuation's tokens after the prompt."""
        ...


class Phrasing(Protocol):
    """How prompts become token ids, and token ids answers."""

    ending: decode.Ending
    default_max_tokens: int
    language: Language

    def encode(self, prompt: Prompt) -> tuple[list[int], int]:
        """Token ids of the phrased prompt, and how many of the first other prompts are likely to begin with too."""
        ...

    def source(self, prompt: Prompt) -> list[int]:
        """Token ids that the answer is likely to repeat; none where it is no rewrite."""
        ...

    def encode_answer(self, text: str) -> list[int]:
        """Token ids of an answer, its end token included."""
        ...

    def read(self, tokens: Sequence[int]) -> tuple[str, bool]:
        """The text that generated tokens spell, and whether it is whole even without an end token."""
        ...


class ControlPhrasing:
    """Prompts in control tokens, for the embedded model and others trained on its format."""

    default_max_tokens = CONTROL_MAX_TOKENS
    language: Language = "plot_english"

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        # What a text says is text: "<|end|>" inside a description is nine characters, not a command.
        tokenizer.encode_special_tokens = True
        # Instructions come again and again, and so does a text whose candidates are tried.
        self._plain = lru_cache(TOKENISED)(partial(_plain_tokens, tokenizer))
        known: dict[str, int] = tokenizer.get_vocab(with_added_tokens=True)
        self._ids = {token: known[token] for token in CONTROL_TOKENS}
        self.ending = decode.Ending(frozenset((self._ids[END], self._ids[PAD])))

    def encode(self, prompt: Prompt) -> tuple[list[int], int]:
        """Token ids of the control-token prompt; its first segment, the state's text, can be shared."""
        segments = [[self._ids[control], *self._plain(text)] for control, text in control_segments(prompt)]
        return list(chain.from_iterable(segments)), len(segments[0])

    def source(self, prompt: Prompt) -> list[int]:
        """The text, where it may end, and the edit."""
        if prompt.task != "rewrite":
            return []
        return [*self.encode_answer(prompt.text), *self._plain(well_formed(prompt.edit))]

    def encode_answer(self, text: str) -> list[int]:
        """Token ids of an answer, its end token included."""
        return [*self._plain(well_formed(text)), self._ids[END]]

    def read(self, tokens: Sequence[int]) -> tuple[str, bool]:
        """The text that generated tokens spell; it is never known to be whole before its end token."""
        return self._tokenizer.decode(list(tokens), skip_special_tokens=True).strip(), False


def _plain_tokens(tokenizer: Tokenizer, text: str) -> tuple[int, ...]:
    return tuple(tokenizer.encode(text, add_special_tokens=False).ids) if text else ()


class GeneralPhrasing:
    """Prompts as chat messages where the tokenizer has a chat template, as plain instructions where it has none."""

    default_max_tokens = GENERAL_MAX_TOKENS
    language: Language = "free"

    def __init__(self, tokenizer: PreTrainedTokenizerBase, stop: frozenset[int]) -> None:
        self._tokenizer = tokenizer
        added = tokenizer.added_tokens_decoder.values()
        special = {*tokenizer.all_special_tokens, *(str(token) for token in added if token.special)}
        self._special = sorted(special, key=lambda token: (-len(token), token))
        self._chat = getattr(tokenizer, "chat_template", None) is not None
        self._system_role = self._chat and self._takes_system_role()
        self._end = tokenizer.eos_token_id if tokenizer.eos_token_id is not None else min(stop, default=None)
        if self._chat:
            self.ending = decode.Ending(stop)
        else:
            # A model that only continues texts rarely stops by itself: its first paragraph is its answer.
            words = tokenizer.batch_decode([[token] for token in range(len(tokenizer))])
            breaks = frozenset(token for token, word in enumerate(words) if "\n" in word)
            blank = frozenset(token for token, word in enumerate(words) if not word.strip())
            self.ending = decode.Ending(stop, breaks - stop, blank)

    def encode(self, prompt: Prompt) -> tuple[list[int], int]:
        """Token ids of the phrased prompt; nothing of it is shared."""
        if not self._chat:
            return self._tokenizer(plain_instructions(prompt), split_special_tokens=True)["input_ids"], 0
        messages = [{**message, "content": self._harmless(message["content"])} for message in chat_messages(prompt)]
        return self._tokenizer(self._template(messages), add_special_tokens=False)["input_ids"], 0

    def source(self, prompt: Prompt) -> list[int]:
        """The text and where it may end."""
        return self.encode_answer(prompt.text) if prompt.task == "rewrite" else []

    def encode_answer(self, text: str) -> list[int]:
        """Token ids of an answer, its end token included."""
        text = self._harmless(well_formed(text))
        ids: list[int] = self._tokenizer(text, add_special_tokens=False)["input_ids"]
        return ids if self._end is None else [*ids, self._end]

    def read(self, tokens: Sequence[int]) -> tuple[str, bool]:
        """The first paragraph of the answer, and whether more followed it."""
        return clean_answer(self._tokenizer.decode(list(tokens), skip_special_tokens=True))

    def _template(self, messages: list[dict[str, str]]) -> str:
        if not self._system_role and len(messages) == 2:
            messages = [{"role": "user", "content": f"{messages[0]['content']}\n\n{messages[1]['content']}"}]
        # Reasoning models would think for thousands of tokens; templates that know the switch obey it, others ignore
        # it.
        text: str = self._tokenizer.apply_chat_template(
            messages, tokenize=False, add_generation_prompt=True, enable_thinking=False
        )
        return text

    def _takes_system_role(self) -> bool:
        from jinja2 import TemplateError

        self._system_role = True
        try:
            self._template([{"role": "system", "content": "a"}, {"role": "user", "content": "b"}])
        except TemplateError:
            return False
        return True

    def _harmless(self, text: str) -> str:
        """The text such that a description cannot end a chat turn."""
        return harmless(text, self._special)


class GenerateDecoder:
    """Generates with ``model.generate`` of ``transformers``: any causal language model; the same per-row sampling."""

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
        """As :meth:`eagle_gym.language.decode.LlamaDecoder.generate`, but nothing is shared and nothing drafted.

        A batch ends where the context of its longest row does; shorter rows that are not done are then drawn again
        without it, with the same draws.
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
        """How many tokens may follow so many; one at least, which :class:`TransformersModel` sees to."""
        return sys.maxsize if self._context is None else max(1, self._context - prompt)

    def _decode(
        self, prompts: Sequence[Sequence[int]], length: int, uniforms: np.ndarray, temperature: float
    ) -> list[decode.Generated]:
        from transformers import GenerationConfig, LogitsProcessorList, StoppingCriteriaList

        tokens, mask = self._pad_left(prompts, length)
        draws = torch.from_numpy(uniforms).to(tokens.device)
        answers = [decode.Answer(self._ending, uniforms.shape[1]) for _ in prompts]

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
        """As :meth:`eagle_gym.language.decode.LlamaDecoder.log_probabilities`."""
        scores = np.empty(len(continuations))
        texts = [[*prompt, *continuation] for continuation in continuations]
        for rows, length in decode.plan_batches(texts, fixed_tiles=self._fixed_tiles):
            tokens, mask = self._pad_left([texts[row] for row in rows], length)
            position = (mask.cumsum(dim=1) - 1).clamp_(min=0)
            logits = self._model(input_ids=tokens, attention_mask=mask, position_ids=position).logits
            for place, row in enumerate(rows):
                target = torch.tensor(continuations[row], device=logits.device)
                decode.check_finite(logits[place, -len(target) - 1 : -1].amax(dim=-1))
                logs = torch.log_softmax(logits[place, -len(target) - 1 : -1].double(), dim=-1)
                scores[row] = float(logs.gather(1, target[:, None]).sum())
        return scores

    def _pad_left(self, prompts: Sequence[Sequence[int]], length: int) -> tuple[torch.Tensor, torch.Tensor]:
        tokens = torch.full((len(prompts), length), self._pad, dtype=torch.long)
        mask = torch.zeros_like(tokens)
        for row, prompt in enumerate(prompts):
            tokens[row, length - len(prompt) :] = torch.tensor(prompt, dtype=torch.long)
            mask[row, length - len(prompt) :] = 1
        return tokens.to(self._model.device), mask.to(self._model.device)


class _Shared:
    """What handles of one process share: weights and tokenizer of one source on one device in one dtype."""

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
            # By attribute: a config also answers to this name where it writes another, such as n_positions.
            self.config["max_position_embeddings"] = getattr(
                self.model.config.get_text_config(), "max_position_embeddings", None
            )
        self.phrasing = self._make_phrasing()
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

    def _make_phrasing(self) -> Phrasing:
        path = Path(self.source) / "tokenizer.json"
        if path.is_file():
            try:
                tokenizer = Tokenizer.from_file(str(path))
            except Exception as error:  # the tokenizers library raises the bare class
                raise PreparationError(f"{path} is not a readable tokenizer: {error}") from error
            if all(tokenizer.token_to_id(token) is not None for token in CONTROL_TOKENS):
                return ControlPhrasing(tokenizer)
        tokenizer = _load_tokenizer(self.source)
        return GeneralPhrasing(tokenizer, self._stop_tokens(tokenizer))

    def _stop_tokens(self, tokenizer: PreTrainedTokenizerBase) -> frozenset[int]:
        """End tokens of tokenizer, model and generation config; to begin a new document is to end this one."""
        stated = [tokenizer.eos_token_id, tokenizer.bos_token_id, self.config.get("eos_token_id")]
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
        """Drop repetition penalties and the like that a model ships: a text is drawn from softmax(logits / T) alone."""
        from transformers import GenerationConfig

        self.model.generation_config = GenerationConfig(eos_token_id=sorted(self.phrasing.ending.stop) or None)

    def _hash_name(self) -> str:
        commit = getattr(self.model.config, "_commit_hash", None) or "unknown"
        return _digest([f"{self.source}@{commit}".encode()])

    def decoder(self, *, fixed_tiles: bool) -> Decoder:
        """A decoder over the shared weights."""
        if self.llama is not None:
            return decode.LlamaDecoder(self.llama, self.phrasing.ending, fixed_tiles=fixed_tiles)
        return GenerateDecoder(self.model, self.phrasing.ending, context=self.context, fixed_tiles=fixed_tiles)


_shared: weakref.WeakValueDictionary[tuple[str, str, str], _Shared] = weakref.WeakValueDictionary()
_loading = threading.Lock()


def _acquire(source: str, device: str, dtype: str) -> _Shared:
    """The shared weights, loaded at the first call; they live as long as a handle holds them."""
    _let_forks_live()
    with _loading:
        found = _shared.get((source, device, dtype))
        if found is None:
            found = _shared[source, device, dtype] = _Shared(source, device, dtype)
        return found


@cache
def _let_forks_live() -> None:
    """Give processes forked from this one a single thread, as PyTorch's own data loaders do.

    The threads of OpenMP do not survive a fork, and a process that waits for them waits for ever.
    """
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=partial(torch.set_num_threads, 1))


class TransformersModel:
    """A causal language model in this process (see :class:`~eagle_gym.language.model.LanguageModel`).

    Args:
        name: The spec, kept as the model's name.
        target: A folder in the Hugging Face layout, or a name on the hub.
        device: ``"cpu"``, ``"cuda"``, ``"cuda:1"``; ``"auto"`` lets accelerate spread a large model.
        dtype: ``"float32"``, ``"bfloat16"`` or ``"float16"``.
        batch_invariant: Compute in fixed tiles; on a CPU a row's text then depends on its prompt and seed alone.
        max_new_tokens: Longest generation; None takes 160 for control-token models, 512 for others.

    Raises:
        ConfigurationError: An unknown dtype, or a device that this machine lacks.
        PreparationError: The folder or name is absent, or what is there cannot be loaded.
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
    ) -> None:
        if dtype not in DTYPES:
            raise ConfigurationError(f"unknown dtype {dtype!r}: expected one of {', '.join(DTYPES)}")
        self.name = name
        self.usage = Usage()
        self.deterministic = batch_invariant and device == "cpu"
        self._source = _resolve(target)
        self._held: _Shared | None = _acquire(self._source, device, dtype)
        self._decoder: Decoder | None = self._held.decoder(fixed_tiles=batch_invariant)
        self._max_new_tokens = max_new_tokens or self._held.phrasing.default_max_tokens
        self.fingerprint = self._held.fingerprint
        self.language: Language = self._held.phrasing.language

    @property
    def phrasing(self) -> Phrasing:
        """How its prompts become token ids, and token ids its answers."""
        return self._open()[0].phrasing

    @property
    def decoder(self) -> Decoder:
        """What turns token ids into token ids."""
        return self._open()[1]

    def generate(
        self, prompts: Sequence[Prompt], seeds: Sequence[int], *, temperature: float = 1.0
    ) -> list[Completion]:
        """Answer all prompts in one batched call; see the protocol."""
        check_request(prompts, seeds, temperature)
        shared, decoder = self._open()
        encoded = {prompt: shared.phrasing.encode(prompt) for prompt in set(prompts)}
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
                sources=[shared.phrasing.source(prompt) for prompt in prompts],
            )
            completions = [self._read(len(row), said) for row, said in zip(ids, generated, strict=True)]
            self.usage.add(completions, seconds=time.perf_counter() - began)
            return completions

        if not prompts:
            return []
        return draw_until_finished(draw, prompts, seeds, temperature=temperature, usage=self.usage)

    def score(self, prompt: Prompt, continuations: Sequence[str]) -> np.ndarray:
        """Log-probabilities (nats, float64 ``[C]``) of each continuation, its end included, as the prompt's answer."""
        shared, decoder = self._open()
        began = time.perf_counter()
        ids, _ = shared.phrasing.encode(prompt)
        answers = [shared.phrasing.encode_answer(text) for text in continuations]
        self._room(len(ids) + max((len(answer) for answer in answers), default=0) - 1)
        scores = decoder.log_probabilities(ids, answers)
        self.usage.calls += len(answers)
        self.usage.prompt_tokens += sum(len(ids) + len(answer) for answer in answers)
        self.usage.seconds += time.perf_counter() - began
        return scores

    def load(self) -> tuple[Any, Any]:
        """A fresh float32 ``(model, tokenizer)`` pair of ``transformers`` on the CPU, the caller's to train."""
        self._open()
        return _load_hugging_face(self._source, "cpu", torch.float32), _load_tokenizer(self._source)

    def close(self) -> None:
        """Let go of the weights; the last handle to do so frees them."""
        self._held = self._decoder = None

    def _open(self) -> tuple[_Shared, Decoder]:
        if self._held is None or self._decoder is None:
            raise LanguageModelError(f"the language model {self.name!r} is closed; open it again")
        return self._held, self._decoder

    def _most(self) -> int:
        """The most tokens that any text may have: as many slots are kept, whatever the prompts."""
        context = self._open()[0].context
        return self._max_new_tokens if context is None else min(self._max_new_tokens, context)

    def _room(self, prompt_tokens: int) -> int:
        """How many tokens may follow a prompt: max_new_tokens, or what the context leaves.

        Raises:
            LanguageModelError: The context leaves none.
        """
        context = self._open()[0].context
        if context is None:
            return self._max_new_tokens
        if prompt_tokens >= context:
            raise LanguageModelError(
                f"the prompt has {prompt_tokens} tokens, the context of {self.name!r} is {context}: shorten the text, "
                "or use a model with a longer context"
            )
        return min(self._max_new_tokens, context - prompt_tokens)

    def _read(self, prompt_tokens: int, generated: decode.Generated) -> Completion:
        room = self._room(prompt_tokens)
        tokens, stopped = generated.tokens, generated.stopped
        if len(tokens) + stopped > room:
            tokens, stopped = tokens[:room], False
        text, whole = self._open()[0].phrasing.read(tokens)
        reason: FinishReason = "stop" if stopped or whole else "length"
        return Completion(text, prompt_tokens, len(tokens) + stopped, reason)


def _resolve(target: str) -> str:
    """The absolute path of a folder, or a hub name as it is."""
    path = Path(target).expanduser()
    if path.is_dir():
        return str(path.resolve())
    if path.is_absolute() or target.startswith((".", "~")) or target.count("/") > 1 or path.exists():
        raise PreparationError(
            f"no model folder at {path}: expected a folder with config.json, model.safetensors and tokenizer.json"
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
    from transformers import AutoModelForCausalLM

    try:
        model, report = AutoModelForCausalLM.from_pretrained(
            source, dtype=dtype, device_map=device, use_safetensors=True, output_loading_info=True
        )
    except (OSError, ValueError, KeyError, RuntimeError, ImportError, SafetensorError) as error:
        raise PreparationError(f"cannot load the language model {source!r}: {error}") from error
    broken = [*report["missing_keys"], *report["mismatched_keys"]]
    if broken:
        raise PreparationError(f"the weights of {source!r} do not fit its config: {broken[:3]} missing or misshapen")
    return model.eval()


def _load_tokenizer(source: str) -> PreTrainedTokenizerBase:
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(source)
    except (OSError, ValueError, KeyError, ImportError) as error:
        raise PreparationError(f"cannot load the tokenizer of {source!r}: {error}") from error


def _hash_folder(folder: Path) -> str:
    """A hash of config, weights and tokenizer, by names and bytes; not of how they were made (``recipe.json``)."""
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
