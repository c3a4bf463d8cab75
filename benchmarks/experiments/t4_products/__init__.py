"""Reference policies and EAGLE on products (T4); needs Amazon reviews (`--data`) and a general `--language-model`.

Without them the page says "not run" and names what is missing: the embedded model writes about films only. The language
model itself proposes the edits. Judges read the texts later (`python -m benchmarks judge`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from baselines.reference import REFERENCES
from benchmarks.reporting.build import write_page
from benchmarks.reporting.targets import eagle_targets
from benchmarks.running import Cell, Options, grid, imitators, run_cells
from benchmarks.running.files import write_json
from benchmarks.running.provenance import circumstances

USUAL = {"candidates": "model", "actions": 8, "pool": 32}
TINY = {"actions": 3, "pool": 6, "dim": 3, "horizon": 1, "effects": "rollout", "rollout_samples": 1}
SIZES: dict[str, dict[str, Any]] = {
    "smoke": {"seeds": 1, "episodes": 2, "num_envs": 2, "steps": 4, "recorded": 2, "env_kwargs": USUAL | TINY},
    "small": {"seeds": 2, "episodes": 32, "num_envs": 32, "steps": 640, "recorded": 32, "env_kwargs": USUAL},
    "reference": {"seeds": 5, "episodes": 128, "num_envs": 64, "steps": 4_480, "recorded": 64, "env_kwargs": USUAL},
}


def cells(options: Options) -> list[Cell]:
    """Reference policies, and EAGLE and supervised with each of them, with every seed."""
    size = SIZES[options.size]
    methods = [*({"agent": name} for name in REFERENCES), *imitators(size["steps"], size["recorded"])]
    kwargs = {"root": str(options.data), "language_model": options.language_model, **size["env_kwargs"]}
    where = [("amazon", "EagleGym/Amazon-v0", kwargs)]
    return grid(where, methods, **{name: size[name] for name in ("seeds", "episodes", "num_envs")})


def run(options: Options) -> None:
    """Run the cells, write and print the page; or say what is missing."""
    lacking = {"--data AMAZON_FOLDER": options.data, "--language-model SPEC": options.language_model}
    words = " and ".join(name for name, given in lacking.items() if not given)
    print(not_run(f"not run: {words} not given", options.out) if words else done(options))


def not_run(text: str, out: Path) -> str:
    """Write a page and a header that say why there are no numbers."""
    out.mkdir(parents=True, exist_ok=True)
    (out / "REPORT.md").write_text(f"{text}\n")
    write_json({"experiment": "t4_products", "not_run": text} | circumstances(), out / "run.json")
    return text


def done(options: Options) -> str:
    """Run the cells and write the page."""
    return write_page(run_cells(cells(options), options), eagle_targets())
