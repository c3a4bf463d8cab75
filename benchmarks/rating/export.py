"""Ratings as files, and from files.

`ratings.csv` has a line for each answer, `ratings.jsonl` for each rated task, `raters.jsonl` for each rater. Every line
names the version of the study and its assignment seed. Times are UTC.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.rating.exclusion import answer_of
from benchmarks.rating.label_studio import read_annotations, write_project
from benchmarks.rating.records import Rater, Rating
from benchmarks.rating.results import Results
from benchmarks.rating.store import Store
from benchmarks.rating.study import Study, read_lines
from benchmarks.running.files import replace
from eagle_gym.errors import ConfigurationError

COLUMNS = (
    *("study", "seed", "simulated", "rater", "slot", "consent_at", "excluded", "position", "showing", "task", "role"),
    *("environment", "run_seed", "episode", "user", "kind", "shown_first", "shown_second", "swapped", "again"),
    *("criterion", "answer", "preferred", "shown_at", "rated_at", "seconds"),
)


def write_exports(results: Results, out: Path) -> list[Path]:
    """Write the ratings as CSV and JSONL, the raters as JSONL, and the study as a project of Label Studio."""
    raters = [rater_line(rater, results) for rater in results.raters]
    by_id = {rater.id: rater for rater in results.raters}
    lines = [rating_line(item, by_id[item.rater], results) for item in results.ratings]
    paths = [out / "ratings.csv", out / "ratings.jsonl", out / "raters.jsonl"]
    replace(paths[0], lambda path: write_csv(path, lines))
    for path, values in zip(paths[1:], (lines, raters), strict=True):
        replace(path, lambda temporary, values=values: temporary.write_text(as_lines(values), encoding="utf-8"))  # type: ignore[misc]
    return [*paths, *write_project(results.study, out / "label_studio")]


def as_lines(values: Iterable[Mapping[str, Any]]) -> str:
    """JSON values, one a line."""
    return "".join(json.dumps(value, ensure_ascii=False) + "\n" for value in values)


def rater_line(rater: Rater, results: Results) -> dict[str, Any]:
    """A rater as a line of `raters.jsonl`."""
    return {
        "study": results.study.version,
        "seed": results.study.seed,
        "simulated": results.study.simulated,
        "rater": rater.id,
        "slot": rater.slot,
        "consent_at": utc(rater.consent_at),
        "consent": results.study.settings.consent if rater.consent_at is not None else None,
        "finished_at": utc(rater.finished_at),
        "excluded": results.excluded.get(rater.id, []),
        "note": rater.note,
    }


def rating_line(item: Rating, rater: Rater, results: Results) -> dict[str, Any]:
    """A rated task as a line of `ratings.jsonl`."""
    task = results.study.by_id[item.task]
    shown = [text.method for text in task.order(item.swapped)]
    return {
        "study": results.study.version,
        "seed": results.study.seed,
        "simulated": results.study.simulated,
        "rater": rater.id,
        "slot": rater.slot,
        "consent_at": utc(rater.consent_at),
        "excluded": bool(results.excluded.get(rater.id)),
        "position": item.position,
        "showing": item.showing,
        "task": task.id,
        "role": task.role,
        "environment": task.environment,
        "run_seed": task.seed,
        "episode": task.episode,
        "user": task.user,
        "kind": "pair" if task.paired else "scale",
        "shown_first": shown[0],
        "shown_second": shown[1] if task.paired else None,
        "swapped": item.swapped,
        "again": item.again,
        "answers": dict(item.answers),
        "preferred": {name: method_of(item, name, results.study) for name in item.answers} if task.paired else {},
        "shown_at": utc(item.shown_at),
        "rated_at": utc(item.rated_at),
        "seconds": round(item.seconds, 3),
    }


def method_of(item: Rating, name: str, study: Study) -> str:
    """The method that a rating of a pair prefers, or "same"."""
    task = study.by_id[item.task]
    answer = answer_of(task, item, name)
    return answer if answer == "same" else task.methods[int(answer)]


def write_csv(path: Path, lines: Sequence[Mapping[str, Any]]) -> None:
    """Write a line for each answer. No column holds what a rater or a model wrote, so that no cell is a formula."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, extrasaction="ignore")
        writer.writeheader()
        for line in lines:
            for name, answer in line["answers"].items():
                own = {"criterion": name, "answer": answer, "preferred": line["preferred"].get(name)}
                writer.writerow({**line, **own})


def utc(seconds: float | None) -> str | None:
    """A time as text, with microseconds."""
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat(timespec="microseconds")


def seconds_of(text: str | None) -> float | None:
    """A time from text."""
    return None if not text else datetime.fromisoformat(text).timestamp()


def add_ratings(store: Store, path: Path) -> int:
    """Add the ratings of a file: `ratings.jsonl`, `raters.jsonl`, `ratings.csv`, or an export of Label Studio in JSON.

    Ratings that are there already are left as they are.

    Returns:
        Number of new ratings.

    Raises:
        ConfigurationError: The file cannot be read, or is of another version of the study.
    """
    try:
        if path.suffix == ".json":
            return store.add(*read_annotations(store.study, json.loads(path.read_text(encoding="utf-8"))))
        lines = list(read_csv(path) if path.suffix == ".csv" else map(json.loads, read_lines(path)))
        versions = {line["study"] for line in lines}
        if versions - {store.study.version}:
            raise ConfigurationError(
                f"{path}: expected ratings of the study {store.study.version}, got {', '.join(sorted(versions))}"
            )
        ratings = [read_rating(line, store.study) for line in lines if "answers" in line]
        return store.add([read_rater(line) for line in lines], ratings)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        if isinstance(error, ConfigurationError):
            raise
        raise ConfigurationError(f"expected a file of ratings, got {path} ({error!r}): export it again") from error


def read_csv(path: Path) -> Iterator[dict[str, Any]]:
    """The rated tasks of a CSV file, like the lines of a JSONL file."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            line = {**row, "slot": int(row["slot"]) if row["slot"] else None, "position": int(row["position"])}
            line = found.setdefault((row["rater"], row["showing"]), {**line, "answers": {}})
            line["answers"][row["criterion"]] = row["answer"]
    yield from found.values()


def read_rater(line: Mapping[str, Any]) -> Rater:
    """A rater from a line; the invitation is over."""
    finished = seconds_of(line.get("finished_at"))
    return Rater(line["rater"], 0, 0.0, line["slot"], seconds_of(line["consent_at"]), finished, line.get("note", ""))


def read_rating(line: Mapping[str, Any], study: Study) -> Rating:
    """A rating from a line.

    Raises:
        ConfigurationError: The study has no such task or answer.
    """
    task = study.by_id.get(line["task"])
    answers = dict(line["answers"])
    asked = {item.name for item in task.asked(study.settings.criteria)} if task else set()
    if task is None or set(answers) != asked or not set(answers.values()) <= set(task.choices()):
        raise ConfigurationError(f"expected a task and answers of the study, got {line['task']} with {answers}")
    slot = () if line["slot"] is None else study.slots[line["slot"]]
    item = next((item for item in slot if item.id == line["showing"]), None)
    swapped = item.swapped if item else str(line["swapped"]).lower() == "true"
    again = item.again if item else str(line["again"]).lower() == "true"
    shown, rated = seconds_of(line["shown_at"]), seconds_of(line["rated_at"])
    assert shown is not None
    assert rated is not None
    position = int(line["position"])
    return Rating(line["rater"], line["showing"], task.id, position, swapped, again, answers, shown, rated)
