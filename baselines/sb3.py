"""PPO, A2C, DQN, MaskablePPO and RecurrentPPO of Stable-Baselines3 on the latent observation.

The algorithms are SB3's and sb3-contrib's own, but that DQN explores among the offered actions alone. The policy is one
of ``policy.py``, which treats all actions alike, or SB3's own ``MultiInputPolicy`` (``policy="stock"``). That one does
not know the mask, save under MaskablePPO, and can be used where every state offers all K actions.

A run is a folder as ``run.py`` has it; SB3's zip files hold pickles and are not used. TensorBoard has SB3's own names.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray
from sb3_contrib import MaskablePPO, RecurrentPPO
from sb3_contrib.common.maskable.policies import MaskableMultiInputActorCriticPolicy
from sb3_contrib.common.recurrent.policies import RecurrentMultiInputActorCriticPolicy
from stable_baselines3 import A2C, DQN, PPO
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import configure
from stable_baselines3.common.policies import BasePolicy, MultiInputActorCriticPolicy
from stable_baselines3.common.vec_env import VecEnv, VecMonitor
from stable_baselines3.dqn.policies import MultiInputPolicy as MultiInputQPolicy

from baselines import run
from baselines.agent import AgentState, sample
from baselines.networks import latent_tensors
from baselines.policy import (
    EquivariantMaskablePolicy,
    EquivariantPolicy,
    EquivariantQPolicy,
    EquivariantRecurrentPolicy,
)
from baselines.reference import uniform_probabilities
from eagle_gym.errors import ConfigurationError


@dataclass(frozen=True)
class SB3Config:
    """Hyperparameters that all algorithms have."""

    algorithm: ClassVar[str]
    positive: ClassVar[tuple[str, ...]] = ("steps", "hidden")

    policy: Literal["equivariant", "stock"] = "equivariant"
    """Our policy that treats actions alike, or SB3's MultiInputPolicy."""
    steps: int = 10_240
    """Environment steps in all; rounded up to whole rollouts."""
    learning_rate: float = 1e-3
    """Step size at the start."""
    anneal: bool = True
    """Let the learning rate fall linearly to 0 at the end of the budget."""
    gamma: float = 1.0
    """Discount; 1, since episodes are short and the sum of rewards is what counts."""
    hidden: int = 64
    """Width of the layers."""
    seed: int = 0
    """Of the networks, of sampling and of the environments."""
    device: str = "cpu"
    """Where the networks are; small ones are fastest on a CPU."""

    def __post_init__(self) -> None:
        if self.policy not in ("equivariant", "stock"):
            raise ConfigurationError(f'policy is "equivariant" or "stock"; {self.policy!r} came')
        for name in self.positive:
            if getattr(self, name) < 1:
                raise ConfigurationError(f"{name} is at least 1; {getattr(self, name)} came")


@dataclass(frozen=True)
class OnPolicyConfig(SB3Config):
    """Hyperparameters of what learns from its latest rollout alone."""

    positive: ClassVar[tuple[str, ...]] = ("steps", "hidden", "rollout")

    rollout: int = 5
    """Steps of each environment between two updates."""
    gae_lambda: float = 0.9
    """Trade of bias for variance in the advantages."""
    entropy_weight: float = 0.005
    """Weight of the entropy bonus."""
    value_weight: float = 0.5
    """Weight of the value loss."""
    max_grad_norm: float = 0.5
    """Length to which gradients are clipped."""

    def arguments(self, num_envs: int) -> dict[str, Any]:
        """The same in SB3's words."""
        return {
            "n_steps": self.rollout,
            "gae_lambda": self.gae_lambda,
            "ent_coef": self.entropy_weight,
            "vf_coef": self.value_weight,
            "max_grad_norm": self.max_grad_norm,
        }


@dataclass(frozen=True)
class A2CConfig(OnPolicyConfig):
    """A2C: a single step along the gradient for each rollout, so a larger one."""

    algorithm: ClassVar[str] = "a2c"

    learning_rate: float = 5e-3
    """Step size of RMSprop at the start."""


@dataclass(frozen=True)
class PPOConfig(OnPolicyConfig):
    """PPO; the defaults suit episodes of five steps and a budget of some ten thousand steps."""

    algorithm: ClassVar[str] = "ppo"
    positive: ClassVar[tuple[str, ...]] = ("steps", "hidden", "rollout", "epochs", "minibatches")

    epochs: int = 10
    """Passes over a rollout."""
    minibatches: int = 4
    """Parts into which a rollout is cut for each pass."""
    clip_range: float = 0.2
    """How far a probability ratio may move in one update."""

    def arguments(self, num_envs: int) -> dict[str, Any]:
        """The same in SB3's words."""
        return super().arguments(num_envs) | {
            "batch_size": largest_part(self.rollout * num_envs, self.minibatches),
            "n_epochs": self.epochs,
            "clip_range": self.clip_range,
        }


@dataclass(frozen=True)
class MaskablePPOConfig(PPOConfig):
    """PPO that is told the mask, whatever the policy."""

    algorithm: ClassVar[str] = "maskable_ppo"


@dataclass(frozen=True)
class RecurrentPPOConfig(PPOConfig):
    """PPO with an LSTM in the actor and one in the critic, ``hidden`` wide."""

    algorithm: ClassVar[str] = "recurrent_ppo"


@dataclass(frozen=True)
class DQNConfig(SB3Config):
    """DQN; it explores among the offered actions, and its buffer is not part of a checkpoint."""

    algorithm: ClassVar[str] = "dqn"
    positive: ClassVar[tuple[str, ...]] = ("steps", "hidden", "buffer", "batch", "updates", "target_every")

    buffer: int = 20_000
    """Steps that are remembered."""
    learning_starts: int = 640
    """Steps of uniform choice before the first update."""
    batch: int = 256
    """Remembered steps in an update."""
    updates: int = 16
    """Updates after each step of all environments."""
    target_every: int = 320
    """Environment steps between two copies of the network to its target; at least the number of environments."""
    exploration: float = 0.3
    """Share of the budget in which the share of uniform choices falls to its last value."""
    last_exploration: float = 0.05
    """That value."""
    max_grad_norm: float = 10.0
    """Length to which gradients are clipped."""

    def arguments(self, num_envs: int) -> dict[str, Any]:
        """The same in SB3's words."""
        return {
            "buffer_size": self.buffer,
            "learning_starts": self.learning_starts,
            "batch_size": self.batch,
            "train_freq": 1,
            "gradient_steps": self.updates,
            "target_update_interval": max(self.target_every, num_envs),
            "exploration_fraction": self.exploration,
            "exploration_final_eps": self.last_exploration,
            "max_grad_norm": self.max_grad_norm,
        }


def largest_part(size: int, parts: int) -> int:
    """The size of a minibatch: a divisor of ``size``, at most ``size / parts`` where that can be, at least 2.

    SB3 warns of a ragged last batch and cannot normalise the advantages of a single row.
    """
    wanted = max(2, math.ceil(size / parts))
    return next((k for k in range(min(wanted, size), 1, -1) if size % k == 0), size)


class MaskedDQN(DQN):
    """SB3's DQN, whose random choices know the mask; its greedy ones do where the policy does."""

    def _random(self, observation: Any) -> NDArray[np.int64]:  # noqa: ANN401 - a dict of arrays
        # The action space's generator is SB3's own source of random actions, seeded with the run.
        return sample(uniform_probabilities(observation["mask"] > 0.5), self.action_space.np_random)

    def predict(
        self,
        observation: Any,  # noqa: ANN401
        state: Any = None,  # noqa: ANN401
        episode_start: Any = None,  # noqa: ANN401
        deterministic: bool = False,
    ) -> tuple[NDArray[Any], Any]:
        """Greedy actions ``[B]``, of which ``exploration_rate`` are replaced by random ones unless deterministic."""
        actions, state = self.policy.predict(observation, state, episode_start, deterministic=True)
        if not deterministic:
            explores = self.action_space.np_random.random(len(actions)) < self.exploration_rate
            actions = np.where(explores, self._random(observation), actions)
        return actions, state

    def _sample_action(
        self,
        learning_starts: int,
        action_noise: Any = None,  # noqa: ANN401 - of continuous actions
        n_envs: int = 1,
    ) -> tuple[NDArray[Any], NDArray[Any]]:
        starting = self.num_timesteps < learning_starts
        actions = self._random(self._last_obs) if starting else self.predict(self._last_obs)[0]
        return actions, actions


@dataclass(frozen=True)
class Algorithm:
    """An algorithm's classes: SB3's own, our policy for it, SB3's policy, its hyperparameters."""

    algorithm: type[BaseAlgorithm]
    equivariant: type[BasePolicy]
    stock: type[BasePolicy]
    config: type[SB3Config]


ALGORITHMS = {
    "ppo": Algorithm(PPO, EquivariantPolicy, MultiInputActorCriticPolicy, PPOConfig),
    "a2c": Algorithm(A2C, EquivariantPolicy, MultiInputActorCriticPolicy, A2CConfig),
    "dqn": Algorithm(MaskedDQN, EquivariantQPolicy, MultiInputQPolicy, DQNConfig),
    "maskable_ppo": Algorithm(
        MaskablePPO, EquivariantMaskablePolicy, MaskableMultiInputActorCriticPolicy, MaskablePPOConfig
    ),
    "recurrent_ppo": Algorithm(
        RecurrentPPO, EquivariantRecurrentPolicy, RecurrentMultiInputActorCriticPolicy, RecurrentPPOConfig
    ),
}


def policy_class(config: SB3Config) -> tuple[type[BasePolicy], dict[str, Any]]:
    """The policy's class and its own arguments."""
    algorithm = ALGORITHMS[config.algorithm]
    if config.policy == "equivariant":
        return algorithm.equivariant, {"hidden": config.hidden}
    arguments: dict[str, Any] = {"net_arch": [config.hidden, config.hidden]}
    if config.algorithm == "recurrent_ppo":
        arguments["lstm_hidden_size"] = config.hidden
    return algorithm.stock, arguments


@dataclass
class SB3Agent:
    """A trained policy, ready to act and to be saved.

    Attributes:
        policy: SB3's policy.
        config: What it was trained with.
        steps: Environment steps it has seen.
        curve: One row per rollout in which episodes ended: steps, how many ended, and their mean return.
    """

    policy: BasePolicy
    config: SB3Config
    steps: int
    curve: run.Curve = field(default_factory=list)

    def predict(
        self,
        observation: object,
        state: AgentState = None,
        episode_start: NDArray[np.bool_] | None = None,
        deterministic: bool = False,
    ) -> tuple[NDArray[np.int64], AgentState]:
        """Choose actions for latent observations (see :class:`baselines.agent.Agent`)."""
        mask = latent_tensors(observation, *policy_shapes(self.policy), "cpu")["mask"].numpy() > 0.5
        told = {"action_masks": mask} if self.config.algorithm == "maskable_ppo" else {}
        actions, state = self.policy.predict(observation, state, episode_start, deterministic, **told)  # type: ignore[arg-type]
        return np.asarray(actions, dtype=np.int64), state

    def save(self, folder: Path) -> None:
        """Write the run's folder."""
        actions, dim = policy_shapes(self.policy)
        optimizer: Any = self.policy.optimizer
        tensors = {"policy": self.policy.state_dict(), "optimizer": run.optimizer_tensors(optimizer)}
        shapes = {"actions": actions, "dim": dim, "steps": self.steps}
        run.save(folder, self.config.algorithm, self.config, tensors, self.curve, **shapes)

    @classmethod
    def load(cls, folder: Path) -> SB3Agent:
        """Read a folder that :meth:`save` wrote.

        Raises:
            PreparationError: A file is missing, broken or of another format.
        """
        header = run.read_header(folder, actions=int, dim=int, steps=int)
        if header.get("algorithm") not in ALGORITHMS:
            raise run.unreadable(folder, ValueError(f"{header.get('algorithm')!r} is no algorithm of SB3"))
        config = run.read_config(ALGORITHMS[header["algorithm"]].config, header, folder)
        policy = make_policy(config, latent_space(header["dim"], header["actions"]), header["actions"])
        run.load_weights(policy, folder, "policy")
        policy.set_training_mode(False)
        return cls(policy, config, header["steps"], run.read_curve(folder))


def make_policy(config: SB3Config, observation_space: spaces.Dict, actions: int) -> BasePolicy:
    """A policy without an algorithm around it, to be loaded into."""
    kind, arguments = policy_class(config)
    make: Callable[..., BasePolicy] = kind
    return make(observation_space, spaces.Discrete(actions), lambda _: config.learning_rate, **arguments)


def latent_space(dim: int, actions: int) -> spaces.Dict:
    """A space with the shapes of the latent observation (its bounds do not matter to a policy)."""
    shapes = {
        "state": dim,
        "user": dim + 1,
        "actions": actions * dim,
        "weights": actions,
        "mask": actions,
        "time": 1,
    }
    return spaces.Dict({key: spaces.Box(-np.inf, np.inf, (width,), np.float32) for key, width in shapes.items()})


def policy_shapes(policy: BasePolicy) -> tuple[int, int]:
    """Number of actions and latent dimensions that a policy was made for."""
    assert isinstance(policy.observation_space, spaces.Dict)
    assert isinstance(policy.action_space, spaces.Discrete)
    state = policy.observation_space.spaces["state"]
    assert state.shape is not None
    return int(policy.action_space.n), state.shape[0]


def train(
    envs: VecEnv | gym.vector.VectorEnv[Any, Any, Any],
    config: SB3Config | None = None,
    *,
    folder: Path | None = None,
    resume: bool = False,
    checkpoint_every: int = 3_200,
    progress: bool = True,
    label: str | None = None,
) -> SB3Agent:
    """Train an algorithm of SB3: the one whose hyperparameters are given.

    Args:
        envs: A vector environment with the latent observation, of Gymnasium's kind or of SB3's.
        config: Hyperparameters; PPO's defaults where None.
        folder: Where checkpoints and TensorBoard events go; nothing is written where None.
        resume: Go on from the checkpoint in ``folder`` where there is one. Weights, optimizer and step count are
            restored; the environments start fresh episodes and DQN's buffer is empty, so a resumed run is not step for
            step that of an uninterrupted one.
        checkpoint_every: Environment steps between checkpoints.
        progress: Show a progress bar.
        label: Its name; the algorithm's where None.

    Returns:
        The agent after ``config.steps`` environment steps (rounded up to whole rollouts).

    Raises:
        ConfigurationError: The environment's observation is not the latent one, or ``resume`` finds another run.
    """
    config = config or PPOConfig()
    earlier = SB3Agent.load(folder) if resume and folder and (folder / run.HEADER).exists() else None
    if earlier and folder:
        check_same_run(folder, earlier.config, config)
    done, curve = (earlier.steps, list(earlier.curve)) if earlier else (0, [])
    if earlier and done >= config.steps:
        return earlier
    if not isinstance(envs, VecEnv):
        from eagle_gym.envs.sb3 import SB3VecEnv

        envs = SB3VecEnv(envs)
    model = make_model(envs, config, done)
    if folder:
        model.set_logger(configure(str(folder / "tensorboard"), ["tensorboard"]))
    if earlier and folder:
        restore(model, earlier, folder)
    with run.Log(config.steps, done, label or config.algorithm, None, curve, progress=progress) as log:
        report = Report(config, log, folder, checkpoint_every)
        # Algorithms with a buffer count episodes here, the others rollouts.
        every = envs.num_envs if isinstance(config, DQNConfig) else 1
        model.learn(config.steps - done, callback=report, log_interval=every, reset_num_timesteps=False)
    model.logger.close()
    model.policy.set_training_mode(False)
    agent = SB3Agent(model.policy, config, model.num_timesteps, curve)
    if folder:
        agent.save(folder)
    return agent


def check_same_run(folder: Path, there: SB3Config, asked: SB3Config) -> None:
    """Raise ConfigurationError unless a checkpoint is of the same algorithm and hyperparameters."""
    if there.algorithm != asked.algorithm:
        raise ConfigurationError(f"{folder} holds a run of {there.algorithm}, not of {asked.algorithm}")
    run.check_same_run(folder, there, asked)


def make_model(venv: VecEnv, config: SB3Config, done: int = 0) -> BaseAlgorithm:
    """The algorithm as ``config`` says; ``done`` steps were taken before, and give the continuation its own seed."""
    if not isinstance(venv, VecMonitor):
        venv = VecMonitor(venv)
    kind, policy_kwargs = policy_class(config)
    make: Callable[..., BaseAlgorithm] = ALGORITHMS[config.algorithm].algorithm
    own: Any = config
    return make(
        kind,
        venv,
        learning_rate=(lambda left: config.learning_rate * left) if config.anneal else config.learning_rate,
        gamma=config.gamma,
        policy_kwargs=policy_kwargs,
        seed=int(np.random.SeedSequence([config.seed, done]).generate_state(1)[0]) % 2**31,
        device=config.device,
        **own.arguments(venv.num_envs),
    )


def restore(model: BaseAlgorithm, earlier: SB3Agent, folder: Path) -> None:
    """Give a model the weights, the optimizer and the step count of a checkpoint."""
    model.policy.load_state_dict(earlier.policy.state_dict())
    optimizer: Any = model.policy.optimizer
    run.restore_optimizer(optimizer, run.read_tensors(folder, "optimizer"))
    model.num_timesteps = earlier.steps


class Report(BaseCallback):
    """Progress bar, learning curve and checkpoints."""

    def __init__(self, config: SB3Config, log: run.Log, folder: Path | None, every: int) -> None:
        super().__init__()
        self._config, self._log, self._folder, self._every = config, log, folder, every
        self._returns: list[float] = []
        self._saved = -1

    def _on_step(self) -> bool:
        self._returns += [float(info["episode"]["r"]) for info in self.locals["infos"] if "episode" in info]
        return True

    def _on_rollout_start(self) -> None:
        # The update of the rollout before this one is done: what is saved here goes with its step count.
        if self._saved < 0:
            self._saved = self.num_timesteps
        if self._folder and self.num_timesteps - self._saved >= self._every:
            SB3Agent(self.model.policy, self._config, self.num_timesteps, self._log.curve).save(self._folder)
            self._saved = self.num_timesteps

    def _on_rollout_end(self) -> None:
        if self._returns:
            ended = {"episodes": len(self._returns), "return": float(np.mean(self._returns))}
            self._log.add(self.num_timesteps, ended)
            self._returns = []
