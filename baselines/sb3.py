"""PPO of Stable-Baselines3 on the latent observation.

PPO itself is SB3's, untouched; the policy is either :class:`baselines.policy.EquivariantPolicy` or SB3's own
``MultiInputPolicy``. A run is a folder: ``agent.json`` (configuration, shapes, environment steps taken),
``policy.safetensors``, ``optimizer.safetensors`` and ``curve.json``. SB3's zip files hold pickles and are not used.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.policies import ActorCriticPolicy, MultiInputActorCriticPolicy
from stable_baselines3.common.vec_env import VecEnv, VecMonitor
from tqdm import tqdm

from baselines.agent import AgentState, read_latent
from baselines.policy import EquivariantPolicy
from eagle_gym.errors import ConfigurationError, PreparationError

FORMAT = 1


@dataclass(frozen=True)
class PPOConfig:
    """Hyperparameters; the defaults suit episodes of five steps and a budget of some ten thousand steps."""

    policy: Literal["equivariant", "stock"] = "equivariant"
    """Our policy that treats actions alike, or SB3's MultiInputPolicy (which does not know the mask)."""
    steps: int = 10_240
    """Environment steps in all; rounded up to whole rollouts."""
    rollout: int = 5
    """Steps of each environment between two updates."""
    epochs: int = 10
    """Passes over a rollout."""
    minibatches: int = 4
    """Parts into which a rollout is cut for each pass."""
    learning_rate: float = 1e-3
    """Adam's step size at the start."""
    anneal: bool = True
    """Let the learning rate fall linearly to 0 at the end of the budget."""
    gamma: float = 1.0
    """Discount; 1, since episodes are short and the sum of rewards is what counts."""
    gae_lambda: float = 0.9
    """Trade of bias for variance in the advantages."""
    clip_range: float = 0.2
    """How far a probability ratio may move in one update."""
    entropy_weight: float = 0.005
    """Weight of the entropy bonus."""
    value_weight: float = 0.5
    """Weight of the value loss."""
    max_grad_norm: float = 0.5
    """Length to which gradients are clipped."""
    hidden: int = 64
    """Width of the equivariant policy's layers."""
    seed: int = 0
    """Of the networks, of sampling and of the environments."""
    device: str = "cpu"
    """Where the networks are; small ones are fastest on a CPU."""

    def __post_init__(self) -> None:
        if self.policy not in ("equivariant", "stock"):
            raise ConfigurationError(f'policy is "equivariant" or "stock"; {self.policy!r} came')
        for name in ("steps", "rollout", "epochs", "minibatches", "hidden"):
            if getattr(self, name) < 1:
                raise ConfigurationError(f"{name} is at least 1; {getattr(self, name)} came")


@dataclass
class SB3Agent:
    """A trained policy, ready to act and to be saved.

    Attributes:
        policy: SB3's policy.
        config: What it was trained with.
        steps: Environment steps it has seen.
        curve: One row per rollout: steps, and mean return of the episodes that ended in it.
    """

    policy: ActorCriticPolicy
    config: PPOConfig
    steps: int
    curve: list[dict[str, float]] = field(default_factory=list)

    def predict(
        self,
        observation: object,
        state: AgentState = None,
        episode_start: NDArray[np.bool_] | None = None,
        deterministic: bool = False,
    ) -> tuple[NDArray[np.int64], AgentState]:
        """Choose actions for latent observations (see :class:`baselines.agent.Agent`)."""
        latent = read_latent(observation)
        shapes, expected = latent.size[1:], policy_shapes(self.policy)
        if shapes != expected:
            raise ConfigurationError(
                f"this agent was trained with K = {expected[0]} actions in {expected[1]} dimensions; "
                f"the observation has K = {shapes[0]} in {shapes[1]}"
            )
        assert isinstance(observation, dict)
        actions, _ = self.policy.predict(observation, deterministic=deterministic)
        return np.asarray(actions, dtype=np.int64), state

    def save(self, folder: Path) -> None:
        """Write the run's folder; each file is replaced in one move, ``agent.json`` last."""
        folder.mkdir(parents=True, exist_ok=True)
        count, dim = policy_shapes(self.policy)
        header = {"format": FORMAT, "algorithm": "ppo", "actions": count, "dim": dim, "steps": self.steps}
        tensors = {name: tensor.contiguous() for name, tensor in self.policy.state_dict().items()}
        replace(folder / "policy.safetensors", lambda path: save_file(tensors, path))
        replace(folder / "optimizer.safetensors", lambda path: save_file(optimizer_tensors(self.policy), path))
        replace(folder / "curve.json", lambda path: path.write_text(json.dumps(self.curve, indent=1)))
        text = json.dumps(header | {"config": asdict(self.config)}, indent=1)
        replace(folder / "agent.json", lambda path: path.write_text(text))

    @classmethod
    def load(cls, folder: Path) -> SB3Agent:
        """Read a folder that :meth:`save` wrote.

        Raises:
            PreparationError: A file is missing, broken or of another format.
        """
        header = read_header(folder)
        config = PPOConfig(**header["config"])
        policy = make_policy(config, latent_space(header["dim"], header["actions"]), header["actions"])
        try:
            policy.load_state_dict(load_file(folder / "policy.safetensors"))
            curve = json.loads((folder / "curve.json").read_text())
        except (OSError, ValueError, RuntimeError, SafetensorError) as error:
            raise PreparationError(f"{folder}: the saved policy cannot be read ({error}); train it again") from error
        policy.set_training_mode(False)
        return cls(policy, config, header["steps"], curve)


def train_ppo(
    venv: VecEnv | gym.vector.VectorEnv[Any, Any, Any],
    config: PPOConfig | None = None,
    *,
    folder: Path | None = None,
    resume: bool = False,
    checkpoint_every: int = 10,
    progress: bool = True,
    label: str = "PPO",
) -> SB3Agent:
    """Train PPO.

    Args:
        venv: A vector environment with the latent observation, of Gymnasium's kind or of SB3's.
        config: Hyperparameters; the defaults where None.
        folder: Where checkpoints go; none are written where None.
        resume: Go on from the checkpoint in ``folder`` where there is one. Weights, optimizer and step count are
            restored; the environments start fresh episodes, so a resumed run is not step for step that of an
            uninterrupted one.
        checkpoint_every: Rollouts between checkpoints.
        progress: Show a progress bar.
        label: Its name.

    Returns:
        The agent after ``config.steps`` environment steps (rounded up to whole rollouts).

    Raises:
        ConfigurationError: The environment's observation is not the latent one, or ``resume`` finds another run.
    """
    config = config or PPOConfig()
    earlier = load_earlier(folder, config) if resume and folder else None
    done, curve = (earlier.steps, list(earlier.curve)) if earlier else (0, [])
    if earlier and done >= config.steps:
        return earlier
    if not isinstance(venv, VecEnv):
        from eagle_gym.envs.sb3 import SB3VecEnv

        venv = SB3VecEnv(venv)
    model = make_ppo(venv, config, done)
    if earlier and folder:
        model.policy.load_state_dict(earlier.policy.state_dict())
        restore_optimizer(model.policy, folder / "optimizer.safetensors")
        model.num_timesteps = done
    report = Report(config, curve, folder, checkpoint_every, progress, label)
    model.learn(config.steps - done, callback=report, reset_num_timesteps=False)
    model.policy.set_training_mode(False)
    agent = SB3Agent(model.policy, config, model.num_timesteps, curve)
    if folder:
        agent.save(folder)
    return agent


class Report(BaseCallback):
    """Progress bar, learning curve and checkpoints."""

    def __init__(
        self,
        config: PPOConfig,
        curve: list[dict[str, float]],
        folder: Path | None,
        every: int,
        progress: bool,
        label: str,
    ) -> None:
        super().__init__()
        self._config, self._curve, self._folder, self._every = config, curve, folder, every
        self._progress, self._label = progress, label
        self._returns: list[float] = []
        self._rollouts = 0

    def _on_training_start(self) -> None:
        self._bar = tqdm(
            total=self._config.steps,
            initial=self.num_timesteps,
            desc=self._label,
            unit="step",
            disable=not self._progress,
        )

    def _on_step(self) -> bool:
        self._returns += [float(info["episode"]["r"]) for info in self.locals["infos"] if "episode" in info]
        self._bar.update(self.training_env.num_envs)
        return True

    def _on_rollout_start(self) -> None:
        # The update of the rollout before this one is done: what is saved here goes with its step count.
        if self._folder and self._rollouts and self._rollouts % self._every == 0:
            assert isinstance(self.model.policy, ActorCriticPolicy)
            SB3Agent(self.model.policy, self._config, self.num_timesteps, self._curve).save(self._folder)

    def _on_rollout_end(self) -> None:
        self._rollouts += 1
        if self._returns:
            mean = float(np.mean(self._returns))
            self._curve.append({"steps": self.num_timesteps, "episodes": len(self._returns), "return": mean})
            self._bar.set_postfix_str(f"return {mean:.2f}")
            self._returns = []

    def _on_training_end(self) -> None:
        self._bar.close()


def make_ppo(venv: VecEnv, config: PPOConfig, done: int) -> PPO:
    """SB3's PPO as ``config`` says; ``done`` steps were taken before, and give the continuation its own seed."""
    if not isinstance(venv, VecMonitor):
        venv = VecMonitor(venv)
    seed = int(np.random.SeedSequence([config.seed, done]).generate_state(1)[0]) % 2**31
    kind, kwargs = policy_class(config)
    size = config.rollout * venv.num_envs
    rate: Callable[[float], float] | float = config.learning_rate
    if config.anneal:
        rate = lambda remaining: config.learning_rate * remaining  # noqa: E731 - SB3's schedule
    return PPO(
        kind,
        venv,
        learning_rate=rate,
        n_steps=config.rollout,
        batch_size=largest_part(size, config.minibatches),
        n_epochs=config.epochs,
        gamma=config.gamma,
        gae_lambda=config.gae_lambda,
        clip_range=config.clip_range,
        ent_coef=config.entropy_weight,
        vf_coef=config.value_weight,
        max_grad_norm=config.max_grad_norm,
        policy_kwargs=kwargs,
        seed=seed,
        device=config.device,
    )


def largest_part(size: int, parts: int) -> int:
    """The size of a minibatch: a divisor of ``size``, at most ``size / parts`` where that can be, at least 2.

    SB3 warns of a ragged last batch and cannot normalise the advantages of a single row.
    """
    wanted = max(2, math.ceil(size / parts))
    return next((k for k in range(min(wanted, size), 1, -1) if size % k == 0), size)


def policy_class(config: PPOConfig) -> tuple[type[ActorCriticPolicy], dict[str, Any]]:
    """The policy's class and its own arguments."""
    if config.policy == "equivariant":
        return EquivariantPolicy, {"hidden": config.hidden}
    return MultiInputActorCriticPolicy, {"net_arch": [config.hidden, config.hidden]}


def make_policy(config: PPOConfig, observation_space: spaces.Dict, actions: int) -> ActorCriticPolicy:
    """A policy without an algorithm around it, to be loaded into."""
    kind, kwargs = policy_class(config)
    return kind(observation_space, spaces.Discrete(actions), lambda _: config.learning_rate, **kwargs)


def latent_space(dim: int, actions: int) -> spaces.Dict:
    """A space with the shapes of the latent observation (its bounds do not matter to a policy)."""
    widths = {
        "state": dim,
        "user": dim + 1,
        "actions": actions * dim,
        "action_weights": actions,
        "action_mask": actions,
        "time": 1,
    }
    return spaces.Dict({key: spaces.Box(-np.inf, np.inf, (width,), np.float32) for key, width in widths.items()})


def policy_shapes(policy: ActorCriticPolicy) -> tuple[int, int]:
    """Number of actions and latent dimensions that a policy was made for."""
    assert isinstance(policy.observation_space, spaces.Dict)
    assert isinstance(policy.action_space, spaces.Discrete)
    state = policy.observation_space.spaces["state"]
    assert state.shape is not None
    return int(policy.action_space.n), state.shape[0]


def load_earlier(folder: Path, config: PPOConfig) -> SB3Agent | None:
    """The checkpoint to resume, if there is one; it must come from the same configuration (``steps`` may grow)."""
    if not (folder / "agent.json").exists():
        return None
    earlier = SB3Agent.load(folder)
    differ = [
        f"{item.name} ({getattr(earlier.config, item.name)!r} there, {getattr(config, item.name)!r} asked for)"
        for item in fields(PPOConfig)
        if item.name != "steps" and getattr(earlier.config, item.name) != getattr(config, item.name)
    ]
    if differ:
        raise ConfigurationError(f"{folder} holds another run: {'; '.join(differ)}. Name another folder.")
    return earlier


def read_header(folder: Path) -> dict[str, Any]:
    """``agent.json``, checked."""
    try:
        header = json.loads((folder / "agent.json").read_text())
    except FileNotFoundError as error:
        raise PreparationError(f"{folder} holds no agent (there is no agent.json); train one first") from error
    except ValueError as error:
        raise PreparationError(f"{folder / 'agent.json'} is not valid JSON ({error}); train the agent again") from error
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise PreparationError(f"{folder / 'agent.json'} should be of format {FORMAT}; train the agent again")
    return header


def optimizer_tensors(policy: ActorCriticPolicy) -> dict[str, Any]:
    """Adam's state as named tensors, ``"{parameter}.{name}"``."""
    state = policy.optimizer.state_dict()["state"]
    return {f"{index}.{name}": tensor for index, entry in state.items() for name, tensor in entry.items()}


def restore_optimizer(policy: ActorCriticPolicy, path: Path) -> None:
    """Give the optimizer the state that :func:`optimizer_tensors` wrote."""
    state: dict[int, dict[str, Any]] = {}
    for key, tensor in load_file(path).items():
        index, name = key.split(".", 1)
        state.setdefault(int(index), {})[name] = tensor
    whole = policy.optimizer.state_dict()
    policy.optimizer.load_state_dict({"state": state, "param_groups": whole["param_groups"]})


def replace(path: Path, write: Callable[[Path], object]) -> None:
    """Write beside ``path`` and move into place, so that a run that is killed leaves the old file or the new one."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    write(beside)
    beside.replace(path)
