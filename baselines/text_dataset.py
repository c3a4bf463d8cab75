"""Rollouts as a Minari dataset of text observations.

An observation is the text observation that an agent reads, in the space `FreeText`. Minari knows this space once
`eagle_gym.envs.spaces` is imported, which whoever loads the dataset must do. `infos` hold the rewards by name. Minari
finds the dataset by its id if `MINARI_DATASETS_PATH` is the folder.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import gymnasium as gym
import minari
import numpy as np
from minari.data_collector import EpisodeBuffer
from minari.dataset.minari_storage import MinariStorage

from baselines import run
from baselines.rollouts import Episode, Rollouts
from eagle_gym.envs.settings import Settings
from eagle_gym.envs.spaces import FreeText
from eagle_gym.errors import ConfigurationError

NAMESPACE = "eagle_gym"  # for environments without an id


def write_text_dataset(rollouts: Rollouts, folder: Path, name: str | None = None) -> str:
    """Write rollouts as a Minari dataset.

    Args:
        rollouts: Episodes whose turns are actions: those of `profile` and `best_of_n` are not.
        folder: Root of the datasets.
        name: Id of the dataset; None for `NAMESPACE/POLICY-text-v0`.

    Returns:
        The id.

    Raises:
        ConfigurationError: There is a dataset of this id, or the turns are no actions.
        PreparationError: The dataset cannot be written; nothing is left of it.
    """
    header = rollouts.header
    name = name or _default_name(header)
    path = folder.resolve() / name
    if path.exists():
        raise ConfigurationError(f"{path} exists already: name another folder, or another id with --name")
    if any(turn["action"] is None for episode in rollouts.episodes for turn in episode["turns"]):
        raise ConfigurationError(
            f"expected turns that choose an offered edit, got texts written by {header['policy']['name']!r}: record a "
            "policy that chooses edits"
        )
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    shutil.rmtree(temporary, ignore_errors=True)
    with run.writing(path):
        try:
            _write(temporary / "data", name, rollouts)
            temporary.replace(path)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    return name


def _default_name(header: dict[str, Any]) -> str:
    own = (header["environment"] or f"{NAMESPACE}-v0").rpartition("-")[0]
    return f"{own}/{Path(header['policy']['name']).name}-text-v0"


def _write(folder: Path, name: str, rollouts: Rollouts) -> None:
    folder.parent.mkdir(parents=True)
    header = rollouts.header
    storage = MinariStorage.new(
        folder,
        env_spec=_spec(header),
        observation_space=FreeText(),
        action_space=gym.spaces.Discrete(Settings.of(header["settings"]).actions),
        data_format="hdf5",
    )
    storage.update_episodes([_buffer(at, episode) for at, episode in enumerate(rollouts.episodes)])
    storage.update_metadata(
        {
            "dataset_id": name,
            "minari_version": minari.__version__,
            "algorithm_name": header["policy"]["name"],
            "description": f"Text observations of {len(rollouts.episodes)} episodes of {header['policy']['name']}.",
            "rollouts": header,
        }
    )


def _spec(header: dict[str, Any]) -> gym.envs.registration.EnvSpec | None:
    """What `MinariDataset.recover_environment` makes."""
    if header["environment"] is None:
        return None
    kwargs = {name: value for name, value in header["settings"].items() if value is not None}
    spec = gym.spec(header["environment"])
    return gym.envs.registration.EnvSpec(
        spec.id, entry_point=spec.entry_point, kwargs={**kwargs, "observation": "text"}
    )


def _buffer(number: int, episode: Episode) -> EpisodeBuffer:
    turns = episode["turns"]
    asked = [message["content"] for message in episode["messages"] if message["role"] == "user"]
    rewards = [turn["rewards"] for turn in turns]
    return EpisodeBuffer(
        number,
        episode["episode"],
        None,
        [*asked, episode["last_observation"]],
        np.array([turn["action"] for turn in turns]),
        np.array([each["reward"] for each in rewards]),
        np.array([turn["terminated"] for turn in turns]),
        np.array([turn["truncated"] for turn in turns]),
        {f"reward_{key}": np.array([0.0, *(each[key] for each in rewards)]) for key in rewards[0]},
    )
