"""An editor that one can train: a general language model, tuned to carry out edits of free text."""

from __future__ import annotations

from pathlib import Path
from typing import Final

OVERVIEWS: Final = Path(__file__).parent / "overviews.txt"  # overviews of films that do not exist, one a line
