"""A study as a project of Label Studio (https://labelstud.io), and its annotations as ratings.

`tasks.json` is imported there, with the labelling interface of `interface.xml`. Label Studio gives every annotator
every task once: order and number of raters are set there, the sides are fixed for each task, and no pair is repeated.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

from benchmarks.rating.records import Rater, Rating
from benchmarks.rating.settings import Settings
from benchmarks.rating.study import Study, Task
from benchmarks.running.files import replace
from eagle_gym.errors import ConfigurationError

PAIR_WORDS = {"first": "Text 1", "same": "no difference", "second": "Text 2"}


def write_project(study: Study, out: Path) -> list[Path]:
    """Write `tasks.json` and the labelling interfaces `interface.xml` for both kinds of tasks."""
    paths = [out / "tasks.json", out / "interface.xml"]
    tasks = json.dumps([task_of(task, study) for task in study.tasks], ensure_ascii=False, indent=1) + "\n"
    replace(paths[0], lambda path: path.write_text(tasks, encoding="utf-8"))
    replace(paths[1], lambda path: path.write_text(interface(study.settings), encoding="utf-8"))
    return paths


def first_swapped(study: Study, task: Task) -> bool:
    """The sides of a task: those of its first showing."""
    return next((item.swapped for slot in study.slots for item in slot if item.task == task.id), False)


def task_of(task: Task, study: Study) -> dict[str, Any]:
    """A task as Label Studio imports it; like raters here, annotators see neither methods nor roles."""
    swapped = first_swapped(study, task)
    texts = task.order(swapped)
    data = {
        "study": study.version,
        "task": task.id,
        "kind": "pair" if task.paired else "scale",
        "profile": task.profile,
        "liked": "\n".join(task.liked),
        "original": task.original,
        "text_1": texts[0].text,
        "text_2": texts[1].text if task.paired else "",
        "edits_1": "\n".join(texts[0].edits),
        "edits_2": "\n".join(texts[1].edits) if task.paired else "",
    }
    return {"data": data}


def interface(settings: Settings) -> str:
    """The labelling interface: the texts, and a choice for each criterion."""
    shown = [
        ("The user", "profile"),
        ("Liked by this user", "liked"),
        ("The original", "original"),
        ("New text 1", "text_1"),
        ("New text 2 (empty if there is one text)", "text_2"),
        ("Edits asked for in text 1", "edits_1"),
        ("Edits asked for in text 2", "edits_2"),
    ]
    lines = ["<View>"]
    for words, name in shown:
        lines += [f"  <Header value={quoteattr(words)} />", f'  <Text name="{name}" value="${name}" />']
    lines.append('  <Header value="One text: how true is this? Two texts: of which is it more true?" />')
    for item in settings.criteria:
        lines += [
            f"  <Header value={quoteattr(item.sentence)} />",
            f'  <Choices name="{item.name}" toName="text_1" choice="single" showInline="true">',
            *(
                f'    <Choice alias="{alias}" value={quoteattr(words)} />'
                for alias, words in (*zip("12345", settings.scale, strict=True), *PAIR_WORDS.items())
            ),
            "  </Choices>",
        ]
    return "\n".join([*lines, "</View>"]) + "\n"


def read_annotations(study: Study, found: Sequence[Mapping[str, Any]]) -> tuple[list[Rater], list[Rating]]:
    """Raters and ratings from an export in JSON.

    Answers that do not fit the kind of a task are left out, and so are annotations that lack an answer to a criterion.

    Raises:
        ConfigurationError: A task is of another study.
    """
    raters: dict[str, Rater] = {}
    ratings = []
    for place, exported in enumerate(found):
        data = exported["data"]
        task = study.by_id.get(data["task"])
        if data["study"] != study.version or task is None:
            raise ConfigurationError(f"expected tasks of the study {study.version}, got {data['study']} {data['task']}")
        for annotation in exported["annotations"]:
            answers = answers_of(annotation, task, study.settings)
            if len(answers) < len(task.asked(study.settings.criteria)) or annotation.get("was_cancelled"):
                continue
            person = annotation["completed_by"]
            name = f"label-studio-{person['id'] if isinstance(person, Mapping) else person}"
            at = datetime.fromisoformat(annotation["created_at"].replace("Z", "+00:00")).timestamp()
            raters.setdefault(name, Rater(name, 0, 0.0, None, at, None, ""))
            shown = at - float(annotation.get("lead_time") or 0.0)
            ratings.append(Rating(name, task.id, task.id, place, first_swapped(study, task), False, answers, shown, at))
    return list(raters.values()), ratings


def answers_of(annotation: Mapping[str, Any], task: Task, settings: Settings) -> dict[str, str]:
    """The answers of an annotation that fit a task. An alias is exported if there is one, otherwise the words."""
    words = dict(zip(settings.scale, "12345", strict=True)) | {shown: name for name, shown in PAIR_WORDS.items()}
    asked = {item.name for item in task.asked(settings.criteria)}
    results = (item for item in annotation["result"] if item["type"] == "choices")
    found = {item["from_name"]: item["value"]["choices"][0] for item in results}
    answers = {name: words.get(answer, answer) for name, answer in found.items() if name in asked}
    return {name: answer for name, answer in answers.items() if answer in task.choices()}
