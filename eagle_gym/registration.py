"""The environments' ids, registered with Gymnasium; derived from the tables of catalogs and tasks.

Entry points are strings, which Gymnasium loads when an environment is made, so `import eagle_gym` stays light. A change
of weights, catalog or defaults that changes trajectories needs a new version of the id.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from eagle_gym.catalogs import CATALOGS, CatalogSpec
from eagle_gym.tasks import TASKS, Task

ENTRY_POINT = "eagle_gym.envs.eagle:EagleEnv"
VECTOR_ENTRY_POINT = "eagle_gym.envs.vector:EagleVectorEnv"


def ids_of(spec: CatalogSpec) -> dict[str, Task]:
    """The ids of a catalog with their tasks: one of every task, or the default one only."""
    name, _, version = spec.env_id.rpartition("-")
    tasks = TASKS.values() if spec.all_tasks else [TASKS["default"]]
    return {f"{name}{task.title}-{version}": task for task in tasks}


def _keywords(spec: CatalogSpec, task: Task) -> dict[str, Any]:
    return {"catalog": spec.name} if task.name == "default" else {"catalog": spec.name, "task": task.name}


# id -> keywords
IDS: Mapping[str, dict[str, Any]] = MappingProxyType(
    {env_id: _keywords(spec, task) for spec in CATALOGS.values() for env_id, task in ids_of(spec).items()}
)

# id -> what it is, what it asks for, and what it needs
ABOUT: Mapping[str, tuple[str, str, str]] = MappingProxyType(
    {
        env_id: (spec.description, task.about, spec.needs)
        for spec in CATALOGS.values()
        for env_id, task in ids_of(spec).items()
    }
)


def register_envs() -> None:
    """Register every id that is not registered yet."""
    import gymnasium as gym

    for env_id, kwargs in IDS.items():
        if env_id not in gym.registry:
            gym.register(id=env_id, entry_point=ENTRY_POINT, vector_entry_point=VECTOR_ENTRY_POINT, kwargs=dict(kwargs))
