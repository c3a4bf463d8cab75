"""The environments' ids: one table, from an id to its entry points and keywords, as strings.

Nothing here imports an environment, so that ``import eagle_gym`` stays light; Gymnasium loads the entry points when an
environment is made. Never mix versioned and unversioned ids of one name; a change of weights, catalog or defaults that
changes trajectories is a new version.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

ENTRY_POINT = "eagle_gym.envs.eagle:EagleEnv"
VECTOR_ENTRY_POINT = "eagle_gym.envs.vector:EagleVectorEnv"

IDS: MappingProxyType[str, dict[str, Any]] = MappingProxyType(
    {
        "EagleGym/Plots-v0": {"catalog": "plots"},
        "EagleGym/MovieLens-v0": {"catalog": "movielens"},
        "EagleGym/Amazon-v0": {"catalog": "amazon"},
        "EagleGym/Table-v0": {"catalog": "table"},
    }
)

# id -> what it is, and what it needs
ABOUT: MappingProxyType[str, tuple[str, str]] = MappingProxyType(
    {
        "EagleGym/Plots-v0": ("invented films and users, rewritten by the embedded model", "no download"),
        "EagleGym/MovieLens-v0": ("real films and ratings, from a GroupLens data set", "root=, its folder"),
        "EagleGym/Amazon-v0": (
            "products of one category, from Amazon reviews",
            "root=, a folder with reviews and metadata; a general language_model",
        ),
        "EagleGym/Table-v0": ("your own catalog, from two tables", "texts= and ratings=, two files"),
    }
)


def register_envs() -> None:
    """Register every id with Gymnasium; ids that are there already are left alone."""
    import gymnasium as gym

    for env_id, kwargs in IDS.items():
        if env_id not in gym.registry:
            gym.register(id=env_id, entry_point=ENTRY_POINT, vector_entry_point=VECTOR_ENTRY_POINT, kwargs=dict(kwargs))
