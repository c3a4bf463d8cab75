"""Tiny models made on the spot: the real classes and file layout, random weights."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from eagle_gym.language import Completion, Prompt, Usage
from eagle_gym.language.prompts import CONTROL_TOKENS, END, PAD

WORDS = [
    "A dark comedy set on a submarine in the 1980s.",
    "A retired spy must save the world from a cruel banker.",
    "It is a story about friendship, revenge and space travel, with a happy ending.",
    "make it darker; set it in Paris; add a robot; give it a twist ending.",
]


def write_tokenizer(
    folder: Path,
    *,
    control: bool = True,
    chat_template: str | None = None,
    words: Sequence[str] = tuple(WORDS * 4),
    size: int = 384,
) -> PreTrainedTokenizerFast:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    specials = list(CONTROL_TOKENS) if control else [PAD, END]
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=specials,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(words, trainer)
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token=END, pad_token=PAD, bos_token=PAD)
    fast.chat_template = chat_template
    fast.save_pretrained(folder)
    return fast


def write_llama(
    folder: Path, *, seed: int = 0, sharpness: float = 0.15, ends: bool = False, **sizes: object
) -> LlamaForCausalLM:
    """A random Llama whose logits are spread enough that sampling has something to choose from.

    With `ends` its texts end after 15 tokens or so: the first coordinate is kept constant through the layers, and
    only the end token's logit reads it (a Llama has no biases that could do this).
    """
    torch.manual_seed(seed)
    settings: dict[str, object] = {
        "vocab_size": 384,
        "hidden_size": 64,
        "intermediate_size": 96,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 4,
        "max_position_embeddings": 256,
        "tie_word_embeddings": True,
        "bos_token_id": 0,
        "eos_token_id": 1,
        "pad_token_id": 0,
        "initializer_range": sharpness,
    }
    model = LlamaForCausalLM(LlamaConfig(**{**settings, **sizes})).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "norm" in name:
                parameter.uniform_(0.5, 1.5)
        if ends:
            model.model.embed_tokens.weight[:, 0] = 1.0
            for layer in model.model.layers:
                layer.self_attn.o_proj.weight[0] = 0.0
                layer.mlp.down_proj.weight[0] = 0.0
            model.lm_head.weight[:, 0] = 0.0
            model.lm_head.weight[1, 0] = 2.0
    model.save_pretrained(folder)
    return model


def write_sayings(folder: Path, sayings: Sequence[str], special: Sequence[str] = ()) -> int:
    """A tokenizer that knows whole sayings as tokens, from number 300 on; returns the size of its vocabulary."""
    fast = write_tokenizer(folder, control=False, chat_template=CHAT_TEMPLATE, size=300)
    # The tokenizer trims nothing: a saying is a token with its line breaks.
    fast.add_tokens([AddedToken(f"{saying}", normalized=False) for saying in sayings])
    fast.add_tokens([AddedToken(token, special=True) for token in special], special_tokens=True)
    fast.save_pretrained(folder)
    return len(fast)


def write_parrot(folder: Path, size: int, sayings: int) -> LlamaForCausalLM:
    """A Llama that says one of the last tokens of its vocabulary, any as likely as another, and then ends.

    Its layers add nothing, so that the next token depends on the last one: a saying is followed by the end.
    """
    sizes = {"vocab_size": size, "num_hidden_layers": 1, "max_position_embeddings": 1024, "tie_word_embeddings": False}
    model = write_llama(folder, **sizes)
    said = slice(300, 300 + sayings)
    with torch.no_grad():
        for layer in model.model.layers:
            layer.self_attn.o_proj.weight.zero_()
            layer.mlp.down_proj.weight.zero_()
        model.model.norm.weight.fill_(1.0)
        model.model.embed_tokens.weight.zero_()
        model.model.embed_tokens.weight[:, 0] = 1.0
        model.model.embed_tokens.weight[said, 0] = 0.0
        model.model.embed_tokens.weight[said, 1] = 1.0
        model.lm_head.weight.zero_()
        model.lm_head.weight[said, 0] = 10.0
        model.lm_head.weight[1, 1] = 10.0
    model.save_pretrained(folder)
    return model


CHAT_TEMPLATE = (
    "{% for message in messages %}<{{ message['role'] }}>{{ message['content'] }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)


def edit_config(folder: Path, **changes: object) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


class ScriptedModel:
    """A language model whose answers are a function of the question; counts what it is asked."""

    name = "scripted"
    fingerprint = "f00d"
    language = "free"
    deterministic = False

    def __init__(self) -> None:
        self.usage = Usage()
        self.asked: list[tuple[Prompt, int]] = []
        self.closed = False

    def generate(
        self, prompts: Sequence[Prompt], seeds: Sequence[int], *, temperature: float = 1.0
    ) -> list[Completion]:
        self.asked += zip(prompts, seeds, strict=True)
        answers = [
            Completion(f"{prompt.text}|{prompt.edit}|{seed}|{len(self.asked)}", 10, 5, "stop")
            for prompt, seed in zip(prompts, seeds, strict=True)
        ]
        self.usage.add(answers, seconds=0.1)
        return answers

    def score(self, prompt: Prompt, continuations: Sequence[str]) -> np.ndarray:
        self.usage.calls += len(continuations)
        return np.array([-len(text) / 3 for text in continuations])

    def close(self) -> None:
        self.closed = True


class Saying(ScriptedModel):
    """A language model that gives planned answers, one a row."""

    def __init__(self, answers: Sequence[str]) -> None:
        super().__init__()
        self._answers = iter(answers)

    def generate(
        self, prompts: Sequence[Prompt], seeds: Sequence[int], *, temperature: float = 1.0
    ) -> list[Completion]:
        self.asked += zip(prompts, seeds, strict=True)
        return [Completion(next(self._answers), 10, 1, "stop") for _ in prompts]
