"""Compare prompt sets: `python -m benchmarks.wordings MODEL PROMPTS…`, a built-in name or a path each."""

from __future__ import annotations

import argparse

from benchmarks.wordings.measure import answers, load_cases, measure
from eagle_gym.language import load_language_model


def parser() -> argparse.ArgumentParser:
    """The parser of the command line."""
    made = argparse.ArgumentParser(prog="python -m benchmarks.wordings", description=__doc__)
    made.add_argument("model", help="the spec of a language model")
    made.add_argument("prompts", nargs="+", help="a built-in prompt set, or the path of one")
    made.add_argument("--dtype", default="float32", help="number format of the language model")
    made.add_argument("--show", action="store_true", help="print the answers, too")
    return made


def main() -> None:
    """Print a line of a Markdown table for each prompt set."""
    arguments = parser().parse_args()
    cases = load_cases()
    print("| prompts | followed | copied | no answer | words kept | seconds |\n|---|---|---|---|---|---|", flush=True)
    for name in arguments.prompts:
        model = load_language_model(arguments.model, prompts=name, dtype=arguments.dtype, max_new_tokens=160)
        row = measure(model, cases)
        counts = f"{row.followed} / {row.cases} | {row.copied} | {row.failed}"
        print(f"| {name} | {counts} | {row.kept:.0%} | {row.seconds:.0f} |", flush=True)
        if arguments.show:
            for case, answer in zip(cases, answers(model, cases), strict=True):
                print(f"  {case.edit}\n    {answer}", flush=True)
        model.close()


if __name__ == "__main__":
    main()
