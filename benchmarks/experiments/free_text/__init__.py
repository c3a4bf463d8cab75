"""Reference policies, PPO and EAGLE where a general language model rewrites free text; needs MovieLens (`--data`).

The environments are MovieLens with `texts="free"`, whose candidates come from the lexicon, read by words and, in the
size `reference`, by MiniLM as well; an invented catalog of products in Amazon's format, whose candidates the language
model proposes once for each product; and Plots in plot English. The language model of free text is `"smollm2"`, in this
process. With `--language-model llama.cpp`, the uniform policy and the trained PPO are also tested through llama.cpp's
server with the same model, or through another one that `openai:MODEL@URL` names. Effects are the edits' own words, so a
step costs one rewrite.

ELM does not take part: it would have to train a decoder of free text. The optimistic policy is greedy for one step on
what the edits' words are expected to add, and the user-blind one does the same for users drawn at random.
"""

from __future__ import annotations

from typing import Any

from benchmarks.experiments.free_text import costs, effects, methods, served, strangers
from benchmarks.experiments.free_text.page import write_page
from benchmarks.running import Cell, Options, run_cells

BY_WORDS: dict[str, Any] = {"encoders": ("words",), "readers": ()}
FEW = {"episodes": 2, "num_envs": 2, "steps": 2, "horizon": 1, "trials": 8, "products": 6, "pool": 3, "actions": 2}
TINY = {"placebo": "allow", "dim": 2, "utility_kwargs": {"neighbours": 2}}
SHORT = {"min_ratings": 100, "fields": ["genres", "year", "tags"]}
MORE = {"films": {"min_ratings": 20}, "spaces": (150, 50, 20), "products": 20, "pool": 9, "actions": 6}
SMALL: dict[str, Any] = {"seeds": 1, "episodes": 8, "num_envs": 8, "steps": 48, "horizon": 3, "trials": 64}
SIZES: dict[str, dict[str, Any]] = {
    "smoke": SMALL | FEW | {"films": SHORT, "spaces": (150,), "env_kwargs": TINY} | BY_WORDS,
    "small": SMALL | MORE | {"env_kwargs": {}} | BY_WORDS,
}
READ = {"encoders": ("words", "minilm", "words+minilm"), "readers": ("minilm",)}
SIZES["reference"] = SIZES["small"] | {"seeds": 3, "steps": 96, "trials": 160} | READ


def cells(options: Options) -> list[Cell]:
    """Every method with every seed, and the uniform policy and PPO through the other language model."""
    return methods.cells(options, SIZES[options.size])


def run(options: Options) -> None:
    """Run the cells, measure, and write and print the page."""
    if options.data is None:
        options.out.mkdir(parents=True, exist_ok=True)
        text = "not run: --data MOVIELENS_FOLDER not given"
        (options.out / "REPORT.md").write_text(f"{text}\n")
        print(text)
        return
    size = SIZES[options.size]
    places = methods.environments(options, size)
    with served.running(options) as options, methods.kept_open(places, options):
        run_cells(cells(options), options)
        for measured in () if options.report_only else (costs, strangers, effects):
            measured.measure(places, size, options.out)
    print(write_page(options.out))
