"""Fingerprints of what an environment is made of, so that no report mixes cells of different makes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from contextlib import closing
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from baselines.evaluate import make_envs
from benchmarks.running.cells import Job
from benchmarks.running.files import read_json
from benchmarks.running.runs import FinishedCell
from eagle_gym.envs.world import World
from eagle_gym.errors import ConfigurationError

OF_TRAINING = " of training"  # ends the names of fingerprints of an environment used only for training
TESTED: Mapping[str, Any] = MappingProxyType({"split": "test"})  # unless a cell's own `test_env_kwargs` say otherwise


class CellsDiffer(ConfigurationError):
    """Cells of one report were made with different catalogs, spaces, models or surrogates."""


def opened(env_id: str, num_envs: int, **kwargs: Any) -> closing[Any]:  # noqa: ANN401 - any environment's arguments
    """A vector environment as a context that closes it."""
    return closing(make_envs(env_id, num_envs, **kwargs))


def hashes(envs: Any) -> dict[str, str]:  # noqa: ANN401 - any vector environment
    """Fingerprints of an environment's catalog, split, latent space, language model and effects."""
    world = getattr(envs.unwrapped, "world", None)
    if not isinstance(world, World):
        return {}
    return {
        "catalog": world.catalog.hash,
        "split": world.resources.split.hash,
        "space": world.space.fingerprint,
        "model": world.model.fingerprint,
        "effects": hash_of_effects(world.resources.action_sets.effects),
    }


def hash_of_effects(effects: Any) -> str:  # noqa: ANN401 - any of eagle_gym.actions.effects.Effects
    """Hash of a surrogate's arrays; the name of a rollout, which model and settings determine."""
    kind = type(effects).__name__
    arrays = getattr(getattr(effects, "model", None), "arrays", None)
    if arrays is None:
        return kind
    digest = hashlib.sha256(kind.encode())
    for name, array in sorted(arrays().items()):
        digest.update(f"{name} {array.shape}".encode() + np.ascontiguousarray(array, "<f8").tobytes())
    return f"{kind} {digest.hexdigest()[:16]}"


class Fingerprints:
    """Fingerprints that jobs would have if they were done now; each environment is opened once."""

    def __init__(self) -> None:
        self._known: list[tuple[str, Mapping[str, Any], dict[str, str]]] = []

    def of(self, job: Job) -> dict[str, str]:
        """Fingerprints of the test environment, and those in which the training environment differs from it."""
        test, *others = (self._of(env_id, kwargs) for env_id, kwargs in job.environments())
        apart = {name: value for other in others for name, value in other.items() if value != test.get(name)}
        return test | {f"{name}{OF_TRAINING}": value for name, value in apart.items()}

    def _of(self, env_id: str, kwargs: Mapping[str, Any]) -> dict[str, str]:
        for known_id, known_kwargs, found in self._known:
            if (known_id, known_kwargs) == (env_id, kwargs):
                return found
        with opened(env_id, 1, **{**TESTED, **kwargs}) as envs:
            self._known.append((env_id, kwargs, hashes(envs)))
        return self._known[-1][2]


def check_made_of(folder: Path, now: Mapping[str, str]) -> None:
    """Check that a finished cell has the fingerprints that it would have now.

    Raises:
        CellsDiffer: It has different ones; the message names the parts.
    """
    differ = differences(read_json(folder / "run.json").get("hashes") or {}, now)
    if differ:
        raise CellsDiffer(
            f"{folder} was made with another {differ}: name another --out, or add --fresh to repeat every cell"
        )


def check_alike(cells: Iterable[FinishedCell]) -> None:
    """Check that all cells of an environment share its fingerprints, and those of a method also that of the training.

    Raises:
        CellsDiffer: They do not; the message names two cells and the parts.
    """
    first: dict[tuple[str, ...], FinishedCell] = {}
    for cell in cells:
        for key, parts in (((cell.environment,), tested_with), ((cell.environment, cell.method), all_parts)):
            other = first.setdefault(key, cell)
            differ = differences(parts(other), parts(cell))
            if differ:
                raise CellsDiffer(
                    f"{cell.name} and {other.name} cannot stand in one report, since they differ in {differ}: "
                    "add --fresh to repeat every cell"
                )


def all_parts(cell: FinishedCell) -> dict[str, str]:
    """All fingerprints of a cell."""
    return dict(cell.header.get("hashes") or {})


def tested_with(cell: FinishedCell) -> dict[str, str]:
    """Fingerprints of the test environment; the training environment may differ between methods."""
    return {name: value for name, value in all_parts(cell).items() if not name.endswith(OF_TRAINING)}


def differences(one: Mapping[str, str], other: Mapping[str, str]) -> str:
    """The parts in which two sets of fingerprints differ, for a message; "" if there are none."""
    names = [name for name in dict.fromkeys([*one, *other]) if one.get(name) != other.get(name)]
    return ", ".join(f"{name} ({one.get(name, 'none'):.28}, {other.get(name, 'none'):.28})" for name in names)
