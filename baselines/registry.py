"""The tables of learners and of methods that do not learn, which the command line and the benchmarks use.

A module is imported when one of its names is used, so the libraries of an agent are needed only when it is used.
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
from baselines.config import explanations
from baselines.reference import FIXED, READS, make_reference
from eagle_gym.errors import ConfigurationError, PreparationError, suggest


class Trained(Agent, Protocol):
    """A trained agent."""

    steps: int


@runtime_checkable
class Bound(Protocol):
    """An agent that needs more than its observation."""

    def bind(self, env: Any) -> None:  # noqa: ANN401 - any environment of eagle_gym
        """Set the environment that it acts in."""
        ...


@dataclass(frozen=True)
class Learner:
    """An agent that learns.

    Attributes:
        summary: What it is, in a few words.
        module: Its module, which has `train(envs, config, *, folder, resume, progress, label)`.
        config: Name of its dataclass of hyperparameters.
        agent: Name of its agent's class, which has `load(folder)`.
        settings: Hyperparameters that distinguish it from others with the same dataclass.
        reads: What it is given besides observations and rewards, as `reads` says; hyperparameters may add to it.
    """

    summary: str
    module: str
    config: str
    agent: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    reads: str = ""


SB3 = {
    "ppo": ("PPO", "PPOConfig"),
    "a2c": ("A2C", "A2CConfig"),
    "dqn": ("DQN", "DQNConfig"),
    "maskable_ppo": ("MaskablePPO", "MaskablePPOConfig"),
    "recurrent_ppo": ("RecurrentPPO", "RecurrentPPOConfig"),
}
STOCK = "-stock"  # suffix of an SB3 learner with SB3's own policy


def _sb3_learners() -> dict[str, Learner]:
    stock = MappingProxyType({"policy": "stock"})
    learners = {}
    for name, (title, config) in SB3.items():
        learners[name] = Learner(f"{title} of Stable-Baselines3", "baselines.sb3", config, "SB3Agent")
        summary = f"{title} of Stable-Baselines3 with SB3's own policy"
        learners[name + STOCK] = Learner(summary, "baselines.sb3", config, "SB3Agent", stock)
    return learners


LEARNERS: Mapping[str, Learner] = MappingProxyType(
    {
        "supervised": Learner(
            "language model that imitates a reference policy",
            "baselines.supervised",
            "SupervisedConfig",
            "SupervisedAgent",
        ),
        "eagle": Learner("EAGLE, held near a reference policy", "baselines.eagle", "EagleConfig", "EagleAgent"),
        "elm": Learner(
            "ELM, a decoder of the best point", "baselines.elm", "ELMConfig", "ELMAgent", reads="utility"
        ),
        "cola": Learner(
            "CoLA, a language model steered by codes", "baselines.cola", "CoLAConfig", "CoLAAgent", reads="rewrites"
        ),
        "grpo_tokens": Learner(
            "GRPO over the language model's own tokens",
            "baselines.cola",
            "CoLAConfig",
            "CoLAAgent",
            MappingProxyType({"acts": "tokens"}),
            reads="rewrites",
        ),
        "vas": Learner("value-augmented sampling", "baselines.vas", "VASConfig", "VASAgent"),
        **_sb3_learners(),
    }
)


@dataclass(frozen=True)
class Method:
    """A method that does not learn.

    Attributes:
        summary: What it is, in a few words.
        module: Its module.
        config: Name of its dataclass of hyperparameters.
        agent: Name of its class, which is called as `agent(env, config, rng)`.
        reads: What it is given besides observations and rewards, as `reads` says; hyperparameters may add to it.
    """

    summary: str
    module: str
    config: str
    agent: str
    reads: str = ""


SEARCH = "expected, rewrites"
METHODS: Mapping[str, Method] = MappingProxyType(
    {
        "lookahead": Method("greedy lookahead", "baselines.search", "LookaheadConfig", "Lookahead", SEARCH),
        "beam": Method("beam search", "baselines.search", "BeamConfig", "Beam", SEARCH),
        "mcts": Method("Monte-Carlo tree search", "baselines.search", "MCTSConfig", "MCTS", SEARCH),
        "first": Method("the first offered edit", "baselines.first", "FirstConfig", "First"),
        "linucb": Method("LinUCB, which learns within an episode", "baselines.linucb", "LinUCBConfig", "LinUCB"),
        "best_of_n": Method("best of N whole episodes", "baselines.writers", "BestOfNConfig", "BestOfN", "rewrites"),
        "profile": Method("one rewrite from the profile", "baselines.writers", "ProfileConfig", "ProfileRewrite"),
    }
)


def find(name: str) -> Learner | Method:
    """Find a learner, or a method that does not learn, by its name.

    Raises:
        ConfigurationError: There is none of that name.
    """
    found = LEARNERS.get(name) or METHODS.get(name)
    if found is None:
        names = [*LEARNERS, *METHODS]
        message = f"no learner or method {name!r}{suggest(name, names)}: choose one of {', '.join(names)}"
        raise ConfigurationError(message)
    return found


def attribute(learner: Learner | Method, name: str) -> Any:  # noqa: ANN401 - a class or a function of the learner's module
    """Import an attribute of a learner's module.

    Raises:
        ConfigurationError: A library that it needs is not installed.
    """
    try:
        return getattr(importlib.import_module(learner.module), name)
    except ImportError as error:
        raise ConfigurationError(
            f"{learner.module} needs a library that is not installed ({error}): pip install 'eagle_gym[baselines]'"
        ) from error


def make_config(name: str, settings: Mapping[str, Any]) -> Any:  # noqa: ANN401 - its own dataclass
    """Hyperparameters of a learner or a method; those not given have their defaults.

    Raises:
        ConfigurationError: An unknown name or hyperparameter, or an invalid value.
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


def explain(name: str) -> dict[str, str]:
    """What each hyperparameter of a learner or a method means."""
    return explanations(type(make_config(name, {})))


def read_setting(name: str, text: str) -> tuple[str, Any]:
    """Parse a setting such as `"gamma=0.9"` into a name and a value of the hyperparameter's type.

    Raises:
        ConfigurationError: An unknown hyperparameter, or a value of another type.
    """
    key, _, value = text.partition("=")
    defaults = hyperparameters(name)
    if key not in defaults:
        raise ConfigurationError(
            f"{name} has no hyperparameter {key!r}{suggest(key, list(defaults))}: choose one of {', '.join(defaults)}"
        )
    if defaults[key] is None and value == "None":
        return key, None
    kind = int if defaults[key] is None else type(defaults[key])  # None stands for a number that the learner chooses
    try:
        return key, {"true": True, "false": False}[value.lower()] if kind is bool else kind(value)
    except (KeyError, ValueError) as error:
        raise ConfigurationError(f"{key}: expected a {kind.__name__}, got {value!r}") from error


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
        name: Name of the learner.
        envs: A vector environment with the latent observation, over train users, that does not reset within a step.
        settings: Hyperparameters that differ from their defaults.
        folder: Folder of the run; nothing is written if None.
        resume: Continue from the folder's checkpoint if there is one.
        progress: Show a progress bar.
        label: Its name; the learner's if None.

    Raises:
        ConfigurationError: An invalid name, hyperparameter or environment, or `resume` finds another run.
        PreparationError: A checkpoint cannot be read or written.
    """
    if name in METHODS:
        raise ConfigurationError(f"{name} does not learn: evaluate it without training")
    trained: Trained = attribute(find(name), "train")(
        envs, make_config(name, settings), folder=folder, resume=resume, progress=progress, label=label or name
    )
    return trained


def load(folder: Path) -> Trained:
    """Read a trained agent of any learner.

    Raises:
        PreparationError: The folder holds no agent, or one of an unknown learner.
    """
    from baselines.run import read_header  # imports torch

    algorithm = str(read_header(folder).get("algorithm"))
    if algorithm not in LEARNERS:
        raise PreparationError(f"{folder}: expected a run of one of {', '.join(LEARNERS)}, got a run of {algorithm!r}")
    agent: Trained = attribute(LEARNERS[algorithm], LEARNERS[algorithm].agent).load(folder)
    return agent


def make(spec: str, env: Any, rng: np.random.Generator) -> Agent | Writer:  # noqa: ANN401 - any environment of ours
    """Make the agent that a spec names, ready to be evaluated in an environment.

    Args:
        spec: A policy that needs no training (`"uniform"`); the folder of a trained agent; or a method that does not
            learn, with settings after a colon that differ from their defaults (`"beam:budget=640,width=8"`).
        env: The environment that it will act in, a vector environment or a single one.
        rng: Generator that it draws from.

    Raises:
        ConfigurationError: An invalid setting or environment.
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
    """Whether a spec names the folder of a trained agent."""
    return spec not in FIXED and spec.partition(":")[0] not in METHODS


def reads(spec: str, settings: Mapping[str, Any] = MappingProxyType({})) -> str:
    """What an agent is given besides observations and rewards, in use or in training.

    A learner is given what its reference policy reads, and what the supervised agent read that it starts from.

    Args:
        spec: Name of a policy that needs no training, of a learner, of a method that does not learn (with settings
            after a colon), or the folder of a trained agent.
        settings: Hyperparameters of a learner or a method that differ from their defaults.

    Returns:
        Words, separated by commas, in alphabetical order: `effects`, what edits are expected to do; `expected`, what
        they are expected to be worth; `rewrites`, trial rewrites and what they are paid; `utility`, what any point of
        the latent space is worth to the user.

    Raises:
        ConfigurationError: An invalid hyperparameter.
        PreparationError: There is no agent in the folder.
    """
    if spec in FIXED:
        return READS.get(spec, "")
    name, _, own = spec.partition(":")
    if name not in LEARNERS and name not in METHODS:
        return _reads_of_folder(Path(spec))
    learner = find(name)
    config = make_config(name, {**dict(read_setting(name, text) for text in own.split(",") if text), **settings})
    found = {learner.reads, READS.get(getattr(config, "reference", ""), "")}
    if getattr(config, "supervised", ""):
        found.add(_reads_of_folder(Path(config.supervised)))
    return ", ".join(sorted({word for words in found for word in words.split(", ") if word}))


def _reads_of_folder(folder: Path) -> str:
    from baselines.run import read_header  # imports torch

    header = read_header(folder, algorithm=str, config=dict)
    if header["algorithm"] not in LEARNERS:
        raise PreparationError(f"{folder}: expected a run of one of {', '.join(LEARNERS)}, got {header['algorithm']!r}")
    return reads(header["algorithm"], header["config"])


def is_privileged(spec: str, settings: Mapping[str, Any] = MappingProxyType({})) -> bool:
    """Whether an agent reads more than anybody who plays can: all that `reads` names, except trial rewrites.

    Arguments and errors as for `reads`.
    """
    return reads(spec, settings) not in ("", "rewrites")
