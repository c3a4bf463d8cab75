"""The environments' ids, registered with Gymnasium; derived from the table of catalogs.

Entry points are strings, which Gymnasium loads when an environment is made, so `import eagle_gym` stays light. A change
of weights, catalog or defaults that changes trajectories needs a new version of the id.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from eagle_gym.catalogs import CATALOGS

ENTRY_POINT = "eagle_gym.envs.eagle:EagleEnv"
VECTOR_ENTRY_POINT = "eagle_gym.envs.vector:EagleVectorEnv"

# id -> keywords
IDS: Mapping[str, dict[str, Any]] = MappingProxyType(
    {spec.env_id: {"catalog": spec.name} for spec in CATALOGS.values()}
)

# id -> what it is, and what it needs
ABOUT: Mapping[str, tuple[str, str]] = MappingProxyType(
    {spec.env_id: (spec.description, spec.needs) for spec in CATALOGS.values()}
)

def register_envs() -> None:
    """Register every id that is not registered yet."""
    import gymnasium as gym

    for env_id, kwargs in IDS.items():
        if env_id not in gym.registry:
            gym.register(id=env_id, entry_point=ENTRY_POINT, vector_entry_point=VECTOR_ENTRY_POINT, kwargs=dict(kwargs))
