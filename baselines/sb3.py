"""PPO, A2C, DQN, MaskablePPO and RecurrentPPO of Stable-Baselines3 on the latent observation.

The algorithms are those of SB3 and sb3-contrib, and their hyperparameters have SB3's names. Only DQN is changed: it
explores among the offered actions. The policy is one of `policy.py`, which treats all actions alike, or SB3's own
`MultiInputPolicy` (`policy="stock"`). The latter ignores the mask, except under MaskablePPO, so it needs an environment
that offers all K actions in every state.

A run is a folder as described in `run.py`; SB3's zip files contain pickles and are not used. TensorBoard shows SB3's
own names.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, cast

import gymnasium as gym
import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from sb3_contrib import MaskablePPO, RecurrentPPO
from sb3_contrib.common.maskable.policies import MaskableMultiInputActorCriticPolicy
from sb3_contrib.common.recurrent.policies import RecurrentMultiInputActorCriticPolicy
from stable_baselines3 import A2C, DQN, PPO
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import configure
from stable_baselines3.common.policies import ActorCriticPolicy, BasePolicy, MultiInputActorCriticPolicy
from stable_baselines3.common.vec_env import VecEnv, VecMonitor
from stable_baselines3.dqn.policies import MultiInputPolicy as MultiInputQPolicy
from torch.nn import functional

from baselines import run
from baselines.agent import AgentState, Probabilities, sample, uniform_latent_space
from baselines.config import check_at_least, check_choice
from baselines.dataset import load
from baselines.networks import latent_tensors
from baselines.policy import (
    EquivariantMaskablePolicy,
    EquivariantPolicy,
    EquivariantQPolicy,
    EquivariantRecurrentPolicy,
)
from baselines.reference import REFERENCES, uniform_probabilities
from eagle_gym.envs.shaping import KINDS as SHAPES
from eagle_gym.envs.shaping import reference_returns
from eagle_gym.envs.spaces import LatentLayout
from eagle_gym.errors import ConfigurationError

if TYPE_CHECKING:
    from torch.distributions import Categorical

# What `make_model` passes otherwise, or not at all.
OWN = (
    *("policy", "total_timesteps", "learning_rate", "anneal", "hidden", "shaping", "references", "seed"),
    *("dataset", "reference", "cloning_epochs"),
)


@dataclass(frozen=True)
class SB3Config:
    """Hyperparameters of every algorithm."""

    algorithm: ClassVar[str]
    positive: ClassVar[tuple[str, ...]] = ()

    policy: Literal["equivariant", "stock"] = "equivariant"
    """A policy that treats all actions alike, or SB3's MultiInputPolicy."""
    total_timesteps: int = 10_240
    """Environment steps in all; rounded up to whole rollouts."""
    learning_rate: float = 1e-3
    """Step size at the start."""
    anneal: bool = True
    """Let the learning rate fall linearly to 0 over the training."""
    gamma: float = 1.0
    """Discount; 1, because episodes are short and the sum of rewards is what counts."""
    hidden: int = 64
    """Width of the hidden layers."""
    shaping: str = ""
    """Shape of the rewards in training: "par", "log_sigmoid", "min_max" or "clip"; "" for none."""
    references: int = 64
    """Episodes of the uniform policy, at whose returns the shape is centred; total_timesteps leaves them out."""
    seed: int = 0
    """Seed of the networks, of sampling and of the environments."""
    device: str = "cpu"
    """Device of the networks; small ones are fastest on a CPU."""

    def __post_init__(self) -> None:
        check_choice(self, "policy", ("equivariant", "stock"))
        check_choice(self, "shaping", ("", *SHAPES))
        check_at_least(self, 1, "references")
        check_at_least(self, 1, "total_timesteps", "hidden", *self.positive)

    def arguments(self, num_envs: int) -> dict[str, Any]:
        """The arguments of SB3's algorithm that it can be given as they are."""
        return {item.name: getattr(self, item.name) for item in fields(self) if item.name not in OWN}


@dataclass(frozen=True)
class OnPolicyConfig(SB3Config):
    """Hyperparameters of algorithms that learn from their latest rollout only."""

    positive: ClassVar[tuple[str, ...]] = ("n_steps",)

    n_steps: int = 5
    """Steps of each environment between two updates."""
    gae_lambda: float = 0.9
    """Trade-off between bias and variance of the advantages."""
    ent_coef: float = 0.005
    """Weight of the entropy bonus."""
    vf_coef: float = 0.5
    """Weight of the value loss."""
    max_grad_norm: float = 0.5
    """Norm to which gradients are clipped."""


@dataclass(frozen=True)
class A2CConfig(OnPolicyConfig):
    """A2C; it takes a single gradient step for each rollout, so the step is larger."""

    algorithm: ClassVar[str] = "a2c"

    learning_rate: float = 5e-3
    """Step size of RMSprop at the start."""


@dataclass(frozen=True)
class ClippedConfig(OnPolicyConfig):
    """Hyperparameters of PPO in all its kinds."""

    positive: ClassVar[tuple[str, ...]] = ("n_steps", "n_epochs")

    n_epochs: int = 10
    """Passes over a rollout."""
    batch_size: int | None = None
    """Steps in a minibatch, at most; a divisor of the rollout's size is used. None: a quarter of the rollout."""
    clip_range: float = 0.2
    """How far a probability ratio may move in one update."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.batch_size is not None:
            check_at_least(self, 1, "batch_size")

    def arguments(self, num_envs: int) -> dict[str, Any]:
        """The arguments of SB3's algorithm, with a minibatch that divides the rollout."""
        size = self.n_steps * num_envs
        most = size // 4 if self.batch_size is None else self.batch_size
        return super().arguments(num_envs) | {"batch_size": largest_divisor(size, most)}


@dataclass(frozen=True)
class PPOConfig(ClippedConfig):
    """PPO; the defaults suit 64 environments, episodes of five steps and some ten thousand steps of training."""

    algorithm: ClassVar[str] = "ppo"

    dataset: str = ""
    """Folder of recorded episodes, whose policy is cloned first; total_timesteps includes them. "" for none."""
    reference: str = ""
    """The recorded policy that is cloned: "uniform", "optimistic" or "g_optimal"."""
    cloning_epochs: int = 20
    """Passes over the recorded steps."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_at_least(self, 1, "cloning_epochs")
        if self.dataset or self.reference:
            check_choice(self, "reference", REFERENCES)
        if self.dataset and (self.shaping or self.gamma != 1.0):
            raise ConfigurationError(
                f"expected no shaping and gamma=1 with a dataset, got shaping={self.shaping!r} and gamma={self.gamma}: "
                "values are cloned from plain returns, so leave the dataset or these out"
            )


@dataclass(frozen=True)
class MaskablePPOConfig(ClippedConfig):
    """PPO that is given the mask, whatever the policy."""

    algorithm: ClassVar[str] = "maskable_ppo"


@dataclass(frozen=True)
class RecurrentPPOConfig(ClippedConfig):
    """PPO with one LSTM in the actor and one in the critic, each `hidden` wide."""

    algorithm: ClassVar[str] = "recurrent_ppo"

    n_steps: int = 10
    """Steps of each environment between two updates: a whole episode of every task, through which gradients go."""


@dataclass(frozen=True)
class DQNConfig(SB3Config):
    """DQN; it explores among the offered actions, and its buffer is not part of a checkpoint."""

    algorithm: ClassVar[str] = "dqn"
    positive: ClassVar[tuple[str, ...]] = (
        "buffer_size",
        "batch_size",
        "train_freq",
        "gradient_steps",
        "target_update_interval",
    )

    buffer_size: int = 20_000
    """Steps that the replay buffer holds."""
    learning_starts: int = 640
    """Environment steps of uniform choice before the first update."""
    batch_size: int = 256
    """Replayed steps in an update."""
    train_freq: int = 1
    """Steps of all environments between two rounds of updates."""
    gradient_steps: int = 16
    """Updates in a round."""
    target_update_interval: int = 320
    """Environment steps between two updates of the target network; at least the number of environments."""
    exploration_fraction: float = 0.3
    """Share of the training over which the exploration rate falls to its final value."""
    exploration_final_eps: float = 0.05
    """Final exploration rate: the share of uniform choices."""
    max_grad_norm: float = 10.0
    """Norm to which gradients are clipped."""

    def arguments(self, num_envs: int) -> dict[str, Any]:
        """The arguments of SB3's algorithm, with an interval that it takes without a warning."""
        interval = max(self.target_update_interval, num_envs)
        return super().arguments(num_envs) | {"target_update_interval": interval}


def largest_divisor(size: int, most: int) -> int:
    """The largest divisor of `size` between 2 and `most`; `size` itself if there is none.

    SB3 warns if the last minibatch is smaller, and cannot normalise the advantages of a single row.
    """
    return next((k for k in range(min(max(2, most), size), 1, -1) if size % k == 0), size)


class MaskedDQN(DQN):
    """SB3's DQN with random choices that respect the mask; its greedy choices do if the policy does."""

    def _random(self, observation: Any) -> NDArray[np.int64]:  # noqa: ANN401 - a dict of arrays
        # SB3 draws random actions from the action space's generator, which the run's seed seeds.
        return sample(uniform_probabilities(observation["mask"] > 0.5), self.action_space.np_random)

    def predict(
        self,
        observation: Any,  # noqa: ANN401
        state: Any = None,  # noqa: ANN401
        episode_start: Any = None,  # noqa: ANN401
        deterministic: bool = False,
    ) -> tuple[NDArray[Any], Any]:
        """Greedy actions `[B]`; unless deterministic, a share `exploration_rate` of them is replaced by random ones."""
        actions, state = self.policy.predict(observation, state, episode_start, deterministic=True)
        if not deterministic:
            explores = self.action_space.np_random.random(len(actions)) < self.exploration_rate
            actions = np.where(explores, self._random(observation), actions)
        return actions, state

    def _sample_action(
        self,
        learning_starts: int,
        action_noise: Any = None,  # noqa: ANN401 - for continuous actions
        n_envs: int = 1,
    ) -> tuple[NDArray[Any], NDArray[Any]]:
        starting = self.num_timesteps < learning_starts
        actions = self._random(self._last_obs) if starting else self.predict(self._last_obs)[0]
        return actions, actions


@dataclass(frozen=True)
class Algorithm:
    """The classes of an algorithm: SB3's own, our policy, SB3's policy, and its hyperparameters."""

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
    """The policy's class and its arguments."""
    algorithm = ALGORITHMS[config.algorithm]
    if config.policy == "equivariant":
        return algorithm.equivariant, {"hidden": config.hidden}
    arguments: dict[str, Any] = {"net_arch": [config.hidden, config.hidden]}
    if config.algorithm == "recurrent_ppo":
        arguments["lstm_hidden_size"] = config.hidden
    return algorithm.stock, arguments


@dataclass
class SB3Agent:
    """A trained policy that can act and be saved.

    SB3 samples with torch's global generator. Here it samples with a seed that the agent's own generator draws, and the
    global one is left as it was.

    Attributes:
        policy: SB3's policy.
        config: What it was trained with.
        steps: Environment steps it has seen.
        curve: One row for each rollout in which episodes ended: steps, number of episodes, mean return.
    """

    policy: BasePolicy
    config: SB3Config
    steps: int
    curve: run.Curve = field(default_factory=list)

    def __post_init__(self) -> None:
        self._rng = np.random.default_rng(self.config.seed)

    def reseed(self, rng: np.random.Generator) -> None:
        """Sample with another generator from now on."""
        self._rng = rng

    @torch.no_grad()
    def probabilities(self, observation: object) -> Probabilities | None:
        """Probability of each action, `[B, K]`; None if the policy has none, or depends on what was seen before."""
        if self.config.algorithm in ("dqn", "recurrent_ppo"):
            return None
        policy: Any = self.policy
        seen, masks = self._read(observation)
        found = policy.get_distribution(policy.obs_to_tensor(seen)[0], **masks)
        return np.asarray(found.distribution.probs, np.float64)

    def predict(
        self,
        observation: object,
        state: AgentState = None,
        episode_start: NDArray[np.bool_] | None = None,
        deterministic: bool = False,
    ) -> tuple[NDArray[np.int64], AgentState]:
        """Choose actions for latent observations (see `baselines.agent.Agent`)."""
        seen, masks = self._read(observation)
        with torch.random.fork_rng(devices=[]):
            if not deterministic:
                torch.manual_seed(int(self._rng.integers(2**63)))
            actions, state = self.policy.predict(seen, state, episode_start, deterministic, **masks)
        return np.asarray(actions, dtype=np.int64), state

    def _read(self, observation: object) -> tuple[Any, dict[str, Any]]:
        """The parts that the policy knows, and the mask where it takes one."""
        layout = LatentLayout.of(self.policy.observation_space)
        mask = latent_tensors(observation, layout, "cpu")["mask"].numpy() > 0.5
        if isinstance(observation, Mapping):
            observation = {key: observation[key] for key in layout.shapes}
        return observation, {"action_masks": mask} if self.config.algorithm == "maskable_ppo" else {}

    def save(self, folder: Path) -> None:
        """Write a checkpoint."""
        layout = LatentLayout.of(self.policy.observation_space)
        optimizer: Any = self.policy.optimizer
        tensors = {"policy": self.policy.state_dict(), "optimizer": run.optimizer_tensors(optimizer)}
        facts = {"layout": asdict(layout), "steps": self.steps}
        run.save(folder, self.config.algorithm, self.config, tensors, self.curve, **facts)

    @classmethod
    def load(cls, folder: Path) -> SB3Agent:
        """Read a checkpoint.

        Raises:
            PreparationError: A file is missing, broken or of another format.
        """
        header = run.read_header(folder, layout=dict, steps=int)
        if header.get("algorithm") not in ALGORITHMS:
            raise run.unreadable(folder, ValueError(f"{header.get('algorithm')!r} is no algorithm of SB3"))
        config = run.read_config(ALGORITHMS[header["algorithm"]].config, header, folder)
        with torch.random.fork_rng(devices=[]):  # first weights are drawn, though they are not kept
            policy = make_policy(config, run.read_layout(header, folder))
        run.load_weights(policy.load_state_dict, folder, "policy")
        policy.set_training_mode(False)
        return cls(policy, config, header["steps"], run.read_checkpoint_curve(folder))


def make_policy(config: SB3Config, layout: LatentLayout) -> BasePolicy:
    """A new policy for latent observations of a layout, without an algorithm."""
    kind, arguments = policy_class(config)
    make: Callable[..., BasePolicy] = kind
    space = uniform_latent_space(layout)
    return make(space, spaces.Discrete(layout.actions), lambda _: config.learning_rate, **arguments)


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
    """Train the algorithm of SB3 that the hyperparameters belong to.

    Args:
        envs: A vector environment with the latent observation, Gymnasium's or SB3's.
        config: Hyperparameters; PPO's defaults if None.
        folder: Where checkpoints and TensorBoard events go; nothing is written if None.
        resume: Continue from the checkpoint in `folder` if there is one. Weights, optimizer and step count are
            restored. The environments start new episodes and DQN's buffer is empty, so a resumed run does not repeat an
            uninterrupted one step by step.
        checkpoint_every: Environment steps between checkpoints.
        progress: Show a progress bar.
        label: Its name; the algorithm's if None.

    Returns:
        The agent after `config.total_timesteps` environment steps (rounded up to whole rollouts).

    Raises:
        ConfigurationError: The environment does not have the latent observation, or `resume` finds another run.
        PreparationError: The checkpoint cannot be read or written.
    """
    config = config or PPOConfig()
    earlier = SB3Agent.load(folder) if run.resumable(folder, resume) and folder else None
    if earlier and folder:
        check_same_run(folder, earlier.config, config)
    done, curve = (earlier.steps, list(earlier.curve)) if earlier else (0, [])
    if earlier and done >= config.total_timesteps:
        return earlier
    if not isinstance(envs, VecEnv):
        envs = as_vec_env(envs, config)
    model = make_model(envs, config, done)
    if folder:
        with run.writing(folder):
            model.set_logger(configure(str(folder / "tensorboard"), ["tensorboard"]))
    if earlier and folder:
        restore(model, earlier, folder)
    elif isinstance(config, PPOConfig) and config.dataset:
        done = clone(model, config)
    name = label or config.algorithm
    with run.TrainingLog(config.total_timesteps, done, name, None, curve, progress=progress) as log:
        report = CheckpointCallback(config, log, folder, checkpoint_every)
        # Algorithms with a buffer count episodes here, the others rollouts.
        every = envs.num_envs if isinstance(config, DQNConfig) else 1
        model.learn(config.total_timesteps - done, callback=report, log_interval=every, reset_num_timesteps=False)
    model.logger.close()
    model.policy.set_training_mode(False)
    agent = SB3Agent(model.policy, config, model.num_timesteps, curve)
    if folder:
        agent.save(folder)
    return agent


def as_vec_env(envs: gym.vector.VectorEnv[Any, Any, Any], config: SB3Config) -> VecEnv:
    """A vector environment as SB3 expects it, with shaped rewards if the configuration asks for them."""
    from eagle_gym.envs.sb3 import SB3VecEnv

    if not config.shaping:
        return SB3VecEnv(envs)
    from eagle_gym.envs.sb3 import ShapedVecEnv

    known = reference_returns(envs, config.references, config.seed)
    return ShapedVecEnv(SB3VecEnv(envs), config.shaping, known.tolist())


def check_same_run(folder: Path, found: SB3Config, asked: SB3Config) -> None:
    """Raise `ConfigurationError` unless a checkpoint has the same algorithm and hyperparameters."""
    if found.algorithm != asked.algorithm:
        raise ConfigurationError(
            f"{folder}: expected a run of {asked.algorithm}, got a run of {found.algorithm}: name another folder"
        )
    run.check_same_run(folder, found, asked, growing=("total_timesteps",))


def make_model(venv: VecEnv, config: SB3Config, done: int = 0) -> BaseAlgorithm:
    """Make the algorithm; `done` steps were taken before, and give a resumed run a seed of its own."""
    if not isinstance(venv, VecMonitor):
        venv = VecMonitor(venv)
    kind, policy_kwargs = policy_class(config)
    make: Callable[..., BaseAlgorithm] = ALGORITHMS[config.algorithm].algorithm
    return make(
        kind,
        venv,
        learning_rate=(lambda left: config.learning_rate * left) if config.anneal else config.learning_rate,
        policy_kwargs=policy_kwargs,
        seed=int(np.random.SeedSequence([config.seed, done]).generate_state(1)[0]) % 2**31,
        **config.arguments(venv.num_envs),
    )


def restore(model: BaseAlgorithm, earlier: SB3Agent, folder: Path) -> None:
    """Give a model the weights, the optimizer and the step count of a checkpoint."""
    model.policy.load_state_dict(earlier.policy.state_dict())
    optimizer: Any = model.policy.optimizer
    run.restore_optimizer(optimizer, run.read_tensors(folder, "optimizer"))
    model.num_timesteps = earlier.steps


def clone(model: BaseAlgorithm, config: PPOConfig) -> int:
    """Fit the policy to the recorded policy's own probabilities, and the value function to the recorded returns.

    Args:
        model: The algorithm, whose count of steps becomes that of the recorded steps.
        config: Hyperparameters.

    Returns:
        The number of recorded steps.
    """
    recorded, policy = load(Path(config.dataset), [config.reference]), model.policy
    rng = np.random.default_rng(config.seed)
    if not isinstance(policy, ActorCriticPolicy):
        raise ConfigurationError(f"expected a policy with actor and critic, got {type(policy).__name__}")
    adam = torch.optim.Adam(policy.parameters(), lr=config.learning_rate)
    targets = torch.as_tensor(recorded.probabilities(config.reference), device=model.device).float()
    returns = torch.as_tensor(recorded.returns, device=model.device).float()
    observation = {name: torch.as_tensor(part, device=model.device) for name, part in recorded.observation.items()}
    for _ in range(config.cloning_epochs):
        for part in np.array_split(rng.permutation(len(recorded)), max(1, len(recorded) // 64)):
            rows = torch.as_tensor(part, device=model.device)
            seen = {name: found[rows] for name, found in observation.items()}
            scores = cast("Categorical", policy.get_distribution(seen).distribution).logits
            chosen = torch.where(targets[rows] > 0, targets[rows] * scores, 0.0)  # no mass on a masked action
            values = policy.predict_values(seen).flatten()
            loss = config.vf_coef * functional.mse_loss(values, returns[rows]) - chosen.sum(-1).mean()
            adam.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            adam.step()
    model.num_timesteps = len(recorded)
    return len(recorded)


class CheckpointCallback(BaseCallback):
    """Updates the progress bar and the learning curve, and writes checkpoints.

    Args:
        config: Hyperparameters of the run.
        log: The bar and the curve.
        folder: Where checkpoints go; none are written if None.
        every: Environment steps between checkpoints.
    """

    def __init__(self, config: SB3Config, log: run.TrainingLog, folder: Path | None, every: int) -> None:
        super().__init__()
        self._config, self._log, self._folder, self._every = config, log, folder, every
        self._returns: list[float] = []
        self._saved = -1

    def _on_step(self) -> bool:
        self._returns += [float(info["episode"]["r"]) for info in self.locals["infos"] if "episode" in info]
        return True

    def _on_rollout_start(self) -> None:
        # The update of the last rollout is done, so the weights saved here match the step count.
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
