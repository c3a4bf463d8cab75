"""CoLA as an agent that writes its texts itself, its training from stage 1 to 5, and its checkpoints."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor

from baselines import run
from baselines.agent import Trajectory
from baselines.cola.config import CoLAConfig
from baselines.cola.grpo import GRPO, CodeActor, make_actor
from baselines.cola.mcts import DoubleQ, Tree, fit_q
from baselines.cola.pairs import Stream, draw_pairs
from baselines.cola.stages import Learning, Updater, stages
from baselines.cola.turns import Rewrite, by_codes, by_tokens, next_state, profile_of, rewrites
from baselines.worlds import fresh_seeds, world_of
from eagle_gym.envs import transition
from eagle_gym.envs.world import State, World
from eagle_gym.errors import ConfigurationError, PreparationError
from eagle_gym.language.codes import CodeModel, make_codes
from eagle_gym.language.rewriting import ATTEMPTS
from eagle_gym.language.sampling import derived_seed, draw_again

ALGORITHM = "cola"
EXPORTED = "codes"  # folder of the code model in that of a run


@dataclass
class CoLAAgent:
    """A language model that writes under codes, or the same one trained over tokens; a `baselines.agent.Writer`.

    Attributes:
        learning: The code model with its inverse dynamics model.
        config: Hyperparameters.
        q: The Q functions of the tree search; None without one.
        steps: Rewrites drawn in stage 4.
        curve: One row for each update of each stage.
    """

    learning: Learning
    config: CoLAConfig
    q: DoubleQ | None = None
    steps: int = 0
    curve: run.Curve = field(default_factory=list)

    def __post_init__(self) -> None:
        self._rng = np.random.default_rng(self.config.seed)
        self._world: World | None = None

    def reseed(self, rng: np.random.Generator) -> None:
        """Draw from another generator from now on."""
        self._rng = rng

    @property
    def model(self) -> CodeModel:
        """The code model."""
        return self.learning.model

    def bind(self, env: Any) -> None:  # noqa: ANN401 - any environment of eagle_gym
        """Set the environment that it writes in."""
        self._world = world_of(env)

    @property
    def world(self) -> World:
        """The world that it writes in.

        Raises:
            ConfigurationError: `bind` was not called.
        """
        if self._world is None:
            raise ConfigurationError("CoLA needs the environment whose users it writes for: call bind(env) first")
        return self._world

    def write(self, states: Sequence[State]) -> list[Trajectory]:
        """Rewrite each state's text as many times as an episode has steps; each turn drawn counts as a generation."""
        paths = [Trajectory((state,), ()) for state in states]
        while not transition.is_over(self.world, paths[0].states[-1]):
            before = [path.states[-1] for path in paths]
            written = self.rewrite(before)
            raw = [next_state(self.world, old, new) for old, new in zip(before, written, strict=True)]
            after = transition.make_states(self.world, raw)
            after = transition.with_rewards(self.world, before, after)
            paths = [
                Trajectory((*path.states, new), (*path.edits, said.edit or "nothing"))
                for path, new, said in zip(paths, after, written, strict=True)
            ]
        return paths

    def rewrite(self, states: Sequence[State]) -> list[Rewrite]:
        """One rewrite of each state's text, by search if there is one.

        Without a search, a rewrite in plot English that does not parse or is not finished is drawn again, both turns of
        it, as often as an environment draws a text that does not parse. The last attempt counts whatever it is.
        """
        config, world = self.config, self.world
        if config.search and self.q is not None:
            return Tree(self.model, self.q, config, world).search(states, self._rng)
        seeds = fresh_seeds(self._rng, len(states))
        parses = self.model.format.language == "plot_english" and world.resources.speaks_plot_english

        def again(rows: Sequence[int], attempt: int) -> list[Rewrite]:
            found = self._draw([states[row] for row in rows], [derived_seed(seeds[row], attempt) for row in rows])
            world.model.usage.retries += sum(len(one.turns) for one in found)
            return found

        attempts = range(1, ATTEMPTS if parses and config.temperature > 0 else 1)
        return draw_again(self._draw(states, seeds), lambda one: one.parses, again, attempts)

    def _draw(self, states: Sequence[State], seeds: Sequence[int]) -> list[Rewrite]:
        """One attempt at a rewrite of each state's text."""
        config, world = self.config, self.world
        texts = [state.text for state in states]
        profiles = [profile_of(world, state.user) for state in states]
        if config.acts == "codes":
            chooser = by_codes(self.model, seeds, config.max_tokens, config.temperature)
        else:
            chooser = by_tokens(self.model.base, seeds, config.max_tokens, config.temperature)
        found = rewrites(self.model.base, self.model.format, texts, profiles, chooser, config.max_tokens)
        world.model.usage.add([said for row in found for said in row.completions()])
        return found

    @property
    def changes_base(self) -> bool:
        """Whether training changes the base model's weights."""
        return self.config.acts == "tokens" or self.config.guidance_steps > 0

    def tensors(self) -> dict[str, dict[str, Tensor]]:
        """Everything that was trained, by file."""
        found = {"codes": self.model.trained(), "inverse": self.learning.inverse.state_dict()}
        if self.changes_base:
            found["base"] = dict(self.model.base.named_parameters())
        if self.q is not None:
            found["q"] = self.q.state_dict()
        return found

    def save(self, folder: Path, extra: dict[str, dict[str, Tensor]]) -> None:
        """Write a checkpoint; `extra` is what a resumed run needs besides."""
        facts = {"steps": self.steps, "base": self.model.fingerprint}
        run.save(folder, ALGORITHM, self.config, self.tensors() | extra, self.curve, **facts)

    @classmethod
    def load(cls, folder: Path) -> CoLAAgent:
        """Read a checkpoint.

        Raises:
            PreparationError: A file is missing, broken or of another format, or the base model is another one now.
        """
        header = run.read_header(folder, steps=int, tensors=dict, base=str)
        agent = make_agent(run.read_config(CoLAConfig, header, folder))
        if header["base"] != agent.model.fingerprint:
            raise PreparationError(
                f"{folder / run.HEADER}: expected the base model {header['base']}, got {agent.model.fingerprint} from "
                f"{agent.config.model!r}: put back the base model that it was trained on, or train the agent again"
            )
        run.load_weights(lambda own: agent.model.load_state_dict(own, strict=False), folder, "codes")
        run.load_weights(agent.learning.inverse.load_state_dict, folder, "inverse")
        if agent.changes_base:
            run.load_weights(lambda own: agent.model.base.load_state_dict(own, strict=False), folder, "base")
        if "q" in header["tensors"]:
            agent.q = DoubleQ(agent.model.width, agent.config.codes).to(agent.model.device).eval().requires_grad_(False)
            run.load_weights(agent.q.load_state_dict, folder, "q")
        agent.steps, agent.curve = header["steps"], run.read_checkpoint_curve(folder)
        return agent


def make_agent(config: CoLAConfig) -> CoLAAgent:
    """An untrained agent; torch's global random state is left unchanged."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        learning = Learning(config, make_codes(config.sizes, config.seed))
    return CoLAAgent(learning.to(config.device).eval(), config)


class Training:
    """A training from stage 1 to 5, which can be cut between any two updates.

    Args:
        agent: The agent, as far as it is.
        world: World of the train users.
        folder: Where checkpoints go; None for none.
        log: Curve, bar and events.
        accelerator: Of one process, as from `one_process`.
        every: Updates between checkpoints.
        stream: The training stream, if there is one already.
    """

    def __init__(
        self,
        agent: CoLAAgent,
        world: World,
        folder: Path | None,
        log: run.TrainingLog,
        accelerator: Accelerator,
        *,
        every: int,
        stream: Stream | None,
    ) -> None:
        self.agent, self.world, self.folder, self._log, self._every = agent, world, folder, log, every
        self._stream, self._accelerator = stream, accelerator
        self._extra: dict[str, dict[str, Tensor]] = {}
        self._kept: dict[str, dict[str, Tensor]] = {}  # beside the agent: what a longer training goes on from

    def run(self) -> None:
        """Do every update that is left."""
        config = self.agent.config
        done = len(self.agent.curve)
        planned = 0
        if config.acts == "codes" and done < before_rl(config):
            for stage in stages(self.agent.learning, self._streamed()):
                planned += stage.steps
                if done < planned:
                    update = Updater(stage, config.max_grad_norm, self._accelerator)
                    self._do(stage.name, update, update.optimizer, planned - stage.steps, planned)
        self.agent.learning.requires_grad_(False)
        self._rl(before_rl(config))
        if config.search and self.agent.q is None:
            self.agent.q = fit_q(self.agent.model, config, self.world)
        if self.folder:
            self.agent.save(self.folder, self._kept or self._on_disk())
            if not self.agent.changes_base:  # what `eagle_gym.envs.latent_actions` reads
                self.agent.model.save(self.folder / EXPORTED)

    def _streamed(self) -> Stream:
        """The training stream with the hidden states of the base model before stage 3."""
        config, model = self.agent.config, self.agent.model
        if self._stream is None:
            frozen = make_codes(config.sizes, config.seed) if config.guidance_steps else model
            self._stream = Stream(frozen.to(model.device), draw_pairs(model.format, config.pairs, config.seed))
        return self._stream

    def _rl(self, begin: int) -> None:
        config = self.agent.config
        if not config.rl_steps or len(self.agent.curve) >= begin + config.rl_steps:
            return
        for weight in self.agent.model.policy.parameters():
            weight.requires_grad_(True)
        actor = make_actor(config, self.agent.model)
        grpo = GRPO(config, self.world, actor, self._accelerator)
        if len(self.agent.curve) > begin and self.folder and isinstance(actor, CodeActor):
            run.load_weights(actor.start.load_state_dict, self.folder, "start")
        if isinstance(actor, CodeActor):
            self._extra["start"] = actor.start.state_dict()
        self._do("rl", grpo.update, grpo.optimizer, begin, begin + config.rl_steps)

    def _do(self, name: str, update: Any, optimizer: torch.optim.Optimizer, begin: int, end: int) -> None:  # noqa: ANN401
        agent, done = self.agent, len(self.agent.curve)
        if done > begin and self.folder:
            run.restore_optimizer(optimizer, run.read_tensors(self.folder, "optimizer"))
        for number in range(max(done, begin), end):
            facts = update(number - begin)
            if name == "rl":
                agent.steps += agent.config.prompts * agent.config.group_size
            self._log.add(number + 1, {f"{name}/{key}": value for key, value in facts.items()}, shown=SHOWN)
            if self.folder and ((number + 1) % self._every == 0 or number + 1 == end):
                self._kept = {"optimizer": run.optimizer_tensors(optimizer), **self._extra}
                agent.save(self.folder, self._kept)

    def _on_disk(self) -> dict[str, dict[str, Tensor]]:
        """What an earlier training kept, if this one had no update left to do."""
        if not self.folder or not (self.folder / run.HEADER).is_file():
            return {}
        names = run.read_header(self.folder)["tensors"]
        return {name: run.read_tensors(self.folder, name) for name in ("optimizer", "start") if name in names}


OF_RL = (
    *("rl_steps", "rl_epochs", "rl_learning_rate", "prompts", "group_size", "clip_range", "kl_weight"),
    *("search", "q_steps", "temperature"),
)
SHOWN = ("dynamics/nll", "policy/accuracy", "guidance/nll", "guided_policy/accuracy", "rl/return", "rl/followed")


def before_rl(config: CoLAConfig) -> int:
    """Updates before stage 4."""
    guided = 2 * config.guidance_steps
    return config.dynamics_steps + config.policy_steps + guided if config.acts == "codes" else 0


def one_process(config: CoLAConfig) -> Accelerator:
    """What places and scales gradients.

    Raises:
        ConfigurationError: There are several processes: each would train a model of its own.
    """
    accelerator = Accelerator(cpu=config.device == "cpu")
    if accelerator.num_processes > 1:
        raise ConfigurationError(
            f"expected one process for CoLA, got {accelerator.num_processes}: start it with --num_processes 1"
        )
    return accelerator


def train(
    envs: gym.vector.VectorEnv[Any, Any, Any],
    config: CoLAConfig | None = None,
    *,
    folder: Path | None = None,
    resume: bool = False,
    checkpoint_every: int = 50,
    progress: bool = True,
    label: str = "CoLA",
    stream: Stream | None = None,
) -> CoLAAgent:
    """Train CoLA, or GRPO over tokens, on the train users of an environment.

    Args:
        envs: An environment of eagle_gym; no step is taken in it.
        config: Hyperparameters; the defaults if None.
        folder: Where checkpoints and TensorBoard events go; nothing is written if None.
        resume: Continue from the checkpoint in `folder` if there is one.
        checkpoint_every: Updates between checkpoints.
        progress: Show a progress bar.
        label: Name shown next to the progress bar.
        stream: The training stream of an agent with the same base model and seed, to save its time.

    Raises:
        ConfigurationError: The environment or the base model is of another kind, `resume` finds another run, or there
            are several processes.
        PreparationError: The checkpoint is broken or cannot be written.
    """
    config = config or CoLAConfig()
    accelerator, world = one_process(config), world_of(envs)
    earlier = run.resumable(folder, resume)
    agent = CoLAAgent.load(earlier) if earlier else make_agent(config)
    if earlier:
        untouched = len(agent.curve) <= before_rl(agent.config)  # then stage 4 may be set otherwise
        run.check_same_run(earlier, agent.config, config, growing=OF_RL if untouched else ("rl_steps", "search"))
        agent.config = agent.learning.config = config
    total = before_rl(config) + config.rl_steps
    with run.TrainingLog(total, len(agent.curve), label, folder, agent.curve, progress=progress, unit="update") as log:
        Training(agent, world, folder, log, accelerator, every=checkpoint_every, stream=stream).run()
    agent.learning.eval()
    agent.bind(envs)
    return agent
