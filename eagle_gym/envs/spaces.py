"""The space of free text, and the bounded boxes of the latent observation.

Gymnasium's own ``Text`` knows its characters one by one, warns about the others and returns stale strings from the
shared memory of ``AsyncVectorEnv``. ``FreeText`` is a ``Space`` of its own: it takes any Unicode, and since nothing
registers how to lay it out in shared memory, ``AsyncVectorEnv`` refuses it loudly (pass ``shared_memory=False``).
"""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np

from eagle_gym.errors import ConfigurationError

# Where samples come from: ASCII, Latin with accents, Cyrillic, CJK, emoji. None of them is a surrogate.
_SAMPLE_RANGES = ((0x20, 0x7E), (0xC0, 0x17F), (0x400, 0x45F), (0x4E00, 0x4FFF), (0x1F600, 0x1F64F))


class FreeText(gym.Space[str]):
    """Every Unicode string, of at most ``max_length`` characters where that is given.

    A string with lone surrogates is not Unicode text (it cannot be encoded) and is not contained.

    Args:
        max_length: longest string contained; ``None`` for no limit.
        seed: seed, or generator, of the sampler.

    Raises:
        ConfigurationError: ``max_length`` is negative.
    """

    def __init__(self, max_length: int | None = None, seed: int | np.random.Generator | None = None) -> None:
        if max_length is not None and max_length < 0:
            raise ConfigurationError(f"max_length must be at least 0 or None, got {max_length}")
        super().__init__(dtype=str, seed=seed)
        self.max_length = max_length

    @property
    def is_np_flattenable(self) -> bool:
        """A string has no flat array."""
        return False

    def sample(self, mask: Any = None, probability: Any = None) -> str:  # noqa: ANN401
        """A random string of up to 40 characters; it takes no mask.

        Raises:
            ConfigurationError: a mask or probability was given.
        """
        if mask is not None or probability is not None:
            raise ConfigurationError("FreeText samples whole strings: it takes neither mask nor probability")
        longest = 40 if self.max_length is None else min(40, self.max_length)
        return "".join(self._character() for _ in range(int(self.np_random.integers(longest + 1))))

    def _character(self) -> str:
        low, high = _SAMPLE_RANGES[int(self.np_random.integers(len(_SAMPLE_RANGES)))]
        return chr(int(self.np_random.integers(low, high + 1)))

    def contains(self, x: object) -> bool:
        """Whether ``x`` is a string of this space."""
        if not isinstance(x, str) or (self.max_length is not None and len(x) > self.max_length):
            return False
        return _is_unicode(x)

    def __repr__(self) -> str:
        return "FreeText()" if self.max_length is None else f"FreeText({self.max_length})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, FreeText) and self.max_length == other.max_length

    def __hash__(self) -> int:
        return hash((FreeText, self.max_length))


def _is_unicode(text: str) -> bool:
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def latent_space(*, n: int, actions: int, radius: float, strength: float, features: str) -> gym.spaces.Dict:
    """The flat Dict of float32 boxes of ``observation="latent"``.

    Args:
        n: dimension of the latent space.
        actions: K, the actions offered in a state.
        radius: radius of the ball that every embedding lies in.
        strength: largest norm of a user's taste.
        features: ``"displacement"`` (differences of two embeddings) or ``"next"`` (embeddings).

    Returns:
        ``state`` [n], ``user`` [n+1] (unit taste direction, then its strength), ``actions`` [K·n], ``weights``
        [K], ``action_mask`` [K] and ``time`` [1] (the share of the episode that is over).
    """
    reach = radius * (2.0 if features == "displacement" else 1.0)
    user_high = np.append(np.ones(n), max(strength, 1e-6)).astype(np.float32)
    user_low = np.append(-np.ones(n), 0.0).astype(np.float32)
    return gym.spaces.Dict(
        {
            "state": _box(-radius, radius, n),
            "user": gym.spaces.Box(user_low, user_high, dtype=np.float32),
            "actions": _box(-reach, reach, actions * n),
            "weights": _box(0.0, 1.0, actions),
            "mask": _box(0.0, 1.0, actions),
            "time": _box(0.0, 1.0, 1),
        }
    )


def _box(low: float, high: float, size: int) -> gym.spaces.Box:
    return gym.spaces.Box(np.float32(low), np.float32(high), (size,), np.float32)
