"""Train the plot-English model from nothing: `python -m eagle_gym.language.embedded.train --help`.

Batch i is drawn from the seed sequence (seed, i), so a run can be cut at any moment and resumed from its last
checkpoint with the batches it would have seen. Checkpoints are safetensors and JSON.
"""

from __future__ import annotations

import argparse
import copy
import json
import math
from bisect import bisect
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from itertools import accumulate
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import set_seed
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torch.utils.data import DataLoader, IterableDataset
from tqdm import tqdm
from transformers import AutoModelForCausalLM, GenerationConfig, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from eagle_gym.errors import ConfigurationError
from eagle_gym.language.embedded import weights_path
from eagle_gym.language.embedded.examples import Example, Manner, example
from eagle_gym.language.prompts import CONTROL_TOKENS, END, PAD, control_text

IGNORED = -100  # the label that the loss passes over
GROUP = 8  # batches drawn together and sorted by length, to pad less


@dataclass(frozen=True)
class Stage:
    """A stage of training, in which the learning rates rise and fall once.

    Attributes:
        steps: Optimiser steps.
        manner: How the examples are written.
        height: Peak learning rates, as a share of the recipe's.
    """

    steps: int
    manner: Manner
    height: float = 1.0


# First no outcome of a vague prompt is preferred within its slot. Then the first one is, lest doing nothing be likelier
# than each; in the end directions of which the text has an outcome already are asked for, which are rare otherwise.
PLAIN_STAGES = (
    Stage(6000, Manner(first_outcome=0.0)),
    Stage(2400, Manner(), height=0.3),
    Stage(2400, Manner(), height=0.3),
    Stage(4800, Manner(first_outcome=0.65, taken=0.15), height=0.3),
)


@dataclass(frozen=True)
class Recipe:
    """Everything that determines the trained model."""

    seed: int = 0
    stages: tuple[Stage, ...] = PLAIN_STAGES
    sharpness: float = 1.4  # factor on the logits of what is exported
    batch: int = 64  # examples a step
    learning_rate: float = 8e-3  # of the matrices, by Muon (Jordan et al., 2024), at its height
    embedding_learning_rate: float = 6e-3  # of embeddings and norms, by AdamW, at its height
    warmup: int = 100  # steps to the height
    weight_decay: float = 0.1  # of the matrices
    width: int = 192
    layers: int = 4
    heads: int = 6
    feed_forward: int = 512
    vocabulary: int = 2048  # tokens, control tokens included
    context: int = 512  # tokens
    tokenizer_examples: int = 20_000

    def __post_init__(self) -> None:
        if not self.stages or any(stage.steps % GROUP for stage in self.stages[:-1]):
            raise ConfigurationError(
                f"a recipe has a stage or several; examples are drawn for {GROUP} steps at a time, so all but the last "
                f"need multiples of {GROUP} steps, got {[stage.steps for stage in self.stages]}"
            )

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Recipe:
        """The recipe that `asdict` and JSON have stored."""
        stages = tuple(Stage(**{**stage, "manner": Manner(**stage["manner"])}) for stage in values["stages"])
        return cls(**{**values, "stages": stages})

    @property
    def all_steps(self) -> int:
        """Optimiser steps of all stages."""
        return sum(stage.steps for stage in self.stages)

    @property
    def begins(self) -> tuple[int, ...]:
        """The step at which each stage begins."""
        return tuple(accumulate((stage.steps for stage in self.stages), initial=0))[:-1]

    def stage_at(self, step: int) -> tuple[Stage, int]:
        """The stage of a step, and the step's place in it. Steps after the end belong to the last stage."""
        index = bisect(self.begins, step) - 1
        return self.stages[index], step - self.begins[index]

    @property
    def manner(self) -> Manner:
        """How the trained model writes."""
        return self.stages[-1].manner

    def until(self, step: int) -> Recipe:
        """What determines the steps before one: recipes that agree in it can resume each other's checkpoints."""
        begun = sum(begin < step for begin in self.begins)
        return replace(self, stages=self.stages[: max(1, begun)], sharpness=1.0)


# What the package ships: the default model, and a second environment of another grammar, size and seed, which invents
# more and takes vague prompts more freely.
RECIPES: Mapping[str, Recipe] = MappingProxyType(
    {
        "plain": Recipe(),
        "pitch": Recipe(
            seed=1,
            stages=(Stage(3500, Manner(dialect="pitch", foreign=0.4, invent=0.25, first_outcome=0.0, first_slot=0.4)),),
            sharpness=1.0,
            width=160,
            layers=3,
            heads=5,
            feed_forward=448,
        ),
    }
)


def build_tokenizer(recipe: Recipe) -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer fitted on the grammar's own text; any Unicode text can be encoded."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=recipe.vocabulary,
        special_tokens=list(CONTROL_TOKENS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    texts = (
        text
        for one in tokenizer_examples(recipe)
        for text in (one.prompt.text, one.prompt.edit, one.prompt.profile, one.answer)
    )
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=PAD,
        eos_token=END,
        pad_token=PAD,
        additional_special_tokens=list(CONTROL_TOKENS[2:]),
        model_max_length=recipe.context,
        clean_up_tokenization_spaces=False,
    )


def build_model(recipe: Recipe, tokenizer: PreTrainedTokenizerFast) -> LlamaForCausalLM:
    """A Llama with fresh weights."""
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=recipe.width,
        intermediate_size=recipe.feed_forward,
        num_hidden_layers=recipe.layers,
        num_attention_heads=recipe.heads,
        num_key_value_heads=recipe.heads,
        max_position_embeddings=recipe.context,
        tie_word_embeddings=True,
        bos_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    # Eager attention: with autocast on CPUs, the backward pass of fused bf16 attention takes four times as long.
    return AutoModelForCausalLM.from_config(config, attn_implementation="eager")


def tokenizer_examples(recipe: Recipe) -> Iterator[Example]:
    """The examples that the tokenizer is fitted on."""
    rng = np.random.default_rng([recipe.seed, 1])
    return (example(rng, recipe.stages[0].manner) for _ in range(recipe.tokenizer_examples))


def block_of_examples(recipe: Recipe, block: int) -> tuple[list[Example], np.random.Generator]:
    """The examples of the `GROUP` batches from `GROUP * block` on, and the generator that drew them."""
    rng = np.random.default_rng([recipe.seed, 2, block])
    manner = recipe.stage_at(block * GROUP)[0].manner
    return [example(rng, manner) for _ in range(recipe.batch * GROUP)], rng


class Batches(IterableDataset[dict[str, torch.Tensor]]):
    """Batches `start`, `start + 1`, … of a recipe."""

    def __init__(self, recipe: Recipe, tokenizer: PreTrainedTokenizerFast, start: int) -> None:
        self.recipe, self.tokenizer, self.start = recipe, tokenizer, start

    def __iter__(self) -> Iterator[dict[str, torch.Tensor]]:
        """Yield `input_ids` and `labels` [batch, longest]."""
        size = self.recipe.batch
        for block in range(self.start // GROUP, -(-self.recipe.all_steps // GROUP)):
            drawn, rng = block_of_examples(self.recipe, block)
            rows = sorted(map(self._row, drawn), key=lambda row: len(row[0]))
            for place, index in enumerate(rng.permutation(GROUP)):
                if block * GROUP + place >= self.start:
                    yield _padded(rows[index * size : (index + 1) * size], self.tokenizer.pad_token_id)

    def _row(self, one: Example) -> tuple[list[int], list[int]]:
        prompt = self.tokenizer(control_text(one.prompt))["input_ids"]
        answer = [*self.tokenizer(one.answer)["input_ids"], self.tokenizer.eos_token_id]
        return [*prompt, *answer], [*([IGNORED] * len(prompt)), *answer]


def loss_of(model: LlamaForCausalLM, batch: dict[str, torch.Tensor]) -> torch.Tensor:
    """Mean cross-entropy over the answers' tokens; no others go through the output layer."""
    # Rows are padded on the right and attention is causal: no mask is needed.
    hidden = model.model(input_ids=batch["input_ids"]).last_hidden_state[:, :-1]
    labels = batch["labels"][:, 1:]
    wanted = labels != IGNORED
    return torch.nn.functional.cross_entropy(model.lm_head(hidden[wanted]).float(), labels[wanted])


def build_optimizers(recipe: Recipe, model: LlamaForCausalLM) -> list[torch.optim.Optimizer]:
    """Muon for the matrices inside the layers, AdamW for embeddings and norms.

    On these texts Muon reaches AdamW's loss in about three quarters of the steps.
    """
    matrices = [parameter for parameter in model.model.layers.parameters() if parameter.ndim == 2]
    inside = {id(parameter) for parameter in matrices}
    others = [parameter for parameter in model.parameters() if id(parameter) not in inside]
    return [
        torch.optim.Muon(
            matrices, lr=recipe.learning_rate, weight_decay=recipe.weight_decay, adjust_lr_fn="match_rms_adamw"
        ),
        torch.optim.AdamW(others, lr=recipe.embedding_learning_rate, betas=(0.9, 0.95), weight_decay=0.0),
    ]


def train(recipe: Recipe, out: Path, every: int = 250, *, compiled: bool = False) -> LlamaForCausalLM:
    """Run `run_training` with denormal numbers flushed to zero: sharp attention underflows to them, and they are slow.

    The flag applies to the whole process, so it is reset afterwards.
    """
    torch.set_flush_denormal(True)
    try:
        return run_training(recipe, out, every, compiled=compiled)
    finally:
        torch.set_flush_denormal(False)


def run_training(recipe: Recipe, out: Path, every: int, *, compiled: bool) -> LlamaForCausalLM:
    """Train, or resume from `out / "checkpoint"`, and write weights, tokenizer and recipe to `out`.

    Args:
        recipe: What to train.
        out: Folder of the result; its `checkpoint` folder is resumed from, and kept.
        every: Steps between checkpoints.
        compiled: Compile the layers first (needs a C++ compiler; about a minute, then a sixth faster on two cores).
    """
    accelerator = Accelerator(mixed_precision="bf16" if has_bf16() else "no")
    set_seed(recipe.seed)
    checkpoint = out / "checkpoint"
    tokenizer = _tokenizer(recipe, checkpoint)
    model = build_model(recipe, tokenizer)
    optimizers = build_optimizers(recipe, model)
    start = resume(checkpoint, model, optimizers, recipe)
    if compiled:
        model.model.compile(dynamic=True)
    heights = [optimizer.param_groups[0]["lr"] for optimizer in optimizers]
    loader = DataLoader(Batches(recipe, tokenizer, start), batch_size=None, num_workers=1, prefetch_factor=16)
    model, *optimizers = accelerator.prepare(model, *optimizers)
    bar = tqdm(
        total=recipe.all_steps, initial=start, desc="plot-English model", unit="step", mininterval=5, disable=None
    )
    for step, batch in enumerate(loader, start=start):
        if step >= recipe.all_steps:
            break
        if step in recipe.begins:
            fresh = build_optimizers(recipe, accelerator.unwrap_model(model))
            optimizers = [accelerator.prepare(optimizer) for optimizer in fresh]
        with accelerator.autocast():
            loss = loss_of(model, {name: tensor.to(accelerator.device) for name, tensor in batch.items()})
        accelerator.backward(loss)
        accelerator.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer, height in zip(optimizers, heights, strict=True):
            optimizer.param_groups[0]["lr"] = height * schedule(step, recipe)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        bar.update()
        if step % 20 == 0:
            bar.set_postfix(loss=f"{loss.item():.3f}")
        if (step + 1) % every == 0:
            save(checkpoint, accelerator.unwrap_model(model), optimizers, tokenizer, recipe, step + 1)
    bar.close()
    export(out, accelerator.unwrap_model(model), tokenizer, recipe)
    return accelerator.unwrap_model(model)


def schedule(step: int, recipe: Recipe) -> float:
    """The share of the learning rates: in each stage a linear warm-up, then a cosine decay to a hundredth."""
    stage, within = recipe.stage_at(step)
    if within < recipe.warmup:
        return stage.height * (within + 1) / recipe.warmup
    progress = (within - recipe.warmup) / max(1, stage.steps - recipe.warmup)
    return stage.height * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(1.0, progress))))


def save(
    checkpoint: Path,
    model: LlamaForCausalLM,
    optimizers: Sequence[torch.optim.Optimizer],
    tokenizer: PreTrainedTokenizerFast,
    recipe: Recipe,
    step: int,
) -> None:
    """Write a checkpoint: weights, optimiser moments, step, recipe and tokenizer."""
    checkpoint.mkdir(parents=True, exist_ok=True)
    tensors = {}
    for name, parameter in model.named_parameters():
        tensors[f"model.{name}"] = parameter.detach().clone()
        moments = next(optimizer.state[parameter] for optimizer in optimizers if parameter in optimizer.state)
        tensors.update({f"{key}.{name}": value for key, value in moments.items() if value.ndim})
    tokenizer.save_pretrained(checkpoint)
    # One file, which appears whole: a run that is killed meanwhile goes on from the checkpoint before.
    metadata = {"step": str(step), "recipe": json.dumps(asdict(recipe))}
    save_file(tensors, checkpoint / "state.tmp", metadata=metadata)
    (checkpoint / "state.tmp").replace(checkpoint / "state.safetensors")


def resume(
    checkpoint: Path, model: LlamaForCausalLM, optimizers: Sequence[torch.optim.Optimizer], recipe: Recipe
) -> int:
    """Load a checkpoint, if there is one, into model and optimisers, and return the step to continue from.

    Raises:
        ConfigurationError: The checkpoint was made with another recipe.
    """
    state = checkpoint / "state.safetensors"
    if not state.exists():
        return 0
    step, made_by = read_progress(state)
    done, wanted = made_by.until(step), recipe.until(step)
    if done != wanted:
        differ = [each.name for each in fields(Recipe) if getattr(done, each.name) != getattr(wanted, each.name)]
        raise ConfigurationError(
            f"{checkpoint} was made by another recipe: {', '.join(differ)} differ up to its step {step}. Train into "
            "another folder, or delete the checkpoint"
        )
    tensors = load_file(state)
    names = {parameter: name for name, parameter in model.named_parameters()}
    for parameter, name in names.items():
        parameter.data.copy_(tensors[f"model.{name}"])
    muon, adamw = optimizers
    for parameter in muon.param_groups[0]["params"]:
        muon.state[parameter] = {"momentum_buffer": tensors[f"momentum_buffer.{names[parameter]}"]}
    for parameter in adamw.param_groups[0]["params"]:
        adamw.state[parameter] = {
            "step": torch.tensor(float(recipe.stage_at(step)[1])),
            "exp_avg": tensors[f"exp_avg.{names[parameter]}"],
            "exp_avg_sq": tensors[f"exp_avg_sq.{names[parameter]}"],
        }
    return step


def read_progress(state: Path) -> tuple[int, Recipe]:
    """The step and the recipe of a checkpoint."""
    with safe_open(state, framework="pt") as file:
        metadata = file.metadata()
    return int(metadata["step"]), Recipe.from_json(json.loads(metadata["recipe"]))


def export(out: Path, model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, recipe: Recipe) -> None:
    """Write the model, the tokenizer and the recipe that the package ships.

    The exported weights of the last norm are multiplied by the recipe's sharpness, so temperature 1 of the exported
    model is a lower temperature of the trained one. This removes most of the many small probabilities of mistakes, and
    keeps a choice, though a narrower one, among a vague edit's outcomes.
    """
    model.generation_config = GenerationConfig(
        bos_token_id=tokenizer.pad_token_id, eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id
    )
    sharper = copy.deepcopy(model).to(torch.float32)
    sharper.model.norm.weight.data.mul_(recipe.sharpness)
    sharper.save_pretrained(out)
    tokenizer.save_pretrained(out)
    (out / "recipe.json").write_text(json.dumps(asdict(recipe), indent=2) + "\n")


def _tokenizer(recipe: Recipe, checkpoint: Path) -> PreTrainedTokenizerFast:
    if (checkpoint / "tokenizer.json").exists():
        return PreTrainedTokenizerFast.from_pretrained(checkpoint)
    return build_tokenizer(recipe)


def _padded(rows: list[tuple[list[int], list[int]]], pad: int) -> dict[str, torch.Tensor]:
    longest = max(len(tokens) for tokens, _ in rows)
    tokens = torch.tensor([row + [pad] * (longest - len(row)) for row, _ in rows])
    labels = torch.tensor([row + [IGNORED] * (longest - len(row)) for _, row in rows])
    return {"input_ids": tokens, "labels": labels}


def has_bf16() -> bool:
    """Whether the hardware computes in bf16; emulated, it is several times slower than float32."""
    if torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported())
    flags = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    return "amx_bf16" in flags or "avx512_bf16" in flags


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(description="Train a plot-English model from nothing, or resume a run.")
    parser.add_argument("--recipe", choices=RECIPES, default="plain", help="which model (%(default)s)")
    parser.add_argument("--out", type=Path, help="folder of the result (that of the package's own weights)")
    parser.add_argument("--seed", type=int, help="of weights and examples (the recipe's)")
    parser.add_argument("--stages", type=int, help="how many of the recipe's stages (all)")
    parser.add_argument("--steps", type=int, help="optimiser steps of the first (the recipe's)")
    parser.add_argument("--every", type=int, default=250, help="steps between checkpoints (%(default)s)")
    parser.add_argument("--learning-rate", type=float, help="at its height (the recipe's)")
    parser.add_argument("--compile", action="store_true", help="compile the layers first (needs a C++ compiler)")
    return parser


def main() -> None:
    """Run the command line."""
    arguments = parser().parse_args()
    recipe = RECIPES[arguments.recipe]
    count = len(recipe.stages) if arguments.stages is None else arguments.stages
    if not 1 <= count <= len(recipe.stages):
        parser().error(f"--stages: the recipe has {len(recipe.stages)}, got {count}")
    first, *others = recipe.stages[:count]
    given = {name: getattr(arguments, name) for name in ("seed", "learning_rate")}
    recipe = replace(
        recipe,
        stages=(replace(first, steps=arguments.steps or first.steps), *others),
        **{name: value for name, value in given.items() if value is not None},
    )
    train(recipe, arguments.out or weights_path(arguments.recipe), arguments.every, compiled=arguments.compile)


if __name__ == "__main__":
    main()
