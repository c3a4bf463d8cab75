"""Refit the surrogate of the embedded catalog and one of the package's models, and write it into the package.

Prints its quality on fresh rollouts, each number with its meaning, and its cost. A killed fit resumes where it stopped.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from eagle_gym.actions.candidates import LexiconCandidates
from eagle_gym.actions.surrogate.make import Budget, describe, make_surrogate
from eagle_gym.actions.surrogate.store import EMBEDDED_BUDGET, SHIPPED, identify, rollouts_file, save_surrogate
from eagle_gym.catalog import load_plots, split_catalog
from eagle_gym.language.loading import load_language_model
from eagle_gym.latent import prepare_space

FOLDERS: Final = {"embedded": "plots", "grammar": "plots_grammar"}  # in the package, for each language model


def main(arguments: Sequence[str] | None = None, budget: Budget = EMBEDDED_BUDGET) -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m eagle_gym.actions", description=__doc__)
    parser.add_argument("--model", choices=tuple(FOLDERS), default="embedded", help="the language model (%(default)s)")
    parser.add_argument("--out", type=Path, help="folder to write (default: the package's own data)")
    parser.add_argument("--cache-dir", type=Path, help="folder of recorded rollouts (default: the user's cache folder)")
    options = parser.parse_args(arguments)
    catalog, model, candidates = load_plots(), load_language_model(options.model), LexiconCandidates()
    out = options.out or SHIPPED / FOLDERS[options.model]
    space = prepare_space(catalog, split_catalog(catalog))
    identity = identify(catalog, space, model, candidates, language="plot_english", budget=budget)
    record = rollouts_file(identity, options.cache_dir)
    made = make_surrogate(
        catalog.texts, space, model, candidates, language="plot_english", budget=budget, record=record
    )
    save_surrogate(made, identity, out)
    print(f"The surrogate of {catalog.name!r} and the model {model.name!r} ({model.fingerprint}), in {out}:")
    print(describe(made))


if __name__ == "__main__":
    main()
