"""The space of free text, and the bounded boxes of the latent observation.

Gymnasium's own `Text` lists its characters, warns about all others, and returns stale strings from the shared memory of
`AsyncVectorEnv`. `FreeText` is therefore a space of its own, which holds any Unicode.

Other libraries treat spaces by type. Importing this module registers `FreeText` with Gymnasium (batches, wrappers that
stack, delay or flatten) and, where it is installed, with Minari (data sets). TorchRL is slow to import, so
`FreeText` is registered with it when a program has imported it. Shared memory is not supported, on purpose:
`AsyncVectorEnv` then raises an error, and works with `shared_memory=False`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, Final

import gymnasium as gym
import numpy as np
from gymnasium.spaces.utils import flatten, flatten_space, is_space_dtype_shape_equiv, unflatten
from gymnasium.vector.utils import batch_differing_spaces, create_empty_array
from gymnasium.wrappers.utils import create_zero_array
from numpy.typing import NDArray

from eagle_gym.errors import ConfigurationError

# Samples are ASCII, accented Latin, Cyrillic, CJK and emoji; none of these is a surrogate.
_SAMPLE_RANGES = ((0x20, 0x7E), (0xC0, 0x17F), (0x400, 0x45F), (0x4E00, 0x4FFF), (0x1F600, 0x1F64F))


class FreeText(gym.Space[str]):
    """All Unicode strings, or those of at most `max_length` characters.

    A string with lone surrogates is not in the space: it cannot be encoded, so it is not Unicode text.

    Args:
        max_length: Length of the longest string in the space; None for no limit.
        seed: Seed or generator of the sampler.

    Raises:
        ConfigurationError: `max_length` is negative.
    """

    def __init__(self, max_length: int | None = None, seed: int | np.random.Generator | None = None) -> None:
        if max_length is not None and max_length < 0:
            raise ConfigurationError(f"expected max_length=None or at least 0, got max_length={max_length}")
        gym.Space.__init__(self, dtype=str, seed=seed)  # not super(): that is Text in StoredText
        self.max_length = max_length
        _register_with_torchrl()

    @property
    def is_np_flattenable(self) -> bool:
        """False: a string has no flat array of fixed length."""
        return False

    def sample(self, mask: Any = None, probability: Any = None) -> str:  # noqa: ANN401
        """Draw a string of up to 40 characters.

        Raises:
            ConfigurationError: A mask or probability was given; this space takes neither.
        """
        if mask is not None or probability is not None:
            raise ConfigurationError("expected neither mask nor probability, got one: FreeText samples whole strings")
        longest = 40 if self.max_length is None else min(40, self.max_length)
        return "".join(self._character() for _ in range(int(self.np_random.integers(longest + 1))))

    def _character(self) -> str:
        low, high = _SAMPLE_RANGES[int(self.np_random.integers(len(_SAMPLE_RANGES)))]
        return chr(int(self.np_random.integers(low, high + 1)))

    def contains(self, x: object) -> bool:
        """Whether `x` is a string of this space."""
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


# Gymnasium's and other libraries' hooks


@create_zero_array.register(FreeText)
def _(space: FreeText) -> str:  # type: ignore[misc]  # Gymnasium types the hook for Space itself
    return ""


@create_empty_array.register(FreeText)
def _(space: FreeText, n: int = 1, fn: Callable[..., Any] = np.zeros) -> tuple[str, ...]:
    return ("",) * n


@batch_differing_spaces.register(FreeText)
def _(spaces: list[gym.Space[str]]) -> gym.spaces.Tuple[Any]:  # type: ignore[misc]
    return gym.spaces.Tuple(spaces)


@is_space_dtype_shape_equiv.register(FreeText)
def _(space_1: FreeText, space_2: gym.Space[Any]) -> bool:
    return isinstance(space_2, FreeText)


@flatten_space.register(FreeText)
def _(space: FreeText) -> FreeText:
    return space


@flatten.register(FreeText)
@unflatten.register(FreeText)
def _(space: FreeText, x: str) -> str:  # type: ignore[misc]
    return x


class StoredText(FreeText, gym.spaces.Text):  # type: ignore[misc]  # a length may be None here
    """`FreeText` as read from a Minari data set, whose HDF5 files are decoded to strings for `Text` spaces only."""

    def __init__(self, max_length: int | None = None) -> None:
        FreeText.__init__(self, max_length)


def _register_with_minari() -> None:
    if find_spec("minari") is None:
        return
    from minari.serialization import deserialize_space, serialize_space

    @serialize_space.register(FreeText)  # type: ignore[untyped-decorator]
    def _(space: FreeText, to_string: bool = True) -> dict[str, Any] | str:
        values = {"type": "FreeText", "max_length": space.max_length}
        return json.dumps(values) if to_string else values

    @deserialize_space.register("FreeText")  # type: ignore[untyped-decorator]
    def _(values: dict[str, Any]) -> FreeText:
        return StoredText(values["max_length"])


def _register_with_torchrl() -> None:
    torchrl = sys.modules.get("torchrl.envs.libs.gym")
    if torchrl is not None:
        torchrl.register_gym_spec_conversion(FreeText)(_as_torchrl_spec)


def _as_torchrl_spec(spec: FreeText, *, device: Any = None, **_: Any) -> Any:  # noqa: ANN401
    return sys.modules["torchrl.data"].NonTensor((), device=device, example_data="a text")


_register_with_minari()


# The latent observation


REWARD_BOUND: Final = 10.0  # of the last reward, in standard deviations of utility
LATENT_KEYS: Final = (
    *("state", "user", "interests", "effects", "actions", "match", "weights", "mask", "time", "reward", "change"),
)
REQUIRED_KEYS: Final = ("state", "weights", "mask", "time")


@dataclass(frozen=True)
class LatentLayout:
    """Which parts a latent observation has, and how large they are.

    Attributes:
        n: Dimension of the latent space.
        actions: K, the actions that a state offers.
        width: m, the features of an action; 0 if none are shown.
        effects: Whether these are expected effects, as the part `effects`; otherwise they embed the edits' own words,
            as the part `actions`.
        user: Whether the user's taste is shown.
        match: Whether the match of each action with the taste is shown.
        interests: c, the centres of the user's interests that are shown; 0 if none are.
        reward: Whether the last reward is shown, and the change of the text that it was paid for.
    """

    n: int
    actions: int
    width: int
    effects: bool = True
    user: bool = True
    match: bool = False
    interests: int = 0
    reward: bool = False

    @property
    def shapes(self) -> dict[str, tuple[int]]:
        """The shape of each part, by its key."""
        sizes = {
            "state": self.n,
            "user": (self.n + 1) * self.user,
            "interests": self.interests * self.n,
            "effects": self.actions * self.width * self.effects,
            "actions": self.actions * self.width * (not self.effects),
            "match": self.actions * self.match,
            "weights": self.actions,
            "mask": self.actions,
            "time": 1,
            "reward": int(self.reward),
            "change": self.n * self.reward,
        }
        return {key: (size,) for key, size in sizes.items() if size}

    def __str__(self) -> str:
        sizes = ", ".join(f"{key} [{size}]" for key, (size,) in self.shapes.items())
        return f"K = {self.actions} actions in {self.n} dimensions ({sizes})"

    @classmethod
    def of(cls, parts: gym.Space[Any] | Mapping[str, Any]) -> LatentLayout:
        """The layout of a space, or of arrays whose last axis is that of the space. Other keys are ignored.

        Raises:
            ConfigurationError: It is not a latent observation.
        """
        found = parts.spaces if isinstance(parts, gym.spaces.Dict) else parts
        sizes = {}
        if isinstance(found, Mapping):
            sizes = {key: (part.shape or (0,))[-1] for key, part in found.items() if key in LATENT_KEYS}
        if set(REQUIRED_KEYS) <= set(sizes) and min(sizes.values()) > 0:
            n, actions = sizes["state"], sizes["mask"]
            layout = cls(
                n=n,
                actions=actions,
                width=sizes.get("effects", sizes.get("actions", 0)) // actions,
                effects="actions" not in sizes,
                user="user" in sizes,
                match="match" in sizes,
                interests=sizes.get("interests", 0) // n,
                reward="reward" in sizes,
            )
            for key, shape in layout.shapes.items():
                size = (sizes.get(key, 0),)
                if size != shape:
                    raise ConfigurationError(
                        f"latent observation: expected {key!r} of shape {shape}, got {size}, with a state of "
                        f'shape ({n},) and {actions} actions: make the environment with observation="latent"'
                    )
            return layout
        got = list(sizes) if sizes else type(parts).__name__
        raise ConfigurationError(
            f"expected the latent observation, a Dict with {list(REQUIRED_KEYS)}, got {got}: make the environment with "
            'observation="latent"'
        )


def latent_space(
    layout: LatentLayout, *, radius: float, strength: float, action_bounds: tuple[NDArray[Any], NDArray[Any]]
) -> gym.spaces.Dict:
    """The flat Dict of float32 boxes of `observation="latent"`.

    Args:
        layout: Its parts.
        radius: Radius of the ball that holds every embedding.
        strength: Largest norm of a user's taste that is shown.
        action_bounds: The lowest and highest features of an action, each [m].
    """
    n, (low, high) = layout.n, action_bounds
    bounds: dict[str, tuple[Any, Any]] = {
        "state": (-radius, radius),
        "user": (np.append(-np.ones(n), 0.0), np.append(np.ones(n), max(strength, 1e-6))),
        "interests": (-radius, radius),
        "effects": (np.tile(low, layout.actions), np.tile(high, layout.actions)),
        "actions": (np.tile(low, layout.actions), np.tile(high, layout.actions)),
        "match": (-2.0 * radius, 2.0 * radius),  # no two embeddings are further apart
        "reward": (-REWARD_BOUND, REWARD_BOUND),
        "change": (-2.0 * radius, 2.0 * radius),
    }
    boxes: dict[str, gym.Space[Any]] = {
        name: _box(*bounds.get(name, (0.0, 1.0)), shape) for name, shape in layout.shapes.items()
    }
    return gym.spaces.Dict(boxes)


def _box(low: Any, high: Any, shape: tuple[int]) -> gym.spaces.Box:  # noqa: ANN401
    lows, highs = (np.broadcast_to(end, shape).astype(np.float32) for end in (low, high))
    return gym.spaces.Box(lows, highs, dtype=np.float32)
