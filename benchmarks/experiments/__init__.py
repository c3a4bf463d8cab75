"""Experiments: each package of this folder is one.

`experiments/NAME/__init__.py` has a docstring, which `python -m benchmarks list NAME` prints; a table `SIZES`, from the
name of a size to its settings; and a function `run(options)`, which measures and writes the run's folder. The package's
other modules hold the rest: the code that measures, and the code that writes the page. `find_experiments` finds every
package by its name, so a new experiment is a new folder and nothing else. What two experiments share lies outside, in
the other rooms of `benchmarks`.
"""

from __future__ import annotations

import importlib
import pkgutil
from types import ModuleType

from eagle_gym.errors import ConfigurationError


def find_experiments() -> dict[str, ModuleType]:
    """Every experiment by name.

    Raises:
        ConfigurationError: A package lacks what an experiment has.
    """
    found = {}
    for item in pkgutil.iter_modules(__path__):
        module = importlib.import_module(f"{__name__}.{item.name}")
        lacks = [name for name in ("__doc__", "SIZES", "run") if not getattr(module, name, None)]
        if lacks or not item.ispkg:
            expected = "a package with a docstring, SIZES and run"
            got = f"no {', '.join(lacks)}" if item.ispkg else "a module"
            raise ConfigurationError(f"{module.__name__}: expected {expected}, got {got}: add what is missing")
        found[item.name] = module
    return found
