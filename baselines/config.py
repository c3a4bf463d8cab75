"""What dataclasses of hyperparameters share: checks, explanations of the fields, and a command line."""

from __future__ import annotations

import argparse
import ast
import inspect
import math
from collections.abc import Sequence
from dataclasses import fields
from itertools import pairwise
from numbers import Real
from typing import Any, TypeVar

from eagle_gym.errors import ConfigurationError, suggest

C = TypeVar("C")


def explanations(kind: type) -> dict[str, str]:
    """The docstring below each field of a dataclass, also of inherited fields."""
    found: dict[str, str] = {}
    for base in reversed(kind.__mro__[:-1]):
        (definition,) = ast.parse(inspect.getsource(base)).body
        assert isinstance(definition, ast.ClassDef)
        for entry, text in pairwise(definition.body):
            match entry, text:
                case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(explanation))):
                    found[name] = explanation
    return found


def read_fields(kind: type, settings: Sequence[str]) -> dict[str, Any]:
    """Read settings such as `"steps=9"` as values of a dataclass's fields.

    Raises:
        ConfigurationError: There is no such field, or its value is of another type.
    """
    types: dict[str, Any] = {item.name: type(item.default) for item in fields(kind)}
    found = {}
    for text in settings:
        name, _, value = text.partition("=")
        if name not in types:
            raise ConfigurationError(
                f"no hyperparameter {name!r}{suggest(name, list(types))}: choose one of {', '.join(types)}"
            )
        try:
            found[name] = types[name](value)
        except ValueError as error:
            raise ConfigurationError(f"{name}: expected {types[name].__name__}, got {value!r}") from error
    return found


def parse_arguments(kind: type[C], description: str, arguments: Sequence[str] | None) -> C:
    """Read a dataclass from a command line, with an option for each field; `--help` shows the explanations."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    texts = explanations(kind)
    for item in fields(kind):  # type: ignore[arg-type]
        option = f"--{item.name.replace('_', '-')}"
        parser.add_argument(option, type=type(item.default), default=item.default, help=texts[item.name])
    return kind(**vars(parser.parse_args(arguments)))


def check_at_least(config: Any, low: float, *names: str) -> None:  # noqa: ANN401 - any dataclass of hyperparameters
    """Raise `ConfigurationError` unless each named hyperparameter is `low` or more."""
    for name in names:
        if not getattr(config, name) >= low:
            raise ConfigurationError(f"{name}: expected at least {low}, got {getattr(config, name)}")


def check_above(config: Any, low: float, *names: str) -> None:  # noqa: ANN401
    """Raise `ConfigurationError` unless each named hyperparameter is greater than `low`."""
    for name in names:
        if not getattr(config, name) > low:
            raise ConfigurationError(f"{name}: expected more than {low}, got {getattr(config, name)}")


def check_integers(config: Any) -> None:  # noqa: ANN401
    """Raise `ConfigurationError` unless each hyperparameter whose default is an integer is one."""
    for item in fields(config):
        value = getattr(config, item.name)
        if type(item.default) is int and type(value) is not int:
            raise ConfigurationError(f"{item.name}: expected an integer, got {value!r}")


def check_finite(config: Any, *names: str) -> None:  # noqa: ANN401
    """Raise `ConfigurationError` unless each named hyperparameter is a finite number."""
    for name in names:
        value = getattr(config, name)
        if isinstance(value, bool) or not isinstance(value, Real) or not math.isfinite(value):
            raise ConfigurationError(f"{name}: expected a finite number, got {value!r}")


def check_choice(config: Any, name: str, choices: Sequence[str]) -> None:  # noqa: ANN401
    """Raise `ConfigurationError` unless a hyperparameter is one of `choices`."""
    if getattr(config, name) not in choices:
        raise ConfigurationError(f"{name}: expected one of {', '.join(choices)}, got {getattr(config, name)!r}")
