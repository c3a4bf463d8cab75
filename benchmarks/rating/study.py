"""A study on disk: settings, tasks, and the lists of tasks that raters are given.

    study/study.toml    what raters are asked, and the exclusion rule
    study/tasks.jsonl   the tasks, attention checks and gold items among them
    study/slots.jsonl   for each rater to come, which tasks in which order and with which side first
    study/study.json    the assignment seed, the runs, and counts
    study/ratings.db    invitations and ratings, made by `invite` and `serve`

The version of a study is a hash of the first four files. With the first rating it is fixed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from benchmarks.rating.settings import Criterion, Settings, read_settings
from benchmarks.running.files import read_json, replace, write_json
from eagle_gym.errors import PreparationError

SETTINGS, TASKS, SLOTS, FACTS = FILES = ("study.toml", "tasks.jsonl", "slots.jsonl", "study.json")
RATINGS = "ratings.db"
SIDES = ("first", "same", "second")  # answers to a pair, as the rater sees it

Role = Literal["task", "attention", "gold"]


@dataclass(frozen=True)
class Shown:
    """A text that raters judge.

    Attributes:
        method: Who wrote it; raters never see this.
        text: The text.
        edits: The edits that were asked for, in their order.
    """

    method: str
    text: str
    edits: tuple[str, ...] = ()


@dataclass(frozen=True)
class Task:
    """One text (a scale) or two texts (a pair) for one user, from one original.

    Attributes:
        id: Its name in the study; says nothing about its role.
        role: "task", or what it checks: "attention" or "gold".
        environment, seed, episode, user: Of the episode.
        profile: The user's taste in words.
        liked: Items that the user liked.
        original: The text before the edits.
        texts: One text, or two of different methods.
        expected: Of a check: by criterion, the answers that pass; of a pair, "0", "1" or "same".
    """

    id: str
    role: Role
    environment: str
    seed: int
    episode: int
    user: str
    profile: str
    liked: tuple[str, ...]
    original: str
    texts: tuple[Shown, ...]
    expected: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def paired(self) -> bool:
        """Whether it shows two texts."""
        return len(self.texts) == 2

    @property
    def methods(self) -> tuple[str, ...]:
        """Methods of its texts."""
        return tuple(item.method for item in self.texts)

    def order(self, swapped: bool) -> tuple[Shown, ...]:
        """Its texts as they are shown."""
        return self.texts[::-1] if swapped else self.texts

    def asked(self, criteria: Iterable[Criterion]) -> list[Criterion]:
        """The criteria that apply: one on edits needs the edits of every text."""
        return [item for item in criteria if not item.shows or all(text.edits for text in self.texts)]

    def choices(self) -> tuple[str, ...]:
        """The answers that can be given."""
        return SIDES if self.paired else ("1", "2", "3", "4", "5")


@dataclass(frozen=True)
class Showing:
    """A task as one rater sees it.

    Attributes:
        id: Its name within the rater's list: that of the task, with `-again` if it is a repeat.
        task: Id of the task.
        swapped: Whether the second text of a pair is shown first.
        again: Whether it repeats a pair that the rater has seen with the sides the other way round.
    """

    id: str
    task: str
    swapped: bool
    again: bool = False


@dataclass(frozen=True)
class Study:
    """A study.

    Attributes:
        folder: Its folder.
        settings: What raters are asked.
        tasks: Its tasks.
        slots: What each rater is shown, in this order.
        facts: The assignment seed, the runs and counts.
        version: Hash of its files.
    """

    folder: Path
    settings: Settings
    tasks: tuple[Task, ...]
    slots: tuple[tuple[Showing, ...], ...]
    facts: Mapping[str, Any]
    version: str

    @cached_property
    def by_id(self) -> dict[str, Task]:
        """Tasks by their id."""
        return {task.id: task for task in self.tasks}

    @property
    def seed(self) -> int:
        """Seed with which tasks were drawn and assigned."""
        return int(self.facts["seed"])

    @property
    def simulated(self) -> bool:
        """Whether its raters are simulated."""
        return bool(self.facts.get("simulated", False))


def write_study(
    folder: Path,
    settings: Path,
    tasks: Sequence[Task],
    slots: Sequence[Sequence[Showing]],
    facts: Mapping[str, Any],
) -> Study:
    """Write a study into a folder that holds none.

    Args:
        folder: Its folder.
        settings: File of settings to copy.
        tasks: Its tasks.
        slots: What each rater is shown.
        facts: The assignment seed, the runs and counts.

    Raises:
        PreparationError: The folder holds a study.
    """
    held = [name for name in (*FILES, RATINGS) if (folder / name).exists()]
    if held:
        raise PreparationError(f"{folder} holds a study ({', '.join(held)}): name another folder with --out")
    lines: dict[str, list[Any]] = {
        TASKS: [asdict(task) for task in tasks],
        SLOTS: [[asdict(item) for item in slot] for slot in slots],
    }
    for name, values in lines.items():
        content = "".join(json.dumps(value, ensure_ascii=False) + "\n" for value in values)
        replace(folder / name, lambda path, content=content: path.write_text(content, encoding="utf-8"))  # type: ignore[misc]
    write_json(facts, folder / FACTS)
    source = settings.read_text(encoding="utf-8")
    replace(folder / SETTINGS, lambda path: path.write_text(source, encoding="utf-8"))
    return read_study(folder)


def read_study(folder: Path) -> Study:
    """Read a study.

    Raises:
        ConfigurationError: Its settings are wrong.
        PreparationError: A file is missing or broken.
    """
    missing = [name for name in FILES if not (folder / name).is_file()]
    if missing:
        raise PreparationError(f"{folder} is no study, it lacks {', '.join(missing)}: make one with `rate --out`")
    settings = read_settings(folder / SETTINGS)
    try:
        tasks = tuple(read_task(json.loads(line)) for line in read_lines(folder / TASKS))
        slots = tuple(tuple(Showing(**item) for item in json.loads(line)) for line in read_lines(folder / SLOTS))
    except (TypeError, KeyError, ValueError) as error:
        raise PreparationError(f"{folder} holds broken tasks or slots ({error}): make the study again") from error
    known = {task.id for task in tasks}
    strange = {item.task for slot in slots for item in slot} - known
    if strange or len(known) < len(tasks) or not slots:
        raise PreparationError(f"{folder}: slots and tasks do not fit together {sorted(strange)}: make it again")
    return Study(folder, settings, tasks, slots, read_json(folder / FACTS), version_of(folder))


def read_lines(path: Path) -> list[str]:
    """The lines of a file. A text may hold other line separators of Unicode, which are not escaped in JSON."""
    return [line for line in path.read_text(encoding="utf-8").split("\n") if line]


def read_task(found: Mapping[str, Any]) -> Task:
    """A task from JSON."""
    texts = tuple(Shown(item["method"], item["text"], tuple(item["edits"])) for item in found["texts"])
    expected = {name: tuple(answers) for name, answers in found["expected"].items()}
    return Task(**{**found, "texts": texts, "liked": tuple(found["liked"]), "expected": expected})


def version_of(folder: Path) -> str:
    """Hash of a study's files, 16 hexadecimal digits."""
    digest = hashlib.sha256()
    for name in FILES:
        content = (folder / name).read_bytes()
        digest.update(f"{name} {len(content)}\n".encode() + content)
    return digest.hexdigest()[:16]
