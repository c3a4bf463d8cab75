"""Tune a causal language model to carry out edits: LoRA adapters, trained on the pairs of `edits`.

The batches are drawn in groups, the i-th group from the seed sequence (seed, i), so a run can be cut at any moment and
resumed from its last checkpoint with the batches it would have seen.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from eagle_gym.cache import write_whole
from eagle_gym.errors import ConfigurationError, PreparationError
from eagle_gym.language.editor.adapter import save_adapter
from eagle_gym.language.editor.edits import example
from eagle_gym.language.embedded.examples import Example
from eagle_gym.language.embedded.train import IGNORED, has_bf16
from eagle_gym.language.formats import PromptFormat
from eagle_gym.language.prompts import Prompt
from eagle_gym.language.transformers import TransformersModel
from eagle_gym.progress import progress_bar
from eagle_gym.seeding import stable_seed

GROUP: Final = 8  # batches drawn together and sorted by length, to pad less
WARMUP: Final = 20  # steps
SELF_MADE: Final = 0.2  # share of the examples that are self-made pairs, where there are any
DECAY: Final = 0.3  # share of the steps in which the learning rate falls to zero


@dataclass(frozen=True)
class Recipe:
    """Everything that determines an adapter, apart from the model that it is trained on and the free texts.

    Attributes:
        steps: Optimiser steps.
        batch: Examples a step.
        learning_rate: Of AdamW, at its height.
        rank: Of the update of each projection.
        scale: Factor of the updates: alpha / rank in other programs.
        memory: Share of the average weights that a step keeps; what is written are the averages, not the last weights.
        emphasis: Weight in the loss of tokens that the edit changes; tokens that repeat the text have weight 1.
        longest: Tokens of an example, prompt included; longer ones are drawn again.
        seed: Of weights and examples.
    """

    steps: int = 1000
    batch: int = 4
    learning_rate: float = 1e-3
    rank: int = 32
    scale: float = 2.0
    memory: float = 0.98
    emphasis: float = 4.0
    longest: int = 320
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("steps", "batch", "learning_rate", "rank", "scale", "emphasis", "longest"):
            if getattr(self, name) <= 0:
                raise ConfigurationError(f"expected {name} > 0, got {getattr(self, name)}")
        if not 0 <= self.memory < 1:
            raise ConfigurationError(f"expected 0 <= memory < 1, got {self.memory}")

    def height(self, step: int) -> float:
        """The share of the learning rate: a linear warm-up, then constant, then a linear decay to zero."""
        left = (self.steps - step) / max(1.0, DECAY * self.steps)
        return min(1.0, (step + 1) / WARMUP, left)

    def kept(self, step: int) -> float:
        """The share of the average weights that a step keeps: less at first, when they are far from any good."""
        return min(self.memory, step / (step + 10))

    def until(self, step: int) -> dict[str, Any]:
        """What determines the first steps: runs that agree in it can resume each other's checkpoints."""
        values = asdict(self)
        if step <= (1 - DECAY) * self.steps:
            del values["steps"]
        return values


class Row(NamedTuple):
    """One example in token ids.

    Attributes:
        tokens: [T] prompt and answer.
        weights: [T] weight of each token in the loss; 0 in the prompt.
    """

    tokens: list[int]
    weights: list[float]


def weigh(source: Sequence[int], answer: Sequence[int], emphasis: float) -> list[float]:
    """Weights of an answer's tokens: `emphasis` where it departs from its source, and for the token that comes next."""
    weights = [1.0] * len(answer)
    for tag, _, _, start, end in SequenceMatcher(None, source, answer, autojunk=False).get_opcodes():
        if tag != "equal":
            weights[start : min(end + 1, len(answer))] = [emphasis] * (min(end + 1, len(answer)) - start)
    return weights


def encode(prompt_format: PromptFormat, prompt: Prompt, answer: str, emphasis: float) -> Row:
    """An example as the model will be asked and should answer."""
    asked, _ = prompt_format.encode(prompt)
    said = prompt_format.encode_answer(answer)
    weights = weigh(prompt_format.encode_answer(prompt.text), said, emphasis)
    return Row([*asked, *said], [*([0.0] * len(asked)), *weights])


@dataclass(frozen=True)
class Material:
    """What examples are made of, apart from the package's own words.

    Attributes:
        texts: Free texts to edit, in addition to those filled in from templates.
        pairs: Pairs that a model has made (`pairs`); a share `SELF_MADE` of the examples is taken from them.
    """

    texts: Sequence[str] = ()
    pairs: Sequence[Example] = ()

    def draw(self, rng: np.random.Generator) -> Example:
        """An example."""
        if self.pairs and rng.random() < SELF_MADE:
            return self.pairs[int(rng.integers(len(self.pairs)))]
        return example(rng, self.texts)

    @property
    def hashes(self) -> dict[str, str]:
        """A hash of each part, kept with the recipe; none of pairs where there are none."""
        found = {"texts": f"{stable_seed(*self.texts):x}"}
        if self.pairs:
            parts = (part for one in self.pairs for part in (one.prompt.text, one.prompt.edit, one.answer))
            found["pairs"] = f"{stable_seed(*parts):x}"
        return found


def rows_of_group(recipe: Recipe, prompt_format: PromptFormat, material: Material, group: int) -> list[list[Row]]:
    """The batches of steps `GROUP * group` on, each of rows of similar lengths."""
    rng = np.random.default_rng([recipe.seed, 1, group])
    rows: list[Row] = []
    while len(rows) < GROUP * recipe.batch:
        one = material.draw(rng)
        row = encode(prompt_format, one.prompt, one.answer, recipe.emphasis)
        if len(row.tokens) <= recipe.longest:
            rows.append(row)
    rows.sort(key=lambda row: len(row.tokens))
    batches = [rows[place * recipe.batch :][: recipe.batch] for place in range(GROUP)]
    return [batches[int(place)] for place in rng.permutation(GROUP)]


def batches(
    recipe: Recipe, prompt_format: PromptFormat, material: Material, start: int
) -> Iterator[tuple[int, list[Row]]]:
    """Steps from `start` on, and the rows of each."""
    step = start
    while step < recipe.steps:
        for rows in rows_of_group(recipe, prompt_format, material, step // GROUP)[step % GROUP :]:
            if step < recipe.steps:
                yield step, rows
            step += 1


def loss_of(model: torch.nn.Module, rows: Sequence[Row], device: torch.device) -> torch.Tensor:
    """Weighted mean cross-entropy of the answers; only their positions go through the output layer."""
    longest = max(len(row.tokens) for row in rows)
    tokens = torch.tensor([row.tokens + [row.tokens[-1]] * (longest - len(row.tokens)) for row in rows], device=device)
    weights = torch.tensor([row.weights + [0.0] * (longest - len(row.weights)) for row in rows], device=device)
    first = min(next(place for place, weight in enumerate(row.weights) if weight) for row in rows)
    # Padding on the right is never looked back at, so no mask is needed.
    logits = model(input_ids=tokens, logits_to_keep=longest - first + 1, use_cache=False).logits[:, :-1]
    weights, targets = weights[:, first:], tokens[:, first:].masked_fill(weights[:, first:] == 0, IGNORED)
    losses = torch.nn.functional.cross_entropy(logits.float().transpose(1, 2), targets, reduction="none")
    return (losses * weights).sum() / weights.sum()


def add_adapters(model: Any, recipe: Recipe) -> Any:  # noqa: ANN401  # any model of transformers
    """Add fresh adapters to all linear layers except the output, and freeze the model's own weights.

    Raises:
        PreparationError: peft is not installed.
    """
    try:
        from peft import LoraConfig, inject_adapter_in_model
    except ImportError as error:
        raise PreparationError("training an editor needs peft: pip install 'eagle_gym[baselines]'") from error
    alpha: Any = recipe.scale * recipe.rank  # a float will do
    config = LoraConfig(r=recipe.rank, lora_alpha=alpha, target_modules="all-linear")
    return inject_adapter_in_model(config, model)


def train(
    base: str,
    out: Path,
    recipe: Recipe,
    texts: Sequence[str] = (),
    pairs: Sequence[Example] = (),
    *,
    every: int = 50,
) -> None:
    """Train, or resume from `out / "checkpoint"`, and write the adapter, the recipe and the log to `out`.

    Args:
        base: A folder in the Hugging Face layout, or a name on the hub.
        out: Folder of the result. Its `checkpoint` folder is resumed from, and kept.
        recipe: What to train.
        texts: Free texts to edit, in addition to those filled in from templates.
        pairs: Pairs that a model has made, mixed in.
        every: Steps between checkpoints.

    Raises:
        ConfigurationError: The base model speaks plot English only, or the checkpoint was made by another recipe.
        PreparationError: The base model or peft is missing.
    """
    from accelerate import Accelerator
    from accelerate.utils import set_seed

    opened = TransformersModel(base, base)
    if opened.language != "free":
        raise ConfigurationError(f"{base} speaks plot English: expected a general model such as SmolLM2-135M-Instruct")
    prompt_format = opened.prompt_format
    # The fingerprint covers weights and prompts.
    material = Material(texts, pairs)
    source = {"model": opened.fingerprint, **material.hashes}
    loaded, _ = opened.load()
    opened.close()
    set_seed(recipe.seed)
    # With autocast on CPUs, the backward pass of fused bf16 attention takes several times as long.
    loaded.set_attn_implementation("eager")
    model = add_adapters(loaded, recipe).train()
    trained = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    optimizer = torch.optim.AdamW(trained.values(), lr=recipe.learning_rate, weight_decay=0.0)
    averages = {name: parameter.detach().clone() for name, parameter in trained.items()}
    start = resume(out / "checkpoint", trained, averages, optimizer, recipe, source)
    accelerator = Accelerator(mixed_precision="bf16" if has_bf16() else "no")
    model, optimizer = accelerator.prepare(model, optimizer)
    out.mkdir(parents=True, exist_ok=True)
    name = Path(base).name if Path(base).exists() else base  # a recipe names no path of this machine
    write_json(out / "recipe.json", {"base": name, **source, **asdict(recipe)})
    bar = progress_bar(desc="editor", unit="step", total=recipe.steps - start)
    began = time.monotonic()
    for step, rows in batches(recipe, prompt_format, material, start):
        with accelerator.autocast():
            loss = loss_of(model, rows, accelerator.device)
        accelerator.backward(loss)
        accelerator.clip_grad_norm_(trained.values(), 1.0)
        optimizer.param_groups[0]["lr"] = recipe.learning_rate * recipe.height(step)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        for name, parameter in trained.items():
            averages[name] = averages[name].to(parameter.device).lerp_(parameter.detach(), 1 - recipe.kept(step))
        bar.update()
        bar.set_postfix(loss=f"{loss.item():.3f}")
        log(out / "log.jsonl", {"step": step, "loss": round(loss.item(), 4), "s": round(time.monotonic() - began, 1)})
        if (step + 1) % every == 0 or step + 1 == recipe.steps:
            save(out / "checkpoint", trained, averages, optimizer, recipe, source, step + 1)
    bar.close()
    save_adapter(out, averages, recipe.scale)


def save(
    checkpoint: Path,
    trained: Mapping[str, torch.nn.Parameter],
    averages: Mapping[str, torch.Tensor],
    optimizer: torch.optim.Optimizer,
    recipe: Recipe,
    source: Mapping[str, str],
    step: int,
) -> None:
    """Write a checkpoint, which appears whole: weights, averages, moments, step, recipe, source, the adapter so far."""
    tensors = {f"weight.{name}": parameter.detach().cpu() for name, parameter in trained.items()}
    tensors |= {f"average.{name}": value.cpu() for name, value in averages.items()}
    for name, parameter in trained.items():
        moments = optimizer.state[parameter]
        tensors |= {f"{key}.{name}": moments[key].cpu() for key in ("exp_avg", "exp_avg_sq")}

    def write(folder: Path) -> None:
        save_file(tensors, folder / "state.safetensors")
        save_adapter(folder, averages, recipe.scale)
        write_json(folder / "progress.json", {"step": step, "source": dict(source), "recipe": asdict(recipe)})

    write_whole(checkpoint, write)


def resume(
    checkpoint: Path,
    trained: Mapping[str, torch.nn.Parameter],
    averages: dict[str, torch.Tensor],
    optimizer: torch.optim.Optimizer,
    recipe: Recipe,
    source: Mapping[str, str],
) -> int:
    """Load a checkpoint, if there is one, into weights, averages and optimiser, and return the step to continue from.

    Raises:
        ConfigurationError: The checkpoint was made by another recipe, from another model, other texts or other pairs.
    """
    if not (checkpoint / "progress.json").exists():
        return 0
    progress = json.loads((checkpoint / "progress.json").read_text())
    step, made_by = int(progress["step"]), Recipe(**progress["recipe"])
    made_from = progress.get("source", {})
    others = [name for name in {**source, **made_from} if made_from.get(name) != source.get(name)]
    if others:
        raise ConfigurationError(
            f"{checkpoint} was made from another source: {', '.join(others)} differ. Train into another folder, or "
            "delete the checkpoint"
        )
    if made_by.until(step) != recipe.until(step):
        wanted = recipe.until(step)
        differ = [name for name, value in made_by.until(step).items() if wanted.get(name, value) != value]
        raise ConfigurationError(
            f"{checkpoint} was made by another recipe: {', '.join(differ) or 'steps'} differ up to its step {step}. "
            "Train into another folder, or delete the checkpoint"
        )
    tensors = load_file(checkpoint / "state.safetensors")
    for name, parameter in trained.items():
        parameter.data.copy_(tensors[f"weight.{name}"])
        averages[name] = tensors[f"average.{name}"]
        moments = {key: tensors[f"{key}.{name}"].to(parameter.device) for key in ("exp_avg", "exp_avg_sq")}
        optimizer.state[parameter] = {"step": torch.tensor(float(step)), **moments}
    return step


def write_json(path: Path, values: dict[str, Any]) -> None:
    """Write JSON, indented."""
    path.write_text(json.dumps(values, indent=2) + "\n")


def log(path: Path, row: dict[str, Any]) -> None:
    """Add a line of JSON to the log."""
    with path.open("a") as file:
        file.write(json.dumps(row) + "\n")
