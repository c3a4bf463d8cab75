"""Every method by its name: where it lives, how it is configured, and trained and loaded where it learns.

These are the tables of learners and of methods that do not learn; the command line and the benchmarks read them.
Modules are imported when they are asked for, so that an agent whose libraries are absent is in nobody's way.
"""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol, runtime_checkable

import gymnasium as gym
import numpy as np

from baselines.agent import Agent, Writer
from baselines.reference import FIXED, make_reference
from eagle_gym.errors import ConfigurationError, PreparationError, suggest


class Trained(Agent, Protocol):
    """An agent that has learnt in an environment."""

    steps: int


@runtime_checkable
class Bound(Protocol):
    """An agent that may look at more than its observation."""

    def bind(self, env: Any) -> None:  # noqa: ANN401 - any environment of eagle_gym
        """Say where it acts."""
        ...


@dataclass(frozen=True)
class Learner:
    """Where a learner is.

    Attributes:
        summary: What it is, in a line.
        module: Its module, which has ``train(envs, config, *, folder, resume, progress, label)``.
        config: Name of its dataclass of hyperparameters.
        agent: Name of its agent's class, which has ``load(folder)``.
        settings: Hyperparameters that set it apart from others with the same dataclass.
    """

    summary: str
    module: str
    config: str
    agent: str
    settings: Mapping[str, Any] = field(default_factory=dict)


SB3 = {
    "ppo": ("PPO", "PPOConfig"),
    "a2c": ("A2C", "A2CConfig"),
    "dqn": ("DQN", "DQNConfig"),
    "maskable_ppo": ("MaskablePPO", "MaskablePPOConfig"),
    "recurrent_ppo": ("RecurrentPPO", "RecurrentPPOConfig"),
}
STOCK = "-stock"  # a learner of SB3 with SB3's own policy

LEARNERS: Mapping[str, Learner] = MappingProxyType(
    {
        "supervised": Learner(
            "a language model that imitates a reference policy",
            "baselines.supervised",
            "SupervisedConfig",
            "SupervisedAgent",
        ),
        "eagle": Learner("EAGLE", "baselines.eagle", "EagleConfig", "EagleAgent"),
        "elm": Learner("ELM: find the best point and decode it", "baselines.elm", "ELMConfig", "ELMAgent"),
        "vas": Learner("value-augmented sampling", "baselines.vas", "VASConfig", "VASAgent"),
        **{
            name: Learner(f"{title} of Stable-Baselines3", "baselines.sb3", config, "SB3Agent")
            for name, (title, config) in SB3.items()
        },
        **{
            name + STOCK: Learner(
                f"{title} with SB3's own policy",
                "baselines.sb3",
                config,
                "SB3Agent",
                MappingProxyType({"policy": "stock"}),
            )
            for name, (title, config) in SB3.items()
        },
    }
)


@dataclass(frozen=True)
class Method:
    """Where a method is that does not learn.

    Attributes:
        summary: What it is, in a line.
        module: Its module.
        config: Name of its dataclass of hyperparameters.
        agent: Name of its class, made as ``agent(env, config, rng)``.
    """

    summary: str
    module: str
    config: str
    agent: str


METHODS: Mapping[str, Method] = MappingProxyType(
    {
        "lookahead": Method("greedy lookahead", "baselines.search", "LookaheadConfig", "Lookahead"),
        "beam": Method("beam search", "baselines.search", "BeamConfig", "Beam"),
        "mcts": Method("Monte-Carlo tree search", "baselines.search", "MCTSConfig", "MCTS"),
        "best_of_n": Method("the best of whole episodes", "baselines.writers", "BestOfNConfig", "BestOfN"),
        "profile": Method(
            "one rewrite with the profile in the prompt", "baselines.writers", "ProfileConfig", "ProfileRewrite"
        ),
    }
)


def find(name: str) -> Learner | Method:
    """A learner, or a method that does not learn, by its name.

    Raises:
        ConfigurationError: There is none of that name.
    """
    found = LEARNERS.get(name) or METHODS.get(name)
    if found is None:
        names = [*LEARNERS, *METHODS]
        raise ConfigurationError(f"no learner or method {name!r}{suggest(name, names)}; there are {', '.join(names)}")
    return found


def attribute(learner: Learner | Method, name: str) -> Any:  # noqa: ANN401 - a class or a function of the learner's module
    """Something of a learner's module, which is imported.

    Raises:
        ConfigurationError: A library that it needs is not installed.
    """
    try:
        return getattr(importlib.import_module(learner.module), name)
    except ImportError as error:
        raise ConfigurationError(
            f"{learner.module} needs a library that is not there ({error}): pip install 'eagle_gym[baselines]'"
        ) from error


def make_config(name: str, settings: Mapping[str, Any]) -> Any:  # noqa: ANN401 - its own dataclass
    """Hyperparameters of a learner or a method, those not named at their defaults.

    Raises:
        ConfigurationError: There is no such name or hyperparameter, or a value cannot be.
    """
    learner = find(name)
    own = learner.settings if isinstance(learner, Learner) else {}
    try:
        return attribute(learner, learner.config)(**{**own, **settings})
    except TypeError as error:
        raise ConfigurationError(f"{name} has no such hyperparameter ({error})") from error


def hyperparameters(name: str) -> dict[str, Any]:
    """The hyperparameters of a learner or a method with their defaults."""
    config = make_config(name, {})
    return {item.name: getattr(config, item.name) for item in dataclasses.fields(config)}


def read_setting(name: str, text: str) -> tuple[str, Any]:
    """``"gamma=0.9"`` as a name and a value of the kind that this hyperparameter has.

    Raises:
        ConfigurationError: There is no such hyperparameter, or the value is of another kind.
    """
    key, _, value = text.partition("=")
    defaults = hyperparameters(name)
    if key not in defaults:
        raise ConfigurationError(
            f"{name} has no hyperparameter {key!r}{suggest(key, list(defaults))}; there are {', '.join(defaults)}"
        )
    kind = type(defaults[key])
    try:
        return key, {"true": True, "false": False}[value.lower()] if kind is bool else kind(value)
    except (KeyError, ValueError) as error:
        raise ConfigurationError(f"{key} should be a {kind.__name__}; {value!r} came") from error


def train(
    name: str,
    envs: gym.vector.VectorEnv[Any, Any, Any],
    settings: Mapping[str, Any],
    *,
    folder: Path | None = None,
    resume: bool = False,
    progress: bool = True,
    label: str | None = None,
) -> Trained:
    """Train a learner.

    Args:
        name: Which.
        envs: A vector environment with the latent observation, over train users, that does not reset within a step.
        settings: Hyperparameters that are not to have their defaults.
        folder: Of the run; nothing is written where None.
        resume: Go on from the folder's checkpoint, where there is one.
        progress: Show a progress bar.
        label: Its name; the learner's where None.

    Raises:
        ConfigurationError: A name, a hyperparameter or an environment that cannot be, or ``resume`` finds another run.
    """
    if name in METHODS:
        raise ConfigurationError(f"{name} does not learn; evaluate it as it is")
    trained: Trained = attribute(find(name), "train")(
        envs, make_config(name, settings), folder=folder, resume=resume, progress=progress, label=label or name
    )
    return trained


def load(folder: Path) -> Trained:
    """Read a trained agent, whoever trained it.

    Raises:
        PreparationError: The folder holds none, or one of a learner that there is not.
    """
    from baselines.run import read_header  # torch comes with it

    algorithm = str(read_header(folder).get("algorithm"))
    if algorithm not in LEARNERS:
        raise PreparationError(f"{folder} is a run of {algorithm!r}; there are {', '.join(LEARNERS)}")
    agent: Trained = attribute(LEARNERS[algorithm], LEARNERS[algorithm].agent).load(folder)
    return agent


def make(spec: str, env: Any, rng: np.random.Generator) -> Agent | Writer:  # noqa: ANN401 - any environment of ours
    """Whatever a spec names, ready to be evaluated in an environment.

    Args:
        spec: A policy that needs no training (``"uniform"``); a method that does not learn, with settings behind a
            colon where they are not to have their defaults (``"beam:budget=640,width=8"``); the folder of a trained
            agent.
        env: Where it will act, a vector environment or a single one.
        rng: What it draws from.

    Raises:
        ConfigurationError: A setting or an environment that cannot be.
        PreparationError: There is no agent in the folder.
    """
    if spec in FIXED:
        return make_reference(spec, env.unwrapped, rng)
    name, _, settings = spec.partition(":")
    if name in METHODS:
        config = make_config(name, dict(read_setting(name, text) for text in settings.split(",") if text))
        made: Agent | Writer = attribute(METHODS[name], METHODS[name].agent)(env, config, rng)
        return made
    agent = load(Path(spec))
    if isinstance(agent, Bound):
        agent.bind(env)
    return agent


def is_learnt(spec: str) -> bool:
    """Whether a spec names a trained agent, by its folder."""
    return spec not in FIXED and spec.partition(":")[0] not in METHODS
