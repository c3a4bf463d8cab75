"""Are edits of free text carried out? 300 edits whose success a rule can check, for each language model.

60 invented overviews, each with five edits: another name, profession, place and decade, and an object to add. Half of
the requests are worded as an editor's training words them (`eagle_gym.language.editor`), half are not; neither the
texts nor the words in them occur in training. With `--data` and a MovieLens folder that has overviews, real overviews
are edited as well. Models are named with `--language-model`, several with commas between them.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from benchmarks.experiments.editing import tables
from benchmarks.experiments.editing.cases import Case, invented_cases, real_cases, spread
from benchmarks.experiments.editing.check import Verdict, check
from benchmarks.running import Options
from benchmarks.running.files import write_json
from benchmarks.running.provenance import circumstances
from eagle_gym.errors import LanguageModelError
from eagle_gym.language import LanguageModel, Prompt, load_language_model
from eagle_gym.progress import progress_bar
from eagle_gym.seeding import stable_seed

SIZES: Mapping[str, dict[str, Any]] = {
    "smoke": {"cases": 10, "real": 4},
    "quick": {"cases": 100, "real": 50},
    "small": {"cases": 300, "real": 150},
}
TEMPERATURES = (0.0, 1.0)
BATCH = 20
MAX_NEW_TOKENS = 256  # the longest text that is edited has about 130


def run(options: Options) -> None:
    """Ask every model; print the page; write it with every answer."""
    size = SIZES[options.size]
    sets = {"invented": spread(invented_cases(), size["cases"])}
    if options.data:
        sets["real"] = real_cases(options.data, size["real"])
    found: list[tables.Measured] = []
    options.out.mkdir(parents=True, exist_ok=True)
    for spec in (options.language_model or "embedded").split(","):
        model = load_language_model(spec, device=options.device, max_new_tokens=MAX_NEW_TOKENS)
        for name, cases in sets.items():
            for temperature in TEMPERATURES:
                found.append(measure(model, spec, name, cases, temperature))
                write_page(found, options)
        model.close()
    print(f"\n{(options.out / 'REPORT.md').read_text()}\nREPORT.md, answers.json and run.json in {options.out}")


def measure(model: LanguageModel, spec: str, name: str, cases: Sequence[Case], temperature: float) -> tables.Measured:
    """Every case asked once, and judged."""
    began, calls = time.perf_counter(), model.usage.calls
    answers: list[str | None] = []
    starts = range(0, len(cases), BATCH)
    for start in progress_bar(starts, desc=f"{spec}, {name}, temperature {temperature:g}", unit="batch"):
        answers += ask(model, cases[start : start + BATCH], temperature)
    verdicts = tuple(check(case, answer) for case, answer in zip(cases, answers, strict=True))
    seconds = time.perf_counter() - began
    return tables.Measured(
        spec, name, temperature, tuple(cases), tuple(answers), verdicts, model.usage.calls - calls, seconds
    )


def ask(model: LanguageModel, cases: Sequence[Case], temperature: float) -> list[str | None]:
    """The answer to each case; None where there is none, even after the model's further attempts."""
    prompts = [Prompt("rewrite", text=case.text, edit=case.edit) for case in cases]
    seeds = [stable_seed("editing", case.text, case.edit) for case in cases]
    try:
        return [completion.text for completion in model.generate(prompts, seeds, temperature=temperature)]
    except LanguageModelError as error:
        return [error.answered[row].text if row in error.answered else None for row in range(len(cases))]


def write_page(found: Sequence[tables.Measured], options: Options) -> None:
    """Write what has been measured so far."""
    (options.out / "REPORT.md").write_text(tables.page(found))
    rows = [
        {"model": one.model, "cases": one.name, "temperature": one.temperature, **case_row(case, answer, verdict)}
        for one in found
        for case, answer, verdict in zip(one.cases, one.answers, one.verdicts, strict=True)
        if one.name != "real"  # no overview, nor a text made from one, is written to a file
    ]
    write_json({"answers": rows}, options.out / "answers.json")
    numbers = [tables.summary(one) for one in found]
    write_json({"experiment": "editing", "measured": numbers} | circumstances(), options.out / "run.json")


def case_row(case: Case, answer: str | None, verdict: Verdict) -> dict[str, Any]:
    """One answer and its verdict."""
    return {"kind": case.kind, "text": case.text, "edit": case.edit, "answer": answer, **asdict(verdict)}
