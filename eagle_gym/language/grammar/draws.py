"""Random draws of one row: a counter that is hashed. Making it costs nothing, unlike a NumPy generator."""

from __future__ import annotations

from typing import Final

_MASK: Final = 2**64 - 1
_STEP: Final = 0x9E3779B97F4A7C15  # 2^64 divided by the golden ratio


class Draws:
    """SplitMix64 [1], started from the hash of a seed.

    [1] G. Steele, D. Lea, C. Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014.
    """

    __slots__ = ("_state",)

    def __init__(self, seed: int) -> None:
        state = _mixed(seed & _MASK)
        while seed := seed >> 64:
            state = _mixed(state ^ (seed & _MASK))
        self._state = state

    def random(self) -> float:
        """A number in [0, 1), a multiple of 2^-53."""
        self._state = (self._state + _STEP) & _MASK
        return (_mixed(self._state) >> 11) * 2.0**-53

    def integers(self, high: int, /) -> int:
        """A whole number in [0, high)."""
        return int(self.random() * high)


def _mixed(number: int) -> int:
    """A bijection of 64 bits, each bit of whose result depends on every bit of the number."""
    number = ((number ^ (number >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    number = ((number ^ (number >> 27)) * 0x94D049BB133111EB) & _MASK
    return number ^ (number >> 31)
