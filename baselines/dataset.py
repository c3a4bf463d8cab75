"""What the reference policies do, recorded once as Minari datasets and reused by all that learn from it.

Each policy plays whole episodes of train users in the vector environment; each becomes one dataset in Minari's own
layout, ``{folder}/{namespace}/{policy}-v0/data``, so that with ``MINARI_DATASETS_PATH={folder}`` Minari finds them by
name. An observation is the latent one with the text one beside it, under ``"text"``. ``infos`` hold what an agent does
not see and a learner may want: the utility of the state, and each action's expected utility, from which all reference
policies can be computed in every recorded state.
"""

from __future__ import annotations

import dataclasses
import os
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import gymnasium as gym
import minari
import numpy as np
from minari import MinariDataset
from minari.data_collector import EpisodeBuffer
from minari.dataset.minari_storage import MinariStorage
from numpy.typing import NDArray
from tqdm import tqdm

from baselines.agent import LATENT_KEYS, StochasticAgent
from baselines.evaluate import Cost, Meter
from baselines.reference import REFERENCES, Foreseen, make_reference
from eagle_gym.envs.observation import observe_text
from eagle_gym.envs.vector import EagleVectorEnv
from eagle_gym.errors import ConfigurationError, PreparationError

FORMAT = 1
NAMESPACE = "eagle_gym"  # of environments without an id


@dataclass(frozen=True)
class RecordConfig:
    """What is recorded."""

    policies: tuple[str, ...] = REFERENCES
    """Reference policies; each plays ``episodes`` of them."""
    episodes: int = 128
    """Episodes of each policy; a multiple of ``num_envs``."""
    seed: int = 0
    """Of the episodes and of the policies' own draws."""


@dataclass(frozen=True, eq=False)
class Recorded:
    """Recorded steps of one or more policies; M steps, K actions, n dimensions.

    Attributes:
        observation: Latent observation in which the action was taken, each ``[M, ...]``.
        texts: ``[M]`` text observation of the same moment.
        actions: ``[M]`` what was chosen.
        rewards: ``[M]``.
        returns: ``[M]`` undiscounted sum of rewards from this step to the end of its episode.
        expected_utility: ``[M, K]`` utility of each action's expected next embedding; -inf where none is offered.
        episodes: ``[M]`` number of the episode, counted through all policies.
        policies: ``[M]`` name of the policy that chose.
        cost: What recording took, in the environment; none of it is taken again.
    """

    observation: dict[str, NDArray[np.float32]]
    texts: tuple[str, ...]
    actions: NDArray[np.int64]
    rewards: NDArray[np.float64]
    returns: NDArray[np.float64]
    expected_utility: NDArray[np.float64]
    episodes: NDArray[np.int64]
    policies: tuple[str, ...]
    cost: Cost

    def __len__(self) -> int:
        return len(self.actions)

    def probabilities(self, policy: str) -> NDArray[np.float64]:
        """Probabilities ``[M, K]`` of a reference policy in every recorded state, whoever chose there.

        Raises:
            ConfigurationError: There is no such policy.
        """
        policy_there = make_reference(policy, Foreseen(self.expected_utility), np.random.default_rng())
        return policy_there.probabilities(self.observation)


def record(
    envs: gym.vector.VectorEnv[Any, Any, Any],
    folder: Path,
    config: RecordConfig | None = None,
    *,
    progress: bool = True,
) -> None:
    """Record the datasets that are not there yet.

    Args:
        envs: A vector environment of eagle_gym with the latent observation, over train users.
        folder: Root of the datasets.
        config: What to record; the defaults where None.
        progress: Show a progress bar.

    Raises:
        ConfigurationError: The environment is another kind, or has test users; ``episodes`` is no multiple of
            ``num_envs``; or the folder holds a dataset of the same name that was recorded otherwise.
    """
    config = config or RecordConfig()
    base = check_environment(envs, config)
    steps = config.episodes * base.settings.horizon
    for name in config.policies:
        path = folder.resolve() / namespace(base) / f"{name}-v0"
        made_by = {"format": FORMAT, "policy": name, "episodes": config.episodes, "seed": config.seed, **origin(base)}
        if path.exists():
            check_same(path, made_by)
            continue
        sequence = np.random.SeedSequence([config.seed, REFERENCES.index(name)])
        first, drawn = (int(value) for value in sequence.generate_state(2))
        policy = make_reference(name, base, np.random.default_rng(drawn))
        meter = Meter(base.usage)
        with tqdm(total=steps, desc=f"recording {name}", unit="step", disable=not progress) as bar:
            episodes = [
                episode
                for batch in range(first, first + config.episodes, base.num_envs)
                for episode in play(base, policy, batch, bar)
            ]
        write(path, episodes, base, made_by, meter.cost())


def check_environment(envs: gym.vector.VectorEnv[Any, Any, Any], config: RecordConfig) -> EagleVectorEnv:
    """The vector environment itself, once it is known that it can be recorded."""
    base = envs.unwrapped
    if not isinstance(base, EagleVectorEnv) or base.settings.observation != "latent":
        raise ConfigurationError(
            "recording takes a vector environment of eagle_gym (gym.make_vec) with observation='latent'; "
            f"{type(base).__name__} came"
        )
    if base.settings.split != "train":
        raise ConfigurationError(f"only train users are recorded: make the environment with split='train'; {base} came")
    if config.episodes < 1 or config.episodes % base.num_envs:
        raise ConfigurationError(f"episodes should be a multiple of num_envs = {base.num_envs}; {config.episodes} came")
    if base.autoreset_mode is gym.vector.AutoresetMode.SAME_STEP:
        raise ConfigurationError("an episode's last text is recorded too: make the environments without SAME_STEP")
    unknown = [name for name in config.policies if name not in REFERENCES]
    if unknown or not config.policies:
        raise ConfigurationError(f"policies are some of {', '.join(REFERENCES)}; {config.policies} came")
    return base


def namespace(envs: EagleVectorEnv) -> str:
    """``"EagleGym/Plots"`` for ``EagleGym/Plots-v0``."""
    return envs.spec.id.rpartition("-")[0] if envs.spec else NAMESPACE


def origin(envs: EagleVectorEnv) -> dict[str, Any]:
    """What the recorded episodes depend on: the environment's settings, its model and its latent space."""
    elsewhere = ("cache_dir", "prepare", "device")  # where things are does not change what they are
    settings = {name: value for name, value in envs.settings.as_kwargs().items() if name not in elsewhere}
    return {"settings": settings, "model": envs.world.model.fingerprint, "space": envs.world.space.fingerprint}


def check_same(path: Path, made_by: dict[str, Any]) -> None:
    """Raise ConfigurationError unless the dataset at ``path`` was recorded in this very way."""
    found = read_metadata(path)
    differ = [f"{key} ({found.get(key)!r} there)" for key, value in made_by.items() if found.get(key) != value]
    if differ:
        raise ConfigurationError(f"{path} was recorded otherwise: {', '.join(differ)}. Name another folder.")


def play(envs: EagleVectorEnv, policy: StochasticAgent, first: int, bar: tqdm[Any]) -> list[EpisodeBuffer]:
    """One batch of whole episodes, with seeds ``first, first + 1, ...``."""
    latent, _ = envs.reset(seed=first)
    moments, steps = [look(envs, latent)], []
    over = np.zeros(envs.num_envs, np.bool_)
    while not over.all():
        actions, _ = policy.predict(latent)
        latent, rewards, terminated, truncated, _ = envs.step(actions)
        over = terminated | truncated
        moments.append(look(envs, latent))
        steps.append((actions, rewards, terminated, truncated))
        bar.update(envs.num_envs)
    seen = {name: np.stack([moment[name] for moment in moments], 1) for name in moments[0]}  # [N, T + 1, ...]
    done = [np.stack(column, 1) for column in zip(*steps, strict=True)]  # [N, T]
    texts = seen.pop("text").tolist()
    infos = {name: seen.pop(name) for name in ("utility", "expected_utility")}
    return [
        EpisodeBuffer(
            None,
            first + i,
            None,
            {**{name: column[i] for name, column in seen.items()}, "text": texts[i]},
            *(column[i] for column in done),
            {name: column[i] for name, column in infos.items()},
        )
        for i in range(envs.num_envs)
    ]


def look(envs: EagleVectorEnv, latent: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Everything that is recorded of one moment, each ``[N, ...]``."""
    texts = np.empty(envs.num_envs, object)
    texts[:] = [observe_text(envs.world, state) for state in envs.states]
    utility = np.array([state.total for state in envs.states])
    return {**latent, "text": texts, "utility": utility, "expected_utility": envs.expected_utility()}


def write(path: Path, episodes: Sequence[Any], envs: EagleVectorEnv, made_by: dict[str, Any], cost: Cost) -> None:
    """Write a dataset beside ``path`` and move it there, so that one that is there is whole."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(parents=True)
    space = observation_space(envs, [text for episode in episodes for text in episode.observations["text"]])
    storage = MinariStorage.new(
        beside / "data",
        env_spec=environment_spec(envs),
        observation_space=space,
        action_space=envs.single_action_space,
        data_format="hdf5",
    )
    storage.update_metadata(
        {
            "dataset_id": f"{namespace(envs)}/{path.name}",
            "minari_version": minari.__version__,
            "algorithm_name": made_by["policy"],
            "description": f"Whole episodes of the {made_by['policy']} reference policy, train users.",
            "cost": asdict(cost),
        }
        | made_by
    )
    storage.update_episodes(episodes)
    beside.replace(path)


def observation_space(envs: EagleVectorEnv, texts: Sequence[str]) -> gym.spaces.Dict:
    """The latent observation's space with a Text beside it that holds exactly the characters there are."""
    assert isinstance(envs.single_observation_space, gym.spaces.Dict)
    characters = "".join(sorted(set().union(*texts)))
    text = gym.spaces.Text(max_length=max(map(len, texts)), min_length=0, charset=characters)
    return gym.spaces.Dict({**envs.single_observation_space.spaces, "text": text})


def environment_spec(envs: EagleVectorEnv) -> gym.envs.registration.EnvSpec | None:
    """What ``MinariDataset.recover_environment`` makes: a single environment with the same settings."""
    if envs.spec is None:
        return None
    kwargs = {name: value for name, value in envs.settings.as_kwargs().items() if value is not None}
    return dataclasses.replace(gym.spec(envs.spec.id), kwargs=kwargs)


def read_metadata(path: Path) -> dict[str, Any]:
    """The metadata of a dataset; PreparationError where there is none that can be read."""
    try:
        found: dict[str, Any] = MinariStorage.read_raw_metadata(path / "data")
    except ValueError as error:
        raise PreparationError(f"{path} holds no Minari dataset ({error}); record it again") from error
    return found


def load(folder: Path, policies: Sequence[str] = REFERENCES) -> Recorded:
    """Read what :func:`record` has written, of one policy or several.

    Args:
        folder: Root of the datasets; they are found below it, whatever their namespace.
        policies: Whose episodes, in this order.

    Raises:
        PreparationError: A dataset is absent, is there twice, or cannot be read.
    """
    parts, cost = [], Cost()
    for name in policies:
        found = sorted(folder.glob(f"**/{name}-v0/data/metadata.json"))
        if len(found) != 1:
            raise PreparationError(
                f"one dataset of the {name} policy is expected below {folder}; there are {len(found)}. Record it: "
                f"python -m baselines record --out {folder}"
            )
        path = found[0].parents[1]
        metadata = read_metadata(path)
        if metadata.get("format") != FORMAT:
            raise PreparationError(f"{path} is not of format {FORMAT}; record it again")
        spent = metadata["cost"]
        cost = Cost(**{key: value + spent[key] for key, value in asdict(cost).items()})
        try:
            parts += [(name, episode) for episode in MinariDataset(path / "data").iterate_episodes()]
        except (OSError, KeyError, ValueError) as error:
            raise PreparationError(f"{path} cannot be read ({error}); record it again") from error
    return join(parts, cost)


def join(parts: Sequence[tuple[str, Any]], cost: Cost) -> Recorded:
    """Steps of all episodes one after the other."""
    lengths = [len(episode.actions) for _, episode in parts]

    def column(read: Any) -> NDArray[Any]:  # noqa: ANN401 - an episode's array [T, ...] or [T + 1, ...]
        return np.concatenate([read(episode)[:count] for (_, episode), count in zip(parts, lengths, strict=True)])

    return Recorded(
        observation={key: column(lambda episode, key=key: episode.observations[key]) for key in LATENT_KEYS},
        texts=tuple(
            text for (_, episode), n in zip(parts, lengths, strict=True) for text in episode.observations["text"][:n]
        ),
        actions=column(lambda episode: episode.actions),
        rewards=column(lambda episode: episode.rewards),
        returns=column(lambda episode: np.cumsum(episode.rewards[::-1])[::-1]),
        expected_utility=column(lambda episode: episode.infos["expected_utility"]),
        episodes=np.repeat(np.arange(len(parts)), lengths),
        policies=tuple(np.repeat([name for name, _ in parts], lengths).tolist()),
        cost=cost,
    )
