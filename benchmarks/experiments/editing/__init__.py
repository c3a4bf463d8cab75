"""Are edits of free text carried out? 300 edits whose success a rule can check, for each language model.

60 invented overviews, each with five edits: another name, profession, place and decade, and an object to add. Half of
the requests are worded as an editor's training words them (`eagle_gym.language.editor`), half are not; neither the
texts nor the words in them occur in training. With `--data` and a MovieLens folder that has overviews, real overviews
are edited as well. Models are named with `--language-model`, several with commas between them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchmarks.experiments.editing import tables
from benchmarks.experiments.editing.cases import invented_cases, real_cases, spread
from benchmarks.experiments.editing.measure import MAX_NEW_TOKENS, TEMPERATURES, Measured, measure
from benchmarks.running import Options
from eagle_gym.language import load_language_model

SIZES: Mapping[str, dict[str, Any]] = {
    "smoke": {"cases": 10, "real": 4},
    "quick": {"cases": 100, "real": 50},
    "small": {"cases": 300, "real": 150},
}


def run(options: Options) -> None:
    """Ask every model; print the page; write it with every answer."""
    size = SIZES[options.size]
    sets = {"invented": spread(invented_cases(), size["cases"])}
    if options.data:
        sets["real"] = real_cases(options.data, size["real"])
    found: list[Measured] = []
    options.out.mkdir(parents=True, exist_ok=True)
    for spec in (options.language_model or "embedded").split(","):
        model = load_language_model(spec, device=options.device, max_new_tokens=MAX_NEW_TOKENS)
        for name, cases in sets.items():
            for temperature in TEMPERATURES:
                found.append(measure(model, spec, name, cases, temperature))
                tables.write_page(found, options.out)  # a slow model's first rows can be read before its last
        model.close()
    print(f"\n{tables.page(found)}\nREPORT.md, answers.json and run.json in {options.out}")
