"""An episode as an animated GIF, drawn by `eagle_gym.envs.picture`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from eagle_gym.envs import transition
from eagle_gym.envs.picture import SIZE, Image, frame_image, map_view
from eagle_gym.errors import ConfigurationError

if TYPE_CHECKING:
    from eagle_gym.envs.eagle import EagleEnv
    from eagle_gym.envs.render import Frame
    from eagle_gym.envs.world import World

MOVES: Final = (0.35, 0.7)  # shares of a move on the map that are drawn before the whole of it
CHOOSING, MOVING, READING, END = 1500, 100, 1700, 4000  # milliseconds
COLOURS: Final = 255


def play_greedily(env: EagleEnv, seed: int | None, options: Mapping[str, Any] | None = None) -> tuple[Frame, ...]:
    """Play an episode by the edit whose expected next text has the highest utility.

    Returns:
        The frames of the whole episode.
    """
    env.reset(seed=seed, options=dict(options or {}))
    over = False
    while not over:
        over = env.step(int(transition.expected_utility(env.world, [env.state]).argmax()))[2]
    return env.frames


def episode_images(world: World, frames: Sequence[Frame], size: tuple[int, int] = SIZE) -> Iterator[tuple[Image, int]]:
    """Draw an episode: at each step the edit that is chosen, the move on the map, and the text that results.

    Yields:
        Pictures [height, width, 3] and how long each is shown, in milliseconds.
    """
    view = map_view(world, frames)
    for step, frame in enumerate(frames[1:], start=1):
        yield frame_image(world, frames[:step], edit=frame.edit, view=view, size=size), CHOOSING
        so_far = frames[: step + 1]
        for progress in MOVES:
            yield frame_image(world, so_far, progress=progress, view=view, size=size), MOVING
        yield frame_image(world, so_far, view=view, size=size), READING if step + 1 < len(frames) else END


def save_gif(images: Iterable[tuple[Image, int]], path: Path) -> None:
    """Write pictures as a GIF that repeats; folders are made as needed. Equal pictures give equal bytes.

    Raises:
        ConfigurationError: Pillow is not installed.
    """
    try:
        from PIL import Image as pillow
    except ImportError as error:
        raise ConfigurationError("an animation needs Pillow: pip install 'eagle_gym[render]'") from error
    arrays, durations = zip(*images, strict=True)
    whole = [pillow.fromarray(array) for array in arrays]
    palette = whole[-1].quantize(COLOURS)  # one palette, so that what does not change costs nothing
    entries = np.array(palette.getpalette() or [255] * 3).reshape(-1, 3)
    entries[entries.min(axis=1) > 247] = 255  # paper stays white
    palette.putpalette(entries.ravel().tolist())
    first, *rest = (picture.quantize(palette=palette, dither=pillow.Dither.NONE) for picture in whole)
    path.parent.mkdir(parents=True, exist_ok=True)
    first.save(path, save_all=True, append_images=rest, duration=list(durations), loop=0, optimize=False)
