"""Language models as Gymnasium environments.

States are texts, actions are edits chosen by optimal design, and the reward lives in an embedding space learnt from
ratings. Importing the package registers its ids and loads nothing heavy::

    import gymnasium as gym
    import eagle_gym

    env = gym.make("EagleGym/Plots-v0")
    observation, info = env.reset(seed=0)
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from eagle_gym.errors import (
    ArgumentError,
    CatalogError,
    ConfigurationError,
    CutOffError,
    DesignError,
    EagleError,
    EpisodeError,
    LanguageModelError,
    NotShownError,
    PreparationError,
    TextError,
)
from eagle_gym.registration import register_envs

# name -> the module that holds it, imported when the name is first used
_LAZY = {
    "EagleEnv": "eagle_gym.envs.eagle",
    "EagleVectorEnv": "eagle_gym.envs.vector",
    "FreeText": "eagle_gym.envs.spaces",
    "Settings": "eagle_gym.envs.settings",
    "make_world": "eagle_gym.envs.opening",
}

__all__ = [
    "ArgumentError",
    "CatalogError",
    "ConfigurationError",
    "CutOffError",
    "DesignError",
    "EagleEnv",
    "EagleError",
    "EagleVectorEnv",
    "EpisodeError",
    "FreeText",
    "LanguageModelError",
    "NotShownError",
    "PreparationError",
    "Settings",
    "TextError",
    "make_world",
    "register_envs",
]

try:
    __version__ = version("eagle_gym")
except PackageNotFoundError:  # run from a checkout that is not installed
    __version__ = "0.0.0"

register_envs()


def __getattr__(name: str) -> Any:  # noqa: ANN401
    if name not in _LAZY:
        raise AttributeError(f"module 'eagle_gym' has no attribute {name!r}")
    return getattr(import_module(_LAZY[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
