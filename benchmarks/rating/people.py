"""What raters are told of a user: the profile, and a few items that the user liked. Both come from support ratings."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.rating.sampling import Describe
from benchmarks.running.cells import Cell
from benchmarks.running.fingerprints import Fingerprints, check_alike, check_made_of, opened
from benchmarks.running.runs import Run
from eagle_gym.catalog import Catalog, Split
from eagle_gym.catalog.profile import Profiles, liked
from eagle_gym.errors import ConfigurationError

if TYPE_CHECKING:
    from numpy.typing import NDArray

WORDS = 60  # longest text of a liked item


@dataclass(frozen=True, eq=False)
class Users:
    """The users of a catalog, as raters are told of them.

    Attributes:
        catalog, split: Those of the environment.
        count: Number of liked items.
        seed: Chooses among them.
    """

    catalog: Catalog
    split: Split
    count: int
    seed: int

    @cached_property
    def _profiles(self) -> Profiles:
        return Profiles(self.catalog, self.split)

    @cached_property
    def _liked(self) -> NDArray[np.bool_]:
        return liked(self.catalog, self.split)

    def describe(self, user: str) -> tuple[str, tuple[str, ...]]:
        """Profile and some liked items of a user, the best rated first."""
        row = self.catalog.user_index(user)
        ratings = self.catalog.ratings
        rows = np.flatnonzero(self._liked & (ratings.user == row))
        mixed = np.random.default_rng([self.seed, row]).permutation(rows)
        best = mixed[np.argsort(-ratings.value[mixed], kind="stable")][: self.count]
        return self._profiles.text(row), tuple(self._item(int(ratings.item[i])) for i in best)

    def _item(self, row: int) -> str:
        item = self.catalog.items[row]
        words = item.text.split()
        text = " ".join(words[:WORDS]) + (" …" if len(words) > WORDS else "")
        return text if not item.title or item.title == item.id else f"{item.title}: {text}"


def describer(runs: Iterable[Run], count: int, seed: int) -> Describe:
    """A function from environment and user to what raters are told of the user.

    Args:
        runs: The runs; one environment of each kind is opened to read its catalog.
        count: Number of liked items.
        seed: Chooses among them.

    Raises:
        CellsDiffer: The runs were made of different parts, or of parts that are no longer there.
    """
    cells = [(run, cell) for run in runs for cell in run.done]
    check_alike(cell for _, cell in cells)
    users: dict[str, Users] = {}
    with ExitStack() as stack:
        for run, found in cells:
            if found.environment in users:
                continue
            cell = Cell(**found.header["cell"])
            (env_id, kwargs), *_ = cell.environments()
            envs = stack.enter_context(opened(env_id, 1, split="test", **kwargs))
            if (run.folder / cell.place).is_dir():
                check_made_of(run.folder / cell.place, Fingerprints().of(cell))
            world = envs.unwrapped.world
            users[found.environment] = Users(world.catalog, world.resources.split, count, seed)

    def describe(environment: str, user: str) -> tuple[str, tuple[str, ...]]:
        if environment not in users:
            raise ConfigurationError(f"expected one of the environments {sorted(users)}, got {environment!r}")
        return users[environment].describe(user)

    return describe
