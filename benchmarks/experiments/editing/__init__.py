"""Are edits of free text carried out? 300 edits whose success a rule can check, for each language model.

There are also 60 open edits of five of the texts ("Set it on a submarine."). `--judge` names language models that judge
the answers, several with commas; the page says how well they, and measures without a model, agree with the rules.

60 invented overviews, each with five edits: another name, profession, place and decade, and an object to add. Half of
the requests are worded as an editor's training words them (`eagle_gym.language.editor`), half are not; neither the
texts nor the words in them occur in training. With `--data` and a MovieLens folder that has overviews, real overviews
are edited as well. Models are named with `--language-model`, several with commas between them; `plain` is SmolLM2 as it
is, and `plain?prompts=few_shot&dtype=bfloat16` says in which words and numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any, Final

from benchmarks.experiments.editing.cases import invented_cases, open_cases, real_cases, spread
from benchmarks.experiments.editing.measure import MAX_NEW_TOKENS, measure
from benchmarks.experiments.editing.models import open_model, public
from benchmarks.experiments.editing.tables import Findings
from benchmarks.running import Options
from eagle_gym.errors import ConfigurationError

SIZES: Mapping[str, dict[str, Any]] = {
    "smoke": {"cases": 10, "open": 2, "real": 4},
    "quick": {"cases": 100, "open": 12, "real": 50},
    "medium": {"cases": 100, "open": 60, "real": 50},
    "greedy": {"cases": 300, "open": 60, "real": 150, "temperatures": (0.0,)},
    "small": {"cases": 300, "open": 60, "real": 150},
}
TEMPERATURES: Final = (0.0, 1.0)
JUDGES_TOKENS: Final = 16  # more than yes or no, and a full stop


def run(options: Options) -> None:
    """Ask every model; write the page and every answer as they are found; print the page."""
    size = SIZES[options.size]
    sets = {"invented": spread(invented_cases(), size["cases"]), "open": open_cases()[: size["open"]]}
    if options.data:
        sets["real"] = real_cases(options.data, size["real"])
    sets = {name: cases for name, cases in sets.items() if fnmatchcase(name, options.only)}
    if not sets:
        raise ConfigurationError(f"expected --only to match invented, open or (with --data) real, got {options.only!r}")
    findings = Findings(options.out, sentences=options.size != "smoke")
    for temperature in size.get("temperatures", TEMPERATURES):  # an interrupted run has all models at the first
        for spec in (options.language_model or "embedded").split(","):
            model = open_model(spec, device=options.device, max_new_tokens=MAX_NEW_TOKENS)
            for name, cases in sets.items():
                findings.add(measure(model, public(spec), name, cases, temperature))
            model.close()
    for spec in filter(None, (options.judge or "").split(",")):
        judge = open_model(spec, device=options.device, max_new_tokens=JUDGES_TOKENS)
        findings.judge(judge, public(spec))
        judge.close()
    print(f"\n{findings.page()}\nREPORT.md, answers.json and run.json in {options.out}")
