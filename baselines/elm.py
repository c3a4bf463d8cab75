"""ELM: find the best point of the latent space and decode it into a text [1]. The alternative to EAGLE.

A language model learns to write the text of a point: an adapter turns z into soft tokens, which take the place of a
prompt. Training has two stages on the (z, text) pairs of the catalog: the adapter with the model frozen, then both.

For a user, z* maximises the utility that rewards EAGLE, over the same ball, by projected gradient ascent from several
starts. z* is decoded as many times as an episode has steps, and the text with the highest re-encoded utility is
returned, well-formed ones first. A decode that is not well-formed is drawn again, as rewrites are. The gap between
U(z*) and U(E(decode(z*))) is what the decoder cannot write; `quality` measures it, and how well unseen texts are
reconstructed.

Differences from the paper: the model is small; the utility may be any function, so its gradient is taken by central
differences (a point has few dimensions); and the best of several decodes is kept.

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
from baselines.agent import Trajectory
from baselines.config import check_at_least
from baselines.worlds import utilities, world_of
from eagle_gym import plot_english
from eagle_gym.envs import transition
from eagle_gym.envs.world import RawState, State, World
from eagle_gym.errors import ConfigurationError, LanguageModelError
from eagle_gym.language.loading import load_language_model
from eagle_gym.language.model import Completion, FinishReason
from eagle_gym.language.rewriting import ATTEMPTS, carried_tags, visible
from eagle_gym.language.transformers import TransformersModel
from eagle_gym.latent.geometry import central_differences, project_to_ball

ALGORITHM = "elm"
IGNORED = -100  # a target that the loss leaves out
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class ELMConfig:
    """Hyperparameters."""

    model: str = "embedded"
    """The language model: "embedded" or "transformers:PATH_OR_NAME"."""
    soft_tokens: int = 8
    """Soft tokens for a point."""
    hidden: int = 256
    """Width of the adapter's hidden layer."""
    adapter_steps: int = 600
    """Updates in the first stage, of the adapter only."""
    joint_steps: int = 600
    """Updates in the second stage, of adapter and model."""
    adapter_learning_rate: float = 1e-3
    """AdamW's step size in the first stage, and of the adapter in the second."""
    model_learning_rate: float = 1e-4
    """AdamW's step size of the model in the second stage."""
    batch_size: int = 32
    """Texts in an update."""
    max_grad_norm: float = 1.0
    """Norm to which gradients are clipped."""
    starts: int = 8
    """Starts of the ascent: the text's own point, the catalog's best items and random points."""
    ascent_steps: int = 60
    """Steps of the ascent from each start."""
    ascent_rate: float = 0.1
    """Length of the first step, in radii of the ball; it falls linearly to 0."""
    decodes: int = 0
    """Decodes of z*; 0 for as many as an episode has steps."""
    temperature: float = 1.0
    """Temperature of the decodes."""
    max_tokens: int = 160
    """Longest text, in tokens."""
    seed: int = 0
    """Seed of the adapter, the batches, the starts and the decodes."""
    device: str = "cpu"
    """Device of the model."""

    def __post_init__(self) -> None:
        check_at_least(self, 1, "soft_tokens", "hidden", "batch_size", "starts", "max_tokens")
        check_at_least(self, 0, "adapter_steps", "joint_steps", "ascent_steps", "decodes")


class EmbeddingDecoder(nn.Module):
    """A language model that writes the text of a point.

    Args:
        config: Hyperparameters.
        dim: n, dimensions of the latent space.

    Raises:
        ConfigurationError: `config.model` names a model whose weights are not in this process.
    """

    def __init__(self, config: ELMConfig, dim: int) -> None:
        super().__init__()
        source = load_language_model(config.model)
        if not isinstance(source, TransformersModel):
            raise ConfigurationError(
                f"model: expected a model whose weights ELM can train, got {config.model!r}: choose 'embedded' or "
                "'transformers:...'"
            )
        self._format = source.prompt_format
        self.language = self._format.language
        self.model: Any = source.load()[0]
        source.close()
        embedding = self.model.get_input_embeddings()
        self._shape = (config.soft_tokens, embedding.embedding_dim)
        self.adapter = nn.Sequential(
            nn.Linear(dim, config.hidden), nn.GELU(), nn.Linear(config.hidden, config.soft_tokens * self._shape[1])
        )
        # Soft tokens start with the norm of the model's own embeddings, which the frozen model can read.
        self.scale = float(embedding.weight.detach().norm(dim=1).mean())

    def soft(self, z: Tensor) -> Tensor:
        """Soft tokens `[B, S, D]` of points `[B, n]`."""
        tokens: Tensor = self.adapter(z).view(len(z), *self._shape)
        return functional.normalize(tokens, dim=-1) * self.scale

    def forward(self, z: Tensor, targets: Tensor) -> Tensor:
        """Mean cross-entropy of texts as token ids `[B, L]` (`IGNORED` after the end), given their points."""
        soft = self.soft(z)
        inside = targets != IGNORED
        embedded = self.model.get_input_embeddings()(targets.clamp_min(0))
        seen = torch.cat([torch.ones(soft.shape[:2], dtype=torch.bool, device=z.device), inside], dim=1)
        logits = self.model(
            inputs_embeds=torch.cat([soft, embedded], dim=1), attention_mask=seen.long(), use_cache=False
        ).logits[:, soft.shape[1] - 1 : -1]
        return functional.cross_entropy(logits.transpose(1, 2).float(), targets, ignore_index=IGNORED)

    def targets(self, texts: Sequence[str]) -> Tensor:
        """Token ids of what the model can write of some texts, with end tokens, `[B, L]`."""
        ids = [self._format.encode_answer(visible(text, self.language)) for text in texts]
        padded = np.full((len(ids), max(map(len, ids))), IGNORED)
        for row, said in zip(padded, ids, strict=True):
            row[: len(said)] = said
        return torch.as_tensor(padded)

    @torch.no_grad()
    def write(self, z: Tensor, seed: int, *, temperature: float, max_tokens: int) -> list[Completion]:
        """Write a text for each point `[B, n]`; torch's global random state is left unchanged.

        At least one token is always generated.
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
        """Named weights; tied weights appear once."""
        return {name: weight.detach() for name, weight in self.named_parameters()}

    def restore(self, weights: dict[str, Tensor]) -> None:
        """Load the weights of `trained`; RuntimeError if they are those of another decoder."""
        run.restore_weights(self, weights, self.trained())


@dataclass
class ELMAgent:
    """A decoder that writes for users; a `baselines.agent.Writer`.

    Attributes:
        decoder: The language model and its adapter.
        config: Hyperparameters.
        dim: n.
        steps: Environment steps it has seen, always 0.
        curve: One row for each update.
        quality: The result of `quality`.
    """

    decoder: EmbeddingDecoder
    config: ELMConfig
    dim: int
    steps: int = 0
    curve: run.Curve = field(default_factory=list)
    quality: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._rng = np.random.default_rng(self.config.seed)
        self._world: World | None = None

    def reseed(self, rng: np.random.Generator) -> None:
        """Draw from another generator from now on."""
        self._rng = rng

    def bind(self, env: Any) -> None:  # noqa: ANN401 - any environment of eagle_gym
        """Set the environment that it writes in.

        Raises:
            ConfigurationError: The latent space has another dimension than in training.
        """
        world = world_of(env)
        if world.space.dim != self.dim:
            raise ConfigurationError(
                f"expected points of {self.dim} dimensions, as in training, got {world.space.dim}: "
                "evaluate in an environment with the same latent space"
            )
        self._world = world

    @property
    def world(self) -> World:
        """The world that it writes in.

        Raises:
            ConfigurationError: `bind` was not called.
        """
        if self._world is None:
            raise ConfigurationError("ELM needs the environment whose users it writes for: call bind(env) first")
        return self._world

    def write(self, states: Sequence[State]) -> list[Trajectory]:
        """Return the best of several decodes of each user's z*, well-formed ones first.

        Raises:
            LanguageModelError: All decodes for a user were empty.
        """
        z, _ = ascend(self.world, states, self.config, self._rng)
        count = self.config.decodes or self.world.settings.horizon
        best: dict[int, tuple[tuple[bool, float], RawState]] = {}
        for _ in range(count):
            written = self.decode(z, states)
            for i, value in zip(written, utilities(self.world, list(written.values())), strict=True):
                rank = written[i].valid, float(value)
                if i not in best or rank > best[i][0]:
                    best[i] = (rank, written[i])
        if len(best) < len(states):
            missing = next(states[i].user for i in range(len(states)) if i not in best)
            raise LanguageModelError(f"ELM wrote nothing for user {missing} in {count} decodes: train it longer")
        after = transition.make_states(self.world, [best[i][1] for i in range(len(states))])
        after = transition.with_rewards(self.world, states, after)
        return [Trajectory((old, new), ("decode z*",)) for old, new in zip(states, after, strict=True)]

    def decode(self, z: Floats, states: Sequence[State]) -> dict[int, RawState]:
        """A text for each point, without rows whose text is empty; each attempt at a row counts as one generation.

        The rule is that of rewrites: plot English that does not parse is drawn again, as often as there, and the last
        attempt counts whatever it is. A decoder of plot English writes no tags: the text has those that the state
        carries.
        """
        written = self._draw(z, states, range(len(states)))
        parses = self.decoder.language == "plot_english" and self.world.resources.speaks_plot_english
        for _ in range(1, ATTEMPTS if parses and self.config.temperature > 0 else 1):
            failed = [i for i in range(len(states)) if i not in written or not written[i].valid]
            if failed:
                self.world.model.usage.retries += len(failed)
                written |= self._draw(z, states, failed)
        return written

    def _draw(self, z: Floats, states: Sequence[State], rows: Sequence[int]) -> dict[int, RawState]:
        """One attempt at the texts of some rows."""
        config = self.config
        points = torch.as_tensor(z[list(rows)], dtype=torch.float32, device=config.device)
        seed = int(self._rng.integers(2**63))
        written = self.decoder.write(points, seed, temperature=config.temperature, max_tokens=config.max_tokens)
        self.world.model.usage.add(written)
        return {i: self._next(said.text, states[i]) for i, said in zip(rows, written, strict=True) if said.text}

    def _next(self, written: str, old: State) -> RawState:
        text = plot_english.with_tags(written, carried_tags(old.text, self.decoder.language))
        return transition.next_text(self.world, old, text)

    def save(self, folder: Path, optimizer: torch.optim.Optimizer) -> None:
        """Write a checkpoint."""
        tensors = {"agent": self.decoder.trained(), "optimizer": run.optimizer_tensors(optimizer)}
        facts = {"dim": self.dim, "steps": self.steps, "quality": self.quality}
        run.save(folder, ALGORITHM, self.config, tensors, self.curve, **facts)

    @classmethod
    def load(cls, folder: Path) -> ELMAgent:
        """Read a checkpoint.

        Raises:
            PreparationError: A file is missing, broken or of another format.
        """
        header = run.read_header(folder, dim=int, quality=dict)
        agent = make_agent(run.read_config(ELMConfig, header, folder), header["dim"])
        run.load_weights(agent.decoder.restore, folder, "agent")
        agent.curve, agent.quality = run.read_checkpoint_curve(folder), header["quality"]
        return agent


def make_agent(config: ELMConfig, dim: int) -> ELMAgent:
    """Make an untrained decoder; torch's global random state is left unchanged."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        decoder = EmbeddingDecoder(config, dim)
    return ELMAgent(decoder.to(config.device).eval(), config, dim)


def ascend(world: World, states: Sequence[State], config: ELMConfig, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """z* of each state's user, `[B, n]`, and what it is paid after one step, `[B]`.

    The method is projected gradient ascent in the ball that contains every embedding. It starts from the text's own
    point, from the catalog's best items for the user and from random points, and keeps the best point on any path.
    """
    rows, count, radius = len(states), config.starts, world.space.radius
    users, items, steps = np.repeat([(s.user, s.item, s.step + 1) for s in states], count, axis=0).T
    origins = np.repeat([state.start for state in states], count, axis=0)

    def utility(z: Floats) -> Floats:  # [B * S, ...]
        times = len(z) // len(users)
        columns = np.tile(users, times), np.tile(items, times), np.tile(origins, (times, 1)), np.tile(steps, times)
        return world.priced(z, *columns).total

    z = np.concatenate([starts(world, state, count, rng) for state in states])
    best, value = z.copy(), utility(z)
    for step in range(config.ascent_steps):
        slope = central_differences(utility, z)
        length = np.maximum(np.linalg.norm(slope, axis=1, keepdims=True), 1e-12)
        stride = config.ascent_rate * radius * (1 - step / config.ascent_steps)
        z = project_to_ball(z + stride * slope / length, radius)
        reached = utility(z)
        better = reached > value
        best[better], value[better] = z[better], reached[better]
    chosen = value.reshape(rows, count).argmax(axis=1)
    return best.reshape(rows, count, -1)[np.arange(rows), chosen], value.reshape(rows, count).max(axis=1)


def starts(world: World, state: State, count: int, rng: np.random.Generator) -> Floats:
    """Starts of the ascent, `[S, n]`: the text's own point, the user's best items, and random points in the ball."""
    items = world.space.items
    users = np.full(len(items), state.user)
    values = world.priced.anchored(state.start)(items, users, np.arange(len(items))).total
    top = items[np.argsort(-values)[: (count - 1) // 2]]
    drawn = rng.standard_normal((count - 1 - len(top), world.space.dim))
    drawn *= world.space.radius * rng.random((len(drawn), 1)) / np.linalg.norm(drawn, axis=1, keepdims=True)
    return np.concatenate([state.z[None], top, drawn])[:count]


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
    """Train a decoder on the train items of an environment's catalog.

    Args:
        envs: An environment of eagle_gym; no step is taken in it.
        config: Hyperparameters; the defaults if None.
        folder: Where checkpoints and TensorBoard events go; nothing is written if None.
        resume: Continue from the checkpoint in `folder` if there is one.
        checkpoint_every: Updates between checkpoints.
        progress: Show a progress bar.
        label: Name shown next to the progress bar.

    Raises:
        ConfigurationError: The environment is of another kind, or `resume` finds another run.
        LanguageModelError: It writes nothing for a user when its quality is measured; the checkpoint is kept.
        PreparationError: The checkpoint is broken or cannot be written.
    """
    config = config or ELMConfig()
    world = world_of(envs)
    earlier = run.resumable(folder, resume)
    agent = ELMAgent.load(earlier) if earlier else make_agent(config, world.space.dim)
    agent.bind(envs)
    optimizer = make_optimizer(agent.decoder)
    if earlier:
        run.check_same_run(earlier, agent.config, config, growing=("joint_steps",))
        run.restore_optimizer(optimizer, run.read_tensors(earlier, "optimizer"))
        agent.config = config
    pairs = PointTextPairs(world, config)
    done, total = len(agent.curve), config.adapter_steps + config.joint_steps
    with run.TrainingLog(total, done, label, folder, agent.curve, progress=progress, unit="update") as log:
        for step in range(done, total):
            loss = update(agent.decoder, pairs, optimizer, step)
            log.add(step + 1, {"loss": loss}, shown=("loss",))
            if folder and (step + 1) % checkpoint_every == 0:
                agent.save(folder, optimizer)
    agent.decoder.eval()
    if folder:
        agent.save(folder, optimizer)  # so that it is kept if measuring fails
    agent.quality = quality(agent, world)
    if folder:
        agent.save(folder, optimizer)
    return agent


def make_optimizer(decoder: EmbeddingDecoder) -> torch.optim.AdamW:
    """AdamW with two groups: the adapter, and the model."""
    return torch.optim.AdamW(
        [{"params": list(decoder.adapter.parameters())}, {"params": list(decoder.model.parameters())}], weight_decay=0.0
    )


class PointTextPairs:
    """Points and texts of a catalog's train items.

    Args:
        world: World of the catalog.
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


def update(decoder: EmbeddingDecoder, pairs: PointTextPairs, optimizer: torch.optim.Optimizer, step: int) -> float:
    """Make one update in the stage that a step belongs to; returns the loss before it."""
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
    """Measure how well the decoder writes unseen texts, and how much utility is lost from z* to its text.

    Args:
        agent: The decoder.
        world: World of the catalog.
        count: Number of test items and test users, at most.

    Returns:
        `reconstruction`: mean distance between a test item's point and the re-encoded text written for it. For
        comparison, `nearest` and `random`: mean distance to the nearest other item and to a random item. `optimum`:
        mean utility of z* for test users. `achieved`: mean utility of the returned texts. `gap`: their difference.
    """
    rng = np.random.default_rng(agent.config.seed)
    split, space = world.resources.split, world.space
    items = rng.permutation(split.test_items)[:count]
    users = rng.choice(split.test_users, len(items))
    drawn = [
        RawState(world.catalog.items[int(item)].text, int(user), int(item))
        for item, user in zip(items, users, strict=True)
    ]
    states = transition.make_states(world, drawn)
    z = np.stack([state.z for state in states])
    written = agent.decode(z, states)
    written_z = [space.encoder.encode([raw.text])[0] for raw in written.values()]
    missed = [np.linalg.norm(point - z[i]) for i, point in zip(written, written_z, strict=True)]
    others = np.linalg.norm(z[:, None] - space.items[None], axis=2)  # [B, I]
    others[np.arange(len(z)), items] = np.inf
    nearest = others.min(axis=1)
    others[np.arange(len(z)), items] = np.nan
    optima = ascend(world, states, agent.config, rng)[1]
    achieved = np.array([path.states[-1].total for path in agent.write(states)])
    return {
        "reconstruction": float(np.mean(missed)) if missed else float("inf"),
        "nearest": float(nearest.mean()),
        "random": float(np.nanmean(others)),
        "optimum": float(optima.mean()),
        "achieved": float(achieved.mean()),
        "gap": float((optima - achieved).mean()),
    }
