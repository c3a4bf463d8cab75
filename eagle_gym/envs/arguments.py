"""Declarations of an environment's arguments: an `Argument` records everything that is known about one.

`argument(...)` makes a dataclass field whose metadata holds the `Argument`. Validation, the keys under which worlds are
shared, the table of the documentation and the help of the command line all read it.
"""

from __future__ import annotations

import json
import math
import os
import sys
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar, overload

from eagle_gym.catalogs import CATALOGS
from eagle_gym.errors import ArgumentError, suggest
from eagle_gym.language.model import masked
from eagle_gym.tasks import values_by_task

T = TypeVar("T")
Kind = Literal[
    "boolean", "integer", "number", "string", "path", "model", "encoder", "prompts", "mapping", "pair", "names"
]
Part = Literal[
    "episode",
    "catalog",
    "latent space",
    "actions",
    "rewriting",
    "language models",
    "recording and budget",
    "utility",
    "preparation",
]
KINDS: Mapping[type, Kind] = {
    bool: "boolean",
    int: "integer",
    float: "number",
    str: "string",
    dict: "mapping",
    tuple: "pair",
}


@dataclass(frozen=True, kw_only=True)
class Argument:
    """One argument of an environment.

    Attributes:
        kind: What values it takes: `"path"`, `"model"` and `"encoder"` (specs of a language model and of a text
            encoder) are strings, `"prompts"` is a name, a path or a dict, `"mapping"` a dict of JSON values, `"pair"`
            two increasing numbers, `"names"` a list of different choices.
        default: Its default.
        help: What it is, in one or two sentences of Markdown.
        applies_to: The part of the environment that uses it. `"language models"` are the keywords of every language
            model that is opened, `"recording and budget"` those of the environment's own only.
        choices: The strings that it takes, or that its list takes; empty for any.
        bounds: The lowest and highest number it takes, or None.
        by_task: Whether its default, None, means "as the task says".
    """

    kind: Kind
    default: Any
    help: str
    applies_to: Part
    choices: tuple[str, ...] = ()
    bounds: tuple[float, float] | None = None
    by_task: bool = False

    @property
    def optional(self) -> bool:
        """Whether it takes None."""
        return self.default is None

    @property
    def light(self) -> bool:
        """Whether worlds may differ in it and still share everything heavy.

        These are the arguments of the episode, and those of preparation, which is over once a world is open.
        """
        return self.applies_to in ("episode", "preparation")

    @property
    def rule(self) -> str:
        """What a value has to be, for error messages and help."""
        words = {
            "boolean": "True or False",
            "integer": "an integer",
            "number": "a number",
            "path": "a path",
            "model": "the spec of a language model",
            "encoder": "the spec of a text encoder",
            "prompts": "the name of built-in prompts, a path, or a dict of JSON values",
            "mapping": "a dict of JSON values",
            "pair": "two numbers in increasing order",
        }
        if self.kind == "names":
            rule = "a list of different names among " + ", ".join(map(repr, self.choices))
        elif self.choices:
            rule = "one of " + ", ".join(map(repr, self.choices))
        else:
            rule = words.get(self.kind, "a non-empty string")
        if self.bounds is not None:
            low, high = self.bounds
            rule += f" of at least {low:g}" if math.isinf(high) else f" from {low:g} to {high:g}"
        return f"{rule} or None" if self.optional else rule

    def checked(self, name: str, value: Any) -> Any:  # noqa: ANN401
        """Check a value and return it in canonical form.

        Numbers become floats, dicts are copied, an empty dict becomes None, and lists of names follow the order of the
        choices.

        Args:
            name: Name of the argument, for the message.
            value: What was given.

        Raises:
            ArgumentError: The value does not follow the rule.
        """
        if value is None and self.optional:
            return None
        if not self._fits(value):
            hint = suggest(value, self.choices) if self.choices and isinstance(value, str) else ""
            shown = masked(value) if self.kind in ("model", "encoder") and isinstance(value, str) else value
            raise ArgumentError(f"expected {name} to be {self.rule}, got {shown!r}{hint}")
        match self.kind:
            case "number":
                return float(value)
            case "pair":
                return tuple(map(float, value))
            case "mapping":
                return dict(value) or None
            case "names":
                return tuple(name for name in self.choices if name in value)
            case "prompts":
                return value if isinstance(value, str) else dict(value)
            case _:
                return value

    def _fits(self, value: object) -> bool:
        match self.kind:
            case "boolean":
                return isinstance(value, bool)
            case "integer":
                return isinstance(value, int) and _is_number(value) and self._is_inside(value)
            case "number":
                return isinstance(value, int | float) and _is_number(value) and self._is_inside(value)
            case "mapping":
                return isinstance(value, Mapping) and _is_json(value)
            case "prompts":
                return _is_text(value) or (isinstance(value, Mapping) and _is_json(value))
            case "pair":
                return _is_pair(value)
            case "names":
                return _is_list_of(value, self.choices)
            case _:
                return _is_text(value) and (not self.choices or value in self.choices)

    def _is_inside(self, value: float) -> bool:
        return self.bounds is None or self.bounds[0] <= value <= self.bounds[1]


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max


def _is_pair(value: object) -> bool:
    if not isinstance(value, tuple | list) or len(value) != 2 or not all(map(_is_number, value)):
        return False
    return bool(value[0] < value[1])


def _is_list_of(value: object, names: Sequence[str]) -> bool:
    if not isinstance(value, tuple | list) or not value or not all(isinstance(name, str) for name in value):
        return False
    return set(value) <= set(names) and len(set(value)) == len(value)


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip()) and "\0" not in value


def _is_json(value: Mapping[Any, Any]) -> bool:
    try:
        json.dumps(dict(value), allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        return False
    return all(isinstance(key, str) for key in value)


@overload
def argument(
    default: T,
    *,
    help: str,
    applies_to: Part,
    kind: Kind | None = None,
    choices: Sequence[str] = (),
    at_least: float | None = None,
    at_most: float = math.inf,
) -> T: ...
@overload
def argument(
    default: None,
    *,
    of: type[T],
    by_task: Literal[True],
    help: str,
    applies_to: Part,
    kind: Kind | None = None,
    choices: Sequence[str] = (),
    at_least: float | None = None,
    at_most: float = math.inf,
) -> T: ...
@overload
def argument(
    default: None,
    *,
    of: type[T],
    help: str,
    applies_to: Part,
    kind: Kind | None = None,
    choices: Sequence[str] = (),
    at_least: float | None = None,
    at_most: float = math.inf,
) -> T | None: ...
def argument(
    default: Any,
    *,
    of: type[Any] | None = None,
    by_task: bool = False,
    help: str,
    applies_to: Part,
    kind: Kind | None = None,
    choices: Sequence[str] = (),
    at_least: float | None = None,
    at_most: float = math.inf,
) -> Any:
    """Declare an argument as a dataclass field.

    Args:
        default: Its default; None makes it optional.
        of: Its type, if the default is None.
        by_task: Whether the default is what the task says.
        help: What it is.
        applies_to: The part of the environment that uses it.
        kind: Its kind, if the type does not say it.
        choices: The strings it takes.
        at_least: The lowest number it takes.
        at_most: The highest number it takes.
    """
    record = Argument(
        kind=kind or KINDS[of or type(default)],
        default=default,
        help=help,
        applies_to=applies_to,
        choices=tuple(choices),
        bounds=None if at_least is None else (at_least, at_most),
        by_task=by_task,
    )
    return field(default=default, metadata={"argument": record, "help": help})


def markdown_table(arguments: Mapping[str, Argument]) -> str:
    """The arguments as a Markdown table: name, default, values, what it applies to, meaning."""
    rows = [
        f"| `{name}` | {_markdown_default(name, record)} | {_values(record)} | {_scope(name, record)} | {record.help} |"
        for name, record in arguments.items()
    ]
    return "\n".join(["| argument | default | values | applies to | meaning |", "|---|---|---|---|---|", *rows])


def defaults(name: str, record: Argument) -> tuple[Any, dict[str, Any]]:
    """The default of an argument, and by name of the task those of the tasks that have another."""
    others = values_by_task(name) if record.by_task else {}
    return others.pop("default", record.default), others


def _markdown_default(name: str, record: Argument) -> str:
    usual, others = defaults(name, record)
    return ", ".join([f"`{usual!r}`", *(f"{task}: `{value!r}`" for task, value in others.items())])


def _values(record: Argument) -> str:
    if not record.choices:
        return record.rule
    choices = ", ".join(f"`{choice!r}`" for choice in record.choices)
    if record.kind == "names":
        choices = f"a list of different names among {choices},"
    return f"{choices} or None" if record.optional else choices


def _scope(name: str, record: Argument) -> str:
    """The catalogs that take an argument, or the part of the environment that uses it."""
    takers = [spec.name for spec in CATALOGS.values() if name in spec.takes]
    return ", ".join(takers) or record.applies_to


def help_lines(arguments: Mapping[str, Argument], width: int = 100) -> Iterable[str]:
    """The arguments as lines for a terminal: `name=default`, then the rule and the meaning."""
    for name, record in arguments.items():
        usual, others = defaults(name, record)
        yield f"  {name}={usual}" + "".join(f" ({task}: {value})" for task, value in others.items())
        text = f"{record.rule[0].upper()}{record.rule[1:]} ({_scope(name, record)}). {record.help}".replace("`", "")
        yield from textwrap.wrap(text, width, initial_indent=" " * 6, subsequent_indent=" " * 6)


def located(path: str) -> str:
    """The absolute path, with `~` and links resolved."""
    # os.path, because the methods of Path raise on an unknown user and on links that form a circle.
    return os.path.realpath(os.path.expanduser(path))
