"""What every text encoder offers: frozen vectors of texts, from which a latent space is then fitted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]


class TextEncoder(Protocol):
    """Turns texts into vectors of one length.

    Attributes:
        name: The spec under which it was opened.
        fingerprint: Changes with whatever changes a vector.
        deterministic: Whether a text's vector has the same bits each time on one machine, whatever is encoded with it.
    """

    name: str
    fingerprint: str
    deterministic: bool

    @property
    def dim(self) -> int:
        """Length of the vectors."""
        ...

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Vectors of texts, `[B, dim]`."""
        ...
