"""Compare prompt sets: `python -m benchmarks.wordings MODEL PROMPTS…`, a built-in name or a path each.

With `--edits N` the edits are N of the 300 of the experiment `editing`, judged by its rules, as far as the time allows.
"""

from __future__ import annotations

import argparse

from benchmarks.wordings.measure import answers, load_cases, measure, measure_edits
from eagle_gym.language import LanguageModel, load_language_model


def parser() -> argparse.ArgumentParser:
    """The parser of the command line."""
    made = argparse.ArgumentParser(prog="python -m benchmarks.wordings", description=__doc__)
    made.add_argument("model", help="the spec of a language model")
    made.add_argument("prompts", nargs="+", help="a built-in prompt set, or the path of one")
    made.add_argument("--dtype", default="float32", help="number format of the language model")
    made.add_argument("--edits", type=int, default=0, help="ask for so many of the 300 edits of the experiment editing")
    made.add_argument("--minutes", type=float, default=60.0, help="processor time for a set of prompts (--edits only)")
    made.add_argument("--cache-dir", help="folder of converted GGUF files")
    made.add_argument("--show", action="store_true", help="print the answers, too")
    return made


def main() -> None:
    """Print a line of a Markdown table for each prompt set."""
    arguments = parser().parse_args()
    print("| prompts | followed | copied | no answer | words kept | seconds |\n|---|---|---|---|---|---|", flush=True)
    for name in arguments.prompts:
        model = load_language_model(
            arguments.model,
            prompts=name,
            dtype=arguments.dtype,
            max_new_tokens=160,
            cache_dir=arguments.cache_dir,
        )
        row = measure_edits(model, arguments.edits, arguments.minutes) if arguments.edits else measure(model)
        counts = f"{row.followed} / {row.cases} | {row.copied} | {row.failed}"
        print(f"| {name} | {counts} | {row.kept:.0%} | {row.seconds:.0f} |", flush=True)
        if arguments.show:
            _show(model)
        model.close()


def _show(model: LanguageModel) -> None:
    cases = load_cases()
    for case, answer in zip(cases, answers(model, cases), strict=True):
        print(f"  {case.edit}\n    {answer}", flush=True)


if __name__ == "__main__":
    main()
