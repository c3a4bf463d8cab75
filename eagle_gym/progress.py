"""Progress bars: shown on a terminal where the work takes long, never written into redirected output."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar

from tqdm import tqdm

T = TypeVar("T")

DELAY = 2.0  # seconds of work before a bar appears


def progress_bar(
    iterable: Iterable[T] | None = None,
    *,
    show: bool = True,
    desc: str,
    unit: str = "it",
    total: int | None = None,
    unit_scale: bool = False,
    delay: float = DELAY,
) -> tqdm[Any]:
    """A bar that appears after `delay` seconds and is erased at the end.

    Args:
        iterable: What to go through; without it the caller calls `update`.
        show: False never shows the bar; True shows it where standard error is a terminal.
        desc: Label in front of the bar.
        unit: What is counted.
        total: How many there are, where `iterable` has no length.
        unit_scale: Whether large counts are written with k, M and G.
        delay: Seconds of work before the bar appears.
    """
    return tqdm(
        iterable,
        desc=desc,
        unit=unit,
        total=total,
        unit_scale=unit_scale,
        delay=delay,
        leave=False,
        disable=None if show else True,  # None: tqdm shows the bar only where its stream is a terminal
    )
