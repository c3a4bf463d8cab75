"""The settings of a study: consent, criteria, design and the exclusion rule, read from a TOML file and checked."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

from eagle_gym.errors import ConfigurationError

DEFAULTS = Path(__file__).with_name("study.toml")
POINTS = 5
GOLD = ("scrambled", "copied")  # kinds of gold items

Record = TypeVar("Record", "Design", "Exclusion")
_NAME = re.compile(r"[a-z][a-z0-9_]{0,31}")


@dataclass(frozen=True)
class Criterion:
    """A sentence that can be more or less true of a text.

    Attributes:
        name: Short name, for forms and tables.
        sentence: The sentence.
        shows: "edits" if raters must see the edits to answer, otherwise "".
    """

    name: str
    sentence: str
    shows: str = ""


@dataclass(frozen=True)
class Design:
    """How tasks are made and divided among raters.

    Attributes:
        raters: Raters of each task, at least.
        tasks_per_rater: Tasks of a rater, without repeats and checks.
        liked: Liked items shown of the user.
        repeats: Share of a rater's pairs that are shown again with the sides exchanged.
        attention: Share of attention checks among all that a rater sees.
        gold: Share of gold items.
    """

    raters: int
    tasks_per_rater: int
    liked: int
    repeats: float
    attention: float
    gold: float


@dataclass(frozen=True)
class Exclusion:
    """The rule that excludes raters.

    Attributes:
        attention: Smallest share of attention checks that a rater must pass.
        gold: The same for gold items.
        seconds: Smallest median time on a task.
        rated: Smallest share of the tasks that a rater must rate.
    """

    attention: float
    gold: float
    seconds: float
    rated: float


@dataclass(frozen=True)
class Settings:
    """What raters are shown and asked, and whose ratings count.

    Attributes:
        title: Title of the pages.
        consent: Text that raters agree to; empty lines separate paragraphs.
        scale: Words for the five points.
        main: Name of the criterion that stands for people's opinion in reports.
        criteria: The criteria, in their order on the page.
        design: How tasks are made and divided.
        gold_items: For each kind of gold item, the criterion whose answer is known.
        exclusion: The rule that excludes raters.
    """

    title: str
    consent: str
    scale: tuple[str, ...]
    main: str
    criteria: tuple[Criterion, ...]
    design: Design
    gold_items: Mapping[str, str]
    exclusion: Exclusion

    def criterion(self, name: str) -> Criterion:
        """A criterion by its name."""
        return next(item for item in self.criteria if item.name == name)


def read_settings(path: Path) -> Settings:
    """Read the settings of a study.

    Raises:
        ConfigurationError: The file cannot be read, or one of its values is missing, unknown or out of range.
    """
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"expected settings in TOML, got {path} ({error}): copy {DEFAULTS.name}") from error
    check_names(found, [item.name for item in fields(Settings)], f"{path}")
    settings = Settings(
        title=text(found, "title", path),
        consent=text(found, "consent", path),
        scale=tuple(found["scale"]),
        main=text(found, "main", path),
        criteria=tuple(criterion(item, path) for item in found["criteria"]),
        design=record(Design, found["design"], "design", path),
        gold_items=dict(found["gold_items"]),
        exclusion=record(Exclusion, found["exclusion"], "exclusion", path),
    )
    check(settings, path)
    return settings


def text(found: Mapping[str, Any], name: str, path: Path) -> str:
    """A setting that is a text.

    Raises:
        ConfigurationError: It is something else, or blank.
    """
    value = found[name]
    if not isinstance(value, str) or not value.strip():
        raise ConfigurationError(f"{path}: expected {name} to be a text, got {value!r}")
    return value.strip()


def criterion(found: Any, path: Path) -> Criterion:  # noqa: ANN401 - a TOML value
    """A criterion from its table.

    Raises:
        ConfigurationError: It has no name or sentence, or shows something unknown.
    """
    if not isinstance(found, Mapping) or not {"name", "sentence"} <= set(found) <= {"name", "sentence", "shows"}:
        raise ConfigurationError(f"{path}: expected criteria with name, sentence and perhaps shows, got {found!r}")
    made = Criterion(text(found, "name", path), text(found, "sentence", path), str(found.get("shows", "")))
    if not _NAME.fullmatch(made.name):
        raise ConfigurationError(f"{path}: expected a criterion's name of small letters and _, got {made.name!r}")
    if made.shows not in ("", "edits"):
        raise ConfigurationError(f"{path}: expected {made.name} to show 'edits' or nothing, got {made.shows!r}")
    return made


def record(kind: type[Record], found: Any, name: str, path: Path) -> Record:  # noqa: ANN401 - a TOML value
    """A table of numbers.

    Raises:
        ConfigurationError: A number is missing, unknown, negative or of the wrong type.
    """
    names = [item.name for item in fields(kind)]
    check_names(found, names, f"{path}, [{name}]")
    values: dict[str, Any] = {}
    for item in fields(kind):
        value, whole = found[item.name], item.type == "int"
        if isinstance(value, bool) or not isinstance(value, int if whole else (int, float)) or not value >= 0:
            what = "a whole number" if whole else "a number"
            raise ConfigurationError(f"{path}, [{name}]: expected {item.name} to be {what} from 0, got {value!r}")
        values[item.name] = value if whole else float(value)
    return kind(**values)


def check_names(found: Any, names: list[str], where: str) -> None:  # noqa: ANN401 - a TOML value
    """Check that a table has the wanted names and no others.

    Raises:
        ConfigurationError: It has not.
    """
    present = set(found) if isinstance(found, Mapping) else set()
    if present != set(names):
        missing, unknown = sorted(set(names) - present), sorted(present - set(names))
        raise ConfigurationError(f"{where}: expected {', '.join(names)}; missing {missing}, unknown {unknown}")


def check(settings: Settings, path: Path) -> None:
    """Check that settings fit together.

    Raises:
        ConfigurationError: They do not.
    """
    names = [item.name for item in settings.criteria]
    design, rule = settings.design, settings.exclusion
    shares = (design.repeats, design.attention, design.gold, rule.attention, rule.gold, rule.rated)
    wrong = {
        f"{POINTS} different words in scale, got {settings.scale!r}": len(settings.scale) != POINTS
        or len({str(word) for word in settings.scale}) != POINTS
        or not all(isinstance(word, str) and word.strip() for word in settings.scale),
        f"criteria with different names, got {names}": not names or len(set(names)) < len(names),
        f"main to be one of {names}, got {settings.main!r}": settings.main not in names,
        f"gold_items to map some of {GOLD} to criteria, got {settings.gold_items}": not set(settings.gold_items)
        <= set(GOLD)
        or not set(settings.gold_items.values()) <= set(names),
        "at least one gold item for gold > 0": design.gold > 0 and not settings.gold_items,
        "raters and tasks_per_rater of at least 1": min(design.raters, design.tasks_per_rater) < 1,
        f"shares from 0 to 1, got {shares}": max(shares) > 1,
        "attention + gold below 0.5": design.attention + design.gold >= 0.5,
    }
    for what, failed in wrong.items():
        if failed:
            raise ConfigurationError(f"{path}: expected {what}")
