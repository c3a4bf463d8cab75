"""ELM: find the best point of the latent space, and decode it into a text [1]. The other route, beside EAGLE.

A language model is taught to write the text of a point: an adapter turns z into soft tokens, which stand where a prompt
would. It is trained in two stages on the (z, text) pairs of the catalog, first the adapter alone with the model frozen,
then both. For a user, z* maximises the utility that EAGLE is rewarded by, over the same ball, by projected gradient
ascent from several starts; of as many decodes of z* as an episode has steps, the one whose re-encoded utility is
highest is handed in. What the decoder cannot write is lost between U(z*) and U(E(decode(z*))): ``quality`` measures
that gap, and how well texts that it has not seen are reconstructed.

Where it departs from the paper: the model is small; the utility is any of ours, so that its gradient is taken by
central differences (a point has few dimensions); and the best of several decodes is kept.

[1] Tennenholtz et al., "Demystifying Embedding Spaces using Large Language Models", ICLR 2024, arXiv 2310.04475.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from baselines import run
from baselines.agent import Draft
from baselines.search import utilities
from baselines.writers import world_of
from eagle_gym.envs import transition
from eagle_gym.envs.world import RawState, State, World
from eagle_gym.errors import ConfigurationError, LanguageModelError
from eagle_gym.language.loading import load_language_model
from eagle_gym.language.model import Completion, FinishReason
from eagle_gym.language.transformers import TransformersModel

ALGORITHM = "elm"
DIFFERENCE = 1e-3  # half the distance over which a utility's slope is taken, in units of Z
IGNORED = -100  # a target that has no part in the loss
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class ELMConfig:
    """Hyperparameters."""

    model: str = "embedded"
    """What is taught: "embedded" or "transformers:PATH_OR_NAME"."""
    soft_tokens: int = 8
    """Vectors that a point becomes."""
    hidden: int = 256
    """Width of the adapter's layer."""
    adapter_steps: int = 600
    """Updates of the first stage, of the adapter alone."""
    joint_steps: int = 600
    """Updates of the second stage, of adapter and model."""
    adapter_learning_rate: float = 1e-3
    """AdamW's step size in the first stage, and of the adapter in the second."""
    model_learning_rate: float = 1e-4
    """AdamW's step size of the model in the second stage."""
    batch_size: int = 32
    """Texts in an update."""
    max_grad_norm: float = 1.0
    """Length to which gradients are clipped."""
    starts: int = 8
    """Points from which z* is sought: where the text is, the catalog's best and random ones."""
    ascent_steps: int = 60
    """Steps of the ascent."""
    ascent_rate: float = 0.1
    """Length of its first step, in radii of the ball; it falls linearly to 0."""
    decodes: int = 0
    """Texts that are written for z*; 0 for as many as an episode has steps."""
    temperature: float = 1.0
    """Of the decodes."""
    max_tokens: int = 160
    """Longest text."""
    seed: int = 0
    """Of the adapter, of the batches, of the starts and of the decodes."""
    device: str = "cpu"
    """Where the model is."""

    def __post_init__(self) -> None:
        for name in ("soft_tokens", "hidden", "batch_size", "starts", "max_tokens"):
            if getattr(self, name) < 1:
                raise ConfigurationError(f"{name} is at least 1; {getattr(self, name)} came")
        for name in ("adapter_steps", "joint_steps", "ascent_steps", "decodes"):
            if getattr(self, name) < 0:
                raise ConfigurationError(f"{name} is at least 0; {getattr(self, name)} came")


class Decoder(nn.Module):
    """A language model that writes the text of a point.

    Args:
        config: Hyperparameters.
        dim: n, dimensions of the latent space.

    Raises:
        ConfigurationError: ``config.model`` names no model whose weights live in this process.
    """

    def __init__(self, config: ELMConfig, dim: int) -> None:
        super().__init__()
        source = load_language_model(config.model)
        if not isinstance(source, TransformersModel):
            raise ConfigurationError(f"ELM teaches a model whose weights are here; {config.model!r} came")
        self._format = source.prompt_format
        self.model: Any = source.load()[0]
        source.close()
        embedding = self.model.get_input_embeddings()
        self._shape = (config.soft_tokens, embedding.embedding_dim)
        self.adapter = nn.Sequential(
            nn.Linear(dim, config.hidden), nn.GELU(), nn.Linear(config.hidden, config.soft_tokens * self._shape[1])
        )
        # Soft tokens begin as large as the model's own, so that the frozen model reads them as something it may know.
        self.scale = float(embedding.weight.detach().norm(dim=1).mean())

    def soft(self, z: Tensor) -> Tensor:
        """Soft tokens ``[B, S, D]`` of points ``[B, n]``."""
        tokens: Tensor = self.adapter(z).view(len(z), *self._shape)
        return functional.normalize(tokens, dim=-1) * self.scale

    def forward(self, z: Tensor, targets: Tensor) -> Tensor:
        """Mean cross-entropy of texts as token ids ``[B, L]`` (:data:`IGNORED` past the end), given their points."""
        soft = self.soft(z)
        inside = targets != IGNORED
        told = self.model.get_input_embeddings()(targets.clamp_min(0))
        seen = torch.cat([torch.ones(soft.shape[:2], dtype=torch.bool, device=z.device), inside], dim=1)
        logits = self.model(
            inputs_embeds=torch.cat([soft, told], dim=1), attention_mask=seen.long(), use_cache=False
        ).logits[:, soft.shape[1] - 1 : -1]
        return functional.cross_entropy(logits.transpose(1, 2).float(), targets, ignore_index=IGNORED)

    def targets(self, texts: Sequence[str]) -> Tensor:
        """Token ids of texts, their ends included, ``[B, L]``."""
        ids = [self._format.encode_answer(text) for text in texts]
        padded = np.full((len(ids), max(map(len, ids))), IGNORED)
        for row, said in zip(padded, ids, strict=True):
            row[: len(said)] = said
        return torch.as_tensor(padded)

    @torch.no_grad()
    def write(self, z: Tensor, seed: int, *, temperature: float, max_tokens: int) -> list[Completion]:
        """A sampled text for each point ``[B, n]``; torch's global randomness is left as it is.

        It does not end before its first token: no text is no way to write a point.
        """
        soft = self.soft(z)
        stop = sorted(self._format.ending.stop)
        sampling: dict[str, Any] = {"do_sample": False}
        if temperature > 0:
            sampling = {"do_sample": True, "temperature": temperature, "top_k": 0, "top_p": 1.0}
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            rows = self.model.generate(
                inputs_embeds=soft,
                attention_mask=torch.ones(soft.shape[:2], dtype=torch.long, device=soft.device),
                min_new_tokens=1,
                max_new_tokens=max_tokens,
                eos_token_id=stop,
                pad_token_id=stop[0],
                **sampling,
            )
        return [self._read(row.tolist(), stop) for row in rows]

    def _read(self, tokens: list[int], stop: Sequence[int]) -> Completion:
        end = next((place for place, token in enumerate(tokens) if token in stop), len(tokens))
        text, _ = self._format.read(tokens[:end])
        reason: FinishReason = "stop" if end < len(tokens) else "length"
        return Completion(text, self._shape[0], min(end + 1, len(tokens)), reason)

    def trained(self) -> dict[str, Tensor]:
        """Named weights; of weights that stand under two names one alone."""
        return {name: weight.detach() for name, weight in self.named_parameters()}

    def restore(self, weights: dict[str, Tensor]) -> None:
        """Take the weights of :meth:`trained` over; RuntimeError where they are those of another decoder."""
        if set(weights) != set(self.trained()):
            raise RuntimeError(f"weights differ: {sorted(set(weights) ^ set(self.trained()))[:4]}")
        self.load_state_dict(weights, strict=False)


@dataclass
class ELMAgent:
    """A decoder that writes for users (a :class:`baselines.agent.Writer`).

    Attributes:
        decoder: The language model and its adapter.
        config: Hyperparameters.
        dim: n.
        steps: Environment steps it has seen: none.
        curve: One row per update.
        quality: What :func:`quality` has measured.
    """

    decoder: Decoder
    config: ELMConfig
    dim: int
    steps: int = 0
    curve: run.Curve = field(default_factory=list)
    quality: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._rng = np.random.default_rng(self.config.seed)
        self._world: World | None = None

    def bind(self, env: Any) -> None:  # noqa: ANN401 - any environment of eagle_gym
        """Say where it writes.

        Raises:
            ConfigurationError: The latent space has another dimension than the one it was taught.
        """
        world = world_of(env)
        if world.space.dim != self.dim:
            raise ConfigurationError(
                f"this decoder was taught points of {self.dim} dimensions; they have {world.space.dim}"
            )
        self._world = world

    @property
    def world(self) -> World:
        """Where it writes.

        Raises:
            ConfigurationError: That was never said.
        """
        if self._world is None:
            raise ConfigurationError("ELM writes for the users of an environment: call bind(env) first")
        return self._world

    def write(self, states: Sequence[State]) -> list[Draft]:
        """The best of several decodes of each user's z*.

        Raises:
            LanguageModelError: Nothing was written for a user in all the decodes.
        """
        z, _ = ascend(self.world, states, self.config, self._rng)
        count = self.config.decodes or self.world.settings.horizon
        best: dict[int, tuple[float, RawState]] = {}
        for _ in range(count):
            written = self.decode(z, states)
            for i, value in zip(written, utilities(self.world, list(written.values())), strict=True):
                if i not in best or value > best[i][0]:
                    best[i] = (float(value), written[i])
        if len(best) < len(states):
            lacking = next(states[i].user for i in range(len(states)) if i not in best)
            raise LanguageModelError(f"ELM wrote nothing for user {lacking} in {count} decodes; train it longer")
        after = transition.make_states(self.world, [best[i][1] for i in range(len(states))])
        return [Draft((old, new), ("decode z*",)) for old, new in zip(states, after, strict=True)]

    def decode(self, z: Floats, states: Sequence[State]) -> dict[int, RawState]:
        """A text for each point; rows for which nothing was written are left out. Each counts as a generation."""
        world, config = self.world, self.config
        points = torch.as_tensor(z, dtype=torch.float32, device=config.device)
        seed = int(self._rng.integers(2**63))
        written = self.decoder.write(points, seed, temperature=config.temperature, max_tokens=config.max_tokens)
        world.model.usage.add(written)
        return {
            i: RawState(said.text, old.user, old.item, old.step + 1, transition.is_proper(world, old.text, said.text))
            for i, (said, old) in enumerate(zip(written, states, strict=True))
            if said.text
        }

    def save(self, folder: Path, optimizer: torch.optim.Optimizer) -> None:
        """Write the run's folder."""
        tensors = {"agent": self.decoder.trained(), "optimizer": run.optimizer_tensors(optimizer)}
        facts = {"dim": self.dim, "steps": self.steps, "quality": self.quality}
        run.save(folder, ALGORITHM, self.config, tensors, self.curve, **facts)

    @classmethod
    def load(cls, folder: Path) -> ELMAgent:
        """Read a folder that :meth:`save` wrote.

        Raises:
            PreparationError: A file is missing, broken or of another format.
        """
        header = run.read_header(folder, dim=int, quality=dict)
        agent = make_agent(run.read_config(ELMConfig, header, folder), header["dim"])
        try:
            agent.decoder.restore(run.read_tensors(folder, "agent"))
        except RuntimeError as error:
            raise run.unreadable(folder, error) from error
        agent.curve, agent.quality = run.read_curve(folder), header["quality"]
        return agent


def make_agent(config: ELMConfig, dim: int) -> ELMAgent:
    """A decoder that has been taught nothing yet; torch's global randomness is left as it is."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        decoder = Decoder(config, dim)
    return ELMAgent(decoder.to(config.device).eval(), config, dim)


def ascend(world: World, states: Sequence[State], config: ELMConfig, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """z* of each state's user, ``[B, n]``, and its utility, ``[B]``.

    Projected gradient ascent in the ball that every embedding lies in, from where the text is, from the catalog's items
    that are best for the user, and from random points; the best point that any of them passes is kept.
    """
    rows, count, radius = len(states), config.starts, world.space.radius
    users = np.repeat(world.space.users[[state.user for state in states]], count, axis=0)
    items = np.repeat([state.item for state in states], count)

    def utility(z: Floats) -> Floats:  # [B * S, ...]
        times = len(z) // len(users)
        return world.resources.utility(z, np.tile(users, (times, 1)), np.tile(items, times)).total

    z = np.concatenate([starts(world, state, count, rng) for state in states])
    best, value = z.copy(), utility(z)
    for step in range(config.ascent_steps):
        slope = gradient(utility, z)
        length = np.maximum(np.linalg.norm(slope, axis=1, keepdims=True), 1e-12)
        z = z + config.ascent_rate * radius * (1 - step / config.ascent_steps) * slope / length
        z = z * np.minimum(1.0, radius / np.maximum(np.linalg.norm(z, axis=1, keepdims=True), 1e-12))
        now = utility(z)
        better = now > value
        best[better], value[better] = z[better], now[better]
    chosen = value.reshape(rows, count).argmax(axis=1)
    return best.reshape(rows, count, -1)[np.arange(rows), chosen], value.reshape(rows, count).max(axis=1)


def starts(world: World, state: State, count: int, rng: np.random.Generator) -> Floats:
    """``[S, n]``: the text's own point, the catalog's best for the user, and as many random ones in the ball."""
    items = world.space.items
    users = np.tile(world.space.users[state.user], (len(items), 1))
    worth = world.resources.utility(items, users, np.arange(len(items))).total
    top = items[np.argsort(-worth)[: (count - 1) // 2]]
    drawn = rng.standard_normal((count - 1 - len(top), world.space.dim))
    drawn *= world.space.radius * rng.random((len(drawn), 1)) / np.linalg.norm(drawn, axis=1, keepdims=True)
    return np.concatenate([state.z[None], top, drawn])[:count]


def gradient(utility: Any, z: Floats) -> Floats:  # noqa: ANN401 - points [M, n] to values [M]
    """Central differences ``[B, n]`` of a function of points, all of them in one call."""
    rows, dim = z.shape
    steps = DIFFERENCE * np.eye(dim)
    around = np.concatenate([z[None] + steps[:, None], z[None] - steps[:, None]])  # [2n, B, n]
    values = utility(around.reshape(-1, dim)).reshape(2, dim, rows)
    slope: Floats = ((values[0] - values[1]) / (2 * DIFFERENCE)).T
    return slope


def train(
    envs: gym.vector.VectorEnv[Any, Any, Any],
    config: ELMConfig | None = None,
    *,
    folder: Path | None = None,
    resume: bool = False,
    checkpoint_every: int = 100,
    progress: bool = True,
    label: str = "ELM",
) -> ELMAgent:
    """Teach a decoder the train items of an environment's catalog.

    Args:
        envs: An environment of eagle_gym; no step is taken in it.
        config: Hyperparameters; the defaults where None.
        folder: Where checkpoints and TensorBoard events go; nothing is written where None.
        resume: Go on from the checkpoint in ``folder`` where there is one.
        checkpoint_every: Updates between checkpoints.
        progress: Show a progress bar.
        label: Its name.

    Raises:
        ConfigurationError: The environment is of another kind, or ``resume`` finds another run.
        LanguageModelError: It writes nothing for a user when its quality is measured; the checkpoint is there.
        PreparationError: The checkpoint to resume is broken.
    """
    config = config or ELMConfig()
    world = world_of(envs)
    again = resume and folder is not None and (folder / run.HEADER).exists()
    agent = ELMAgent.load(folder) if again and folder else make_agent(config, world.space.dim)
    agent.bind(envs)
    optimizer = make_optimizer(agent.decoder)
    if again and folder:
        run.check_same_run(folder, agent.config, config, growing=("joint_steps",))
        run.restore_optimizer(optimizer, run.read_tensors(folder, "optimizer"))
        agent.config = config
    pairs = Pairs(world, config)
    done, total = len(agent.curve), config.adapter_steps + config.joint_steps
    with run.Log(total, done, label, folder, agent.curve, progress=progress, unit="update") as log:
        for step in range(done, total):
            loss = update(agent.decoder, pairs, optimizer, step)
            log.add(step + 1, {"loss": loss}, shown=("loss",))
            if folder and (step + 1) % checkpoint_every == 0:
                agent.save(folder, optimizer)
    agent.decoder.eval()
    if folder:
        agent.save(folder, optimizer)  # what was taught is kept, whatever comes of measuring it
    agent.quality = quality(agent, world)
    if folder:
        agent.save(folder, optimizer)
    return agent


def make_optimizer(decoder: Decoder) -> torch.optim.AdamW:
    """AdamW with two groups: the adapter, and the model."""
    return torch.optim.AdamW(
        [{"params": list(decoder.adapter.parameters())}, {"params": list(decoder.model.parameters())}], weight_decay=0.0
    )


class Pairs:
    """Points and texts of a catalog's train items.

    Args:
        world: Where they are.
        config: Hyperparameters.
    """

    def __init__(self, world: World, config: ELMConfig) -> None:
        rows = world.resources.split.train_items
        self.config = config
        self.texts = [world.catalog.items[int(row)].text for row in rows]
        self.z = np.asarray(world.space.encoder.encode(self.texts), np.float64)

    def batch(self, step: int) -> tuple[Floats, list[str]]:
        """An update's points and texts, drawn from (seed, step)."""
        size = min(self.config.batch_size, len(self.texts))
        rows = np.random.default_rng([self.config.seed, step]).choice(len(self.texts), size, replace=False)
        return self.z[rows], [self.texts[row] for row in rows]


def update(decoder: Decoder, pairs: Pairs, optimizer: torch.optim.Optimizer, step: int) -> float:
    """One update of the stage that a step belongs to; the loss before it."""
    config = pairs.config
    joint = step >= config.adapter_steps
    place, length = (step - config.adapter_steps, config.joint_steps) if joint else (step, config.adapter_steps)
    left = 1 - place / length
    rates = (config.adapter_learning_rate, config.model_learning_rate if joint else 0.0)
    for group, rate in zip(optimizer.param_groups, rates, strict=True):
        group["lr"] = rate * left
    decoder.train()
    for weight in decoder.model.parameters():
        weight.requires_grad_(joint)
    points, texts = pairs.batch(step)
    z = torch.as_tensor(points, dtype=torch.float32, device=config.device)
    loss: Tensor = decoder(z, decoder.targets(texts).to(config.device))
    optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_(
        [weight for weight in decoder.parameters() if weight.grad is not None], config.max_grad_norm
    )
    optimizer.step()
    return loss.item()


def quality(agent: ELMAgent, world: World, count: int = 64) -> dict[str, float]:
    """How well the decoder writes what it has not seen, and what is lost on the way from z* to a text.

    Args:
        agent: The decoder.
        world: Where it writes.
        count: Test items, and as many test users, at most.

    Returns:
        ``reconstruction``: mean distance between the point of a test item and the re-encoded text that was written
        for it; beside it ``nearest`` (to the nearest other item of the catalog) and ``random`` (to a random item).
        ``wish``: mean utility of z* for test users; ``granted``: of the text handed in; ``gap``: their difference.
    """
    rng = np.random.default_rng(agent.config.seed)
    split, space = world.resources.split, world.space
    items = rng.permutation(split.test_items)[:count]
    users = rng.choice(split.test_users, len(items))
    arrivals = [
        RawState(world.catalog.items[int(item)].text, int(user), int(item))
        for item, user in zip(items, users, strict=True)
    ]
    states = transition.make_states(world, arrivals)
    z = np.stack([state.z for state in states])
    written = agent.decode(z, states)
    again = [space.encoder.encode([arrival.text])[0] for arrival in written.values()]
    missed = [np.linalg.norm(there - z[i]) for i, there in zip(written, again, strict=True)]
    others = np.linalg.norm(z[:, None] - space.items[None], axis=2)  # [B, I]
    others[np.arange(len(z)), items] = np.inf
    nearest = others.min(axis=1)
    others[np.arange(len(z)), items] = np.nan
    wishes = ascend(world, states, agent.config, rng)[1]
    granted = np.array([draft.states[-1].total for draft in agent.write(states)])
    return {
        "reconstruction": float(np.mean(missed)) if missed else float("inf"),
        "nearest": float(nearest.mean()),
        "random": float(np.nanmean(others)),
        "wish": float(wishes.mean()),
        "granted": float(granted.mean()),
        "gap": float((wishes - granted).mean()),
    }
