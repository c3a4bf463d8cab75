"""Refit the latent space of the embedded catalog, write it into the package, and print its quality."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from eagle_gym.latent.prepare import SHIPPED, ship_plots


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m eagle_gym.latent", description=__doc__)
    parser.add_argument(
        "--out", type=Path, default=SHIPPED / "plots", help="folder to write (default: the package's own data)"
    )
    options = parser.parse_args(arguments)
    space = ship_plots(options.out)
    for name, value in space.quality.facts(space.dim):
        print(f"{name:<24}{value}")


if __name__ == "__main__":
    main()
