"""Episodes of the reference policies, recorded once as Minari datasets and reused by all agents that learn from them.

Each policy plays whole episodes of train users in the vector environment. Its episodes become one dataset in Minari's
own layout, `{folder}/{namespace}/{policy}-v0/data`, which Minari finds by name if `MINARI_DATASETS_PATH={folder}`. An
observation is the latent one with the text observation added under `"text"`. `infos` hold what an agent does not see
but a learner may need: the utility of the state and each action's expected utility. The latter give the probabilities
of every reference policy in every recorded state.

A dataset is written to a temporary folder and moved into place, with a checksum of its arrays in its metadata.
"""

from __future__ import annotations

import dataclasses
import hashlib
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

from baselines import run
from baselines.agent import StochasticAgent
from baselines.evaluate import Cost, CostMeter
from baselines.reference import REFERENCES, ExpectedUtilities, make_reference
from baselines.worlds import expected_utilities
from eagle_gym.envs.observation import observe_text
from eagle_gym.envs.spaces import LATENT_KEYS
from eagle_gym.envs.vector import EagleVectorEnv
from eagle_gym.errors import ConfigurationError, PreparationError

FORMAT = 2
NAMESPACE = "eagle_gym"  # for environments without an id
ARRAYS = "main_data.hdf5"  # Minari's file


@dataclass(frozen=True)
class RecordConfig:
    """What to record."""

    policies: tuple[str, ...] = REFERENCES
    """Reference policies; each plays `episodes` episodes."""
    episodes: int = 128
    """Episodes of each policy, a multiple of `num_envs`."""
    seed: int = 0
    """Seed of the episodes and of the policies' choices."""


@dataclass(frozen=True, eq=False)
class RecordedSteps:
    """Recorded steps of one or more policies; M steps, K actions, n dimensions.

    Attributes:
        observation: Latent observation in which the action was taken, each `[M, ...]`.
        texts: `[M]` text observation of the same step.
        actions: `[M]` chosen actions.
        rewards: `[M]`.
        returns: `[M]` undiscounted sum of rewards from this step to the end of its episode.
        expected_utility: `[M, K]` utility of each action's expected next embedding; -inf where no action is offered.
        episodes: `[M]` number of the episode, counted over all policies.
        policies: `[M]` name of the policy that chose.
        cost: Cost of the recording; reading it costs nothing.
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
        """Probabilities `[M, K]` of a reference policy in every recorded state, whichever policy chose there.

        Raises:
            ConfigurationError: There is no such policy.
        """
        reference = make_reference(policy, ExpectedUtilities(self.expected_utility), np.random.default_rng())
        return reference.probabilities(self.observation)


def record(
    envs: gym.vector.VectorEnv[Any, Any, Any],
    folder: Path,
    config: RecordConfig | None = None,
    *,
    progress: bool = True,
) -> None:
    """Record the datasets that do not exist yet.

    Args:
        envs: A vector environment of eagle_gym with the latent observation, over train users.
        folder: Root of the datasets.
        config: What to record; the defaults if None.
        progress: Show a progress bar.

    Raises:
        ConfigurationError: The environment is of another kind, or has test users; `episodes` is not a multiple of
            `num_envs`; or the folder holds a dataset of the same name that was recorded differently.
        PreparationError: A dataset cannot be written.
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
        meter = CostMeter(base.usage)
        with tqdm(total=steps, desc=f"recording {name}", unit="step", disable=None if progress else True) as bar:
            episodes = [
                episode
                for batch in range(first, first + config.episodes, base.num_envs)
                for episode in play(base, policy, batch, bar)
            ]
        write(path, episodes, base, made_by, meter.cost())


def check_environment(envs: gym.vector.VectorEnv[Any, Any, Any], config: RecordConfig) -> EagleVectorEnv:
    """The unwrapped vector environment, checked to be one that can be recorded."""
    base = envs.unwrapped
    if not isinstance(base, EagleVectorEnv) or base.settings.observation != "latent":
        raise ConfigurationError(
            "expected a vector environment of eagle_gym with observation='latent', "
            f"got {type(base).__name__}: make it with gym.make_vec"
        )
    if base.settings.split != "train":
        raise ConfigurationError(
            f"expected train users, got split={base.settings.split!r}: make the environment with split='train'"
        )
    if config.episodes < 1 or config.episodes % base.num_envs:
        raise ConfigurationError(f"episodes: expected a multiple of num_envs = {base.num_envs}, got {config.episodes}")
    if base.autoreset_mode is gym.vector.AutoresetMode.SAME_STEP:
        raise ConfigurationError("expected NEXT_STEP autoreset, got SAME_STEP: make the environments without it")
    unknown = [name for name in config.policies if name not in REFERENCES]
    if unknown or not config.policies:
        raise ConfigurationError(f"policies: expected some of {', '.join(REFERENCES)}, got {config.policies}")
    return base


def namespace(envs: EagleVectorEnv) -> str:
    """The namespace and name of an environment: `"EagleGym/Plots"` for `EagleGym/Plots-v0`."""
    return envs.spec.id.rpartition("-")[0] if envs.spec else NAMESPACE


def origin(envs: EagleVectorEnv) -> dict[str, Any]:
    """What recorded episodes depend on: the environment's settings, language model and latent space."""
    elsewhere = ("cache_dir", "prepare", "device")  # they do not change what is recorded
    settings = {name: value for name, value in envs.settings.as_kwargs().items() if name not in elsewhere}
    return {"settings": settings, "model": envs.world.model.fingerprint, "space": envs.world.space.fingerprint}


def check_same(path: Path, made_by: dict[str, Any]) -> None:
    """Raise `ConfigurationError` unless the dataset at `path` was recorded in the same way."""
    found = read_metadata(path)
    differ = [f"{key} ({found.get(key)!r} there)" for key, value in made_by.items() if found.get(key) != value]
    if differ:
        raise ConfigurationError(f"{path} was recorded differently: {', '.join(differ)}. Name another folder.")


def play(envs: EagleVectorEnv, policy: StochasticAgent, first: int, bar: tqdm[Any]) -> list[EpisodeBuffer]:
    """Play one batch of whole episodes, with seeds `first, first + 1, ...`."""
    latent, _ = envs.reset(seed=first)
    visited, steps = [look(envs, latent)], []
    over = np.zeros(envs.num_envs, np.bool_)
    while not over.all():
        actions, _ = policy.predict(latent)
        latent, rewards, terminated, truncated, _ = envs.step(actions)
        over = terminated | truncated
        visited.append(look(envs, latent))
        steps.append((actions, rewards, terminated, truncated))
        bar.update(envs.num_envs)
    seen = {name: np.stack([step[name] for step in visited], 1) for name in visited[0]}  # [N, T + 1, ...]
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
    """Everything that is recorded at one step, each `[N, ...]`."""
    texts = np.empty(envs.num_envs, object)
    texts[:] = [observe_text(envs.world, state) for state in envs.states]
    utility = np.array([state.total for state in envs.states])
    return {**latent, "text": texts, "utility": utility, "expected_utility": expected_utilities(envs)}


def write(path: Path, episodes: Sequence[Any], envs: EagleVectorEnv, made_by: dict[str, Any], cost: Cost) -> None:
    """Write a dataset to a temporary folder and move it to `path`, so that a dataset at `path` is whole.

    Raises:
        PreparationError: It cannot be written; the temporary folder is gone.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    shutil.rmtree(temporary, ignore_errors=True)
    with run.writing(path):
        try:
            write_dataset(temporary / "data", f"{namespace(envs)}/{path.name}", episodes, envs, made_by, cost)
            temporary.replace(path)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


def write_dataset(
    folder: Path, dataset_id: str, episodes: Sequence[Any], envs: EagleVectorEnv, made_by: dict[str, Any], cost: Cost
) -> None:
    """Write episodes, metadata and a checksum in Minari's layout."""
    folder.parent.mkdir(parents=True)
    storage = MinariStorage.new(
        folder,
        env_spec=environment_spec(envs),
        observation_space=observation_space(envs, [text for some in episodes for text in some.observations["text"]]),
        action_space=envs.single_action_space,
        data_format="hdf5",
    )
    storage.update_episodes(episodes)
    storage.update_metadata(
        {
            "dataset_id": dataset_id,
            "minari_version": minari.__version__,
            "algorithm_name": made_by["policy"],
            "description": f"Whole episodes of the {made_by['policy']} reference policy, train users.",
            "cost": asdict(cost),
            "sha256": checksum(folder / ARRAYS),
        }
        | made_by
    )


def checksum(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def observation_space(envs: EagleVectorEnv, texts: Sequence[str]) -> gym.spaces.Dict:
    """The latent observation's space, and a Text space with exactly the characters that occur."""
    assert isinstance(envs.single_observation_space, gym.spaces.Dict)
    characters = "".join(sorted(set().union(*texts)))
    text = gym.spaces.Text(max_length=max(map(len, texts)), min_length=0, charset=characters)
    return gym.spaces.Dict({**envs.single_observation_space.spaces, "text": text})


def environment_spec(envs: EagleVectorEnv) -> gym.envs.registration.EnvSpec | None:
    """What `MinariDataset.recover_environment` makes: a single environment with the same settings."""
    if envs.spec is None:
        return None
    kwargs = {name: value for name, value in envs.settings.as_kwargs().items() if value is not None}
    return dataclasses.replace(gym.spec(envs.spec.id), kwargs=kwargs)


def read_metadata(path: Path) -> dict[str, Any]:
    """The metadata of a dataset; PreparationError if it cannot be read."""
    try:
        found: dict[str, Any] = MinariStorage.read_raw_metadata(path / "data")
    except ValueError as error:
        raise PreparationError(f"{path} holds no Minari dataset ({error}): record it again") from error
    return found


def load(folder: Path, policies: Sequence[str] = REFERENCES) -> RecordedSteps:
    """Read the recorded steps of one or more policies.

    Args:
        folder: Root of the datasets; they are found under it, whatever their namespace.
        policies: The policies, in the order of the result.

    Raises:
        PreparationError: A dataset is missing, exists twice, or cannot be read.
    """
    parts, cost = [], Cost()
    for name in policies:
        found = sorted(folder.glob(f"**/{name}-v0/data/metadata.json"))
        if len(found) != 1:
            raise PreparationError(
                f"{folder}: expected one dataset of the {name} policy, got {len(found)}: record it with "
                f"python -m baselines record --out {folder}"
            )
        path = found[0].parents[1]
        metadata = read_metadata(path)
        if metadata.get("format") != FORMAT:
            raise PreparationError(f"{path}: expected format {FORMAT}, got {metadata.get('format')!r}: record it again")
        try:
            if checksum(path / "data" / ARRAYS) != metadata["sha256"]:
                raise ValueError(f"the checksum of {ARRAYS} does not match")
            cost = Cost(**{key: value + metadata["cost"][key] for key, value in asdict(cost).items()})
            parts += [(name, episode) for episode in MinariDataset(path / "data").iterate_episodes()]
        except (OSError, KeyError, TypeError, ValueError) as error:
            raise PreparationError(f"{path} cannot be read ({error}): record it again") from error
    return join(parts, cost)


def join(parts: Sequence[tuple[str, Any]], cost: Cost) -> RecordedSteps:
    """Concatenate the steps of all episodes."""
    lengths = [len(episode.actions) for _, episode in parts]

    def column(read: Any) -> NDArray[Any]:  # noqa: ANN401 - an episode's array [T, ...] or [T + 1, ...]
        return np.concatenate([read(episode)[:count] for (_, episode), count in zip(parts, lengths, strict=True)])

    shown = [key for key in LATENT_KEYS if key in parts[0][1].observations]
    return RecordedSteps(
        observation={key: column(lambda episode, key=key: episode.observations[key]) for key in shown},
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
