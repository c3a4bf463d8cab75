"""An episode as a picture: the text, the edit, the utility, and the path on a map of the latent space.

`frame_image` draws one moment. It needs matplotlib, which `pip install 'eagle_gym[render]'` installs.

The embedding space is white: the catalog varies equally in every direction, so its principal components are arbitrary.
The axes of the map are therefore chosen by meaning. The horizontal axis is the direction of the user's taste, so a
point's position along it is its predicted rating. The vertical axis is the direction, orthogonal to the first, in which
the texts move most. The shades show where the utility is high. Where the taste is hidden, the picture hides it too: the
horizontal axis is the first of the embedding space, and there are no shades.
"""

from __future__ import annotations

import difflib
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from eagle_gym.envs.render import shown_parts
from eagle_gym.errors import ConfigurationError, EpisodeError

if TYPE_CHECKING:
    from eagle_gym.envs.render import Frame
    from eagle_gym.envs.world import State, World

Floats = NDArray[np.float64]
Image = NDArray[np.uint8]

SIZE: Final = (960, 540)  # pixels, width and height
SHOWN_ITEMS: Final = 1200  # items of the catalog on the map, evenly spaced
GRID: Final = 41  # points per side at which the utility is computed
MARGIN: Final = 0.08  # of the shown range, on each side
BAR: Final = (-4.0, 8.0)  # ends of the utility bar, in standard deviations over the catalog; widened where needed

INK, GREY, LINE, PAPER = "#1b2733", "#6b7886", "#d9dfe5", "#ffffff"
ACCENT, NEW, FALL = "#0b6e69", "#ffe08a", "#c2543d"
SLOPES = ("#f4f7f8", "#e6eff0", "#d3e5e5", "#bbd9d8", "#9fcbc9", "#80bab7", "#5fa8a4")  # utility, low to high


@dataclass(frozen=True, eq=False)
class MapView:
    """What the map shows besides the path. It stays fixed while an episode runs.

    Attributes:
        axes: Two orthonormal directions, [2, n].
        items: Items of the catalog on the plane, [I, 2].
        x: Horizontal positions at which the utility was computed, [G].
        y: Vertical positions, [G].
        utility: Utility for the user on the plane through the start, [G, G], one row per y; None where the taste is
            hidden.
    """

    axes: Floats
    items: Floats
    x: Floats
    y: Floats
    utility: Floats | None


def map_view(world: World, frames: Sequence[Frame]) -> MapView:
    """The map of an episode.

    Args:
        world: Where the episode takes place.
        frames: The episode. If it has only its start, the offered edits determine the vertical axis instead.
    """
    start = frames[0].state
    shown = world.settings.shows_taste
    moves = np.array([frame.state.z - start.z for frame in frames[1:]])
    if not len(moves):
        moves = start.action_set.expected[start.action_set.mask > 0] - start.z
    axes = plane(world.space.users[start.user, :-1] if shown else np.eye(world.space.dim)[0], moves)
    rows = np.linspace(0, len(world.space.items) - 1, min(SHOWN_ITEMS, len(world.space.items))).astype(int)
    items = world.space.items[rows] @ axes.T
    seen = np.concatenate([items, [frame.state.z @ axes.T for frame in frames]])
    low, high = seen.min(axis=0), seen.max(axis=0)
    x, y = np.linspace(low - MARGIN * (high - low), high + MARGIN * (high - low), GRID).T
    return MapView(axes, items, x, y, _utility(world, start, axes, x, y) if shown else None)


def _utility(world: World, start: State, axes: Floats, x: Floats, y: Floats) -> Floats:
    """The utility for the user on the plane through the start, [G, G]."""
    flat = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
    points = start.z + (flat - start.z @ axes.T) @ axes
    users, exclude = np.full(len(points), start.user), np.full(len(points), start.item)
    return np.asarray(world.priced.anchored(start.z)(points, users, exclude).total.reshape(GRID, GRID))


def plane(taste: Floats, moves: Floats) -> Floats:
    """Axes [2, n] of the map.

    Args:
        taste: The user's taste, [n]; the first axis is its direction.
        moves: Displacements, [M, n]; the second axis is their main direction orthogonal to the first.
    """
    across = taste / max(float(np.linalg.norm(taste)), 1e-12)
    rest = moves - np.outer(moves @ across, across)
    if not np.any(np.abs(rest) > 1e-9):  # nothing moves sideways: any orthogonal direction will do
        rest = np.eye(len(taste)) - np.outer(across, across)
    up = np.linalg.svd(rest, full_matrices=False)[2][0]
    up -= (up @ across) * across
    up /= np.linalg.norm(up)
    return np.stack([across, up if up[np.abs(up).argmax()] > 0 else -up])


def frame_image(
    world: World,
    frames: Sequence[Frame],
    *,
    edit: str = "",
    progress: float = 1.0,
    view: MapView | None = None,
    size: tuple[int, int] = SIZE,
) -> Image:
    """Draw the last moment of an episode.

    Equal arguments give equal pixels.

    Args:
        world: Where the episode takes place.
        frames: The episode so far, its start first.
        edit: An edit that was chosen in the last state and is not applied yet. Without one, the edit that led to the
            last state is shown, with its reward.
        progress: How much of the last move on the map is drawn, from 0 to 1.
        view: The map; `None` makes the one that the start determines, which is the same for the whole episode.
        size: Width and height in pixels.

    Returns:
        RGB array, [height, width, 3].

    Raises:
        EpisodeError: There are no frames.
        ConfigurationError: Matplotlib is not installed.
    """
    if not frames:
        raise EpisodeError("expected an episode to draw, got no frames: call reset() first")
    view = map_view(world, frames[:1]) if view is None else view
    canvas = _Canvas(size)
    _draw_head(canvas, world, frames)
    _draw_text(canvas, frames, pending=bool(edit))
    _draw_edit(canvas, frames[-1], edit)
    _draw_utility(canvas, frames)
    _draw_map(canvas, view, frames, progress)
    return canvas.pixels()


class _Canvas:
    """A matplotlib figure whose coordinates are pixels of a 960 x 540 page, from the top left corner."""

    def __init__(self, size: tuple[int, int]) -> None:
        try:
            from matplotlib.backends.backend_agg import FigureCanvasAgg
            from matplotlib.figure import Figure
        except ImportError as error:
            raise ConfigurationError("pictures need matplotlib: pip install 'eagle_gym[render]'") from error
        self.size = size
        self.scale = min(size[0] / SIZE[0], size[1] / SIZE[1])
        self.figure = Figure(figsize=(size[0] / 100, size[1] / 100), dpi=100, facecolor=PAPER)
        self._agg: Any = FigureCanvasAgg(self.figure)
        self.page = self.figure.add_axes((0, 0, 1, 1))
        self.page.set(xlim=(0, SIZE[0]), ylim=(SIZE[1], 0))
        self.page.axis("off")

    def write(self, x: float, y: float, text: str, points: float = 11, **style: Any) -> None:  # noqa: ANN401
        """Write one line whose baseline is at y."""
        self.page.text(
            x, y, text, fontsize=points * self.scale, parse_math=False, **({"va": "baseline", "color": INK} | style)
        )

    def label(self, x: float, y: float, text: str) -> None:
        """Write a small heading."""
        self.write(x, y, text.upper(), 7.5, color=GREY, weight="bold")

    def width(self, text: str, points: float, weight: str = "normal") -> float:
        """The width of one line, in pixels of the page."""
        from matplotlib.font_manager import FontProperties

        font = FontProperties(size=points * self.scale, weight=weight)
        with _any_glyph():
            measured: float = self._agg.get_renderer().get_text_width_height_descent(text, font, False)[0]
        return measured * SIZE[0] / self.size[0]

    def box(self, x: float, y: float, width: float, height: float, **style: Any) -> None:  # noqa: ANN401
        """Draw a rectangle with rounded corners."""
        from matplotlib.patches import FancyBboxPatch

        shape = "round,pad=0,rounding_size=4"
        self.page.add_patch(FancyBboxPatch((x, y), width, height, boxstyle=shape, **({"linewidth": 0} | style)))

    def inset(self, x: float, y: float, width: float, height: float) -> Any:  # noqa: ANN401 - matplotlib's axes
        """Axes within the page."""
        return self.figure.add_axes(
            (x / SIZE[0], 1 - (y + height) / SIZE[1], width / SIZE[0], height / SIZE[1]), zorder=2
        )

    def pixels(self) -> Image:
        """The page as RGB, [height, width, 3]."""
        with _any_glyph():
            self._agg.draw()
        return np.asarray(self._agg.buffer_rgba())[..., :3].copy()


@contextmanager
def _any_glyph() -> Iterator[None]:
    """Let a text hold characters that the font lacks; they are drawn as boxes."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph")
        yield


TEXT_SIZES: Final = (17, 16, 15, 14, 13, 12, 11, 10, 9, 8, 7)  # points; the first that fits is taken
LEFT, COLUMN = 32, 500  # of the page: where the left column begins, and its width
MAP_LEFT, MAP_TOP, MAP_WIDTH, MAP_HEIGHT = 572, 54, 356, 386


def _draw_head(canvas: _Canvas, world: World, frames: Sequence[Frame]) -> None:
    state = frames[-1].state
    canvas.label(LEFT, 38, "user")
    about = world.resources.profile(state.user) if world.settings.shows_taste else "hidden"
    _flow(canvas, [(word, False) for word in about.split()], 58, (10, 9, 8), 62)
    canvas.write(SIZE[0] - 32, 38, f"step {state.step} of {world.settings.horizon}", 10, ha="right", color=GREY)
    canvas.label(MAP_LEFT, 38, "latent space")


def _draw_text(canvas: _Canvas, frames: Sequence[Frame], *, pending: bool) -> None:
    canvas.label(LEFT, 128, "text")
    words = frames[-1].state.text.split()
    before = frames[-2].state.text.split() if len(frames) > 1 and not pending else words
    _flow(canvas, list(zip(words, changed_words(before, words), strict=True)), 158, TEXT_SIZES, 180)


def changed_words(before: Sequence[str], after: Sequence[str]) -> list[bool]:
    """For each word of a text, whether it is new or moved compared with the text before."""
    changed = [True] * len(after)
    matcher = difflib.SequenceMatcher(None, before, after, autojunk=False)
    for block in matcher.get_matching_blocks():
        changed[block.b : block.b + block.size] = [False] * block.size
    return changed


def _flow(
    canvas: _Canvas, words: Sequence[tuple[str, bool]], top: float, sizes: Iterable[float], height: float
) -> None:
    """Write words as a paragraph, in the first font size that fits; the words that are marked stand out."""
    for points in sizes:
        lines = _wrapped(canvas, words, points)
        leading = 1.75 * points
        if leading * len(lines) <= height:
            break
    for i, line in enumerate(lines[: max(1, int(height / leading))]):
        _write_line(canvas, line, top + i * leading, points)


def _wrapped(canvas: _Canvas, words: Sequence[tuple[str, bool]], points: float) -> list[list[tuple[str, bool]]]:
    space = canvas.width(" ", points)
    lines: list[list[tuple[str, bool]]] = [[]]
    at = 0.0
    for word, marked in words:
        width = canvas.width(word, points)
        if at + width > COLUMN and lines[-1]:
            lines.append([])
            at = 0.0
        lines[-1].append((word, marked))
        at += width + space
    return lines


def _write_line(canvas: _Canvas, line: Sequence[tuple[str, bool]], y: float, points: float) -> None:
    space, at = canvas.width(" ", points), float(LEFT)
    for i, (word, marked) in enumerate(line):
        width = canvas.width(word, points)
        if marked:
            bridge = space if i + 1 < len(line) and line[i + 1][1] else 0.0
            canvas.page.fill_between([at - 2, at + width + 2 + bridge], y - 1.15 * points, y + 0.45 * points, color=NEW)
        canvas.write(at, y, word, points)
        at += width + space


def _draw_edit(canvas: _Canvas, frame: Frame, pending: str) -> None:
    edit = pending or frame.edit
    canvas.label(LEFT, 356, "edit")
    if not edit:
        canvas.write(LEFT, 386, "The episode starts.", 12, color=GREY)
        return
    canvas.box(LEFT, 366, COLUMN, 36, facecolor=PAPER if pending else ACCENT, edgecolor=ACCENT, linewidth=1.2)
    ink = ACCENT if pending else PAPER
    reward = "" if pending else f"{frame.reward:+.2f}"
    room = COLUMN - 40 - canvas.width(reward, 12, "bold")
    points = next((size for size in (13, 12, 11, 10, 9) if canvas.width(edit, size, "bold") <= room), 8)
    canvas.write(LEFT + 14, 389, edit, points, color=ink, weight="bold")
    canvas.write(LEFT + COLUMN - 14, 389, reward, 12, color=ink, weight="bold", ha="right")


def _draw_utility(canvas: _Canvas, frames: Sequence[Frame]) -> None:
    totals = [frame.state.total for frame in frames]
    low, high = min(BAR[0], *totals), max(BAR[1], *totals)

    def at(value: float) -> float:
        return LEFT + COLUMN * (value - low) / (high - low)

    state = frames[-1].state
    canvas.label(LEFT, 440, "utility")
    shown = f"{state.total:+.2f}"
    canvas.write(LEFT + COLUMN, 442, shown, 14, ha="right", weight="bold")
    canvas.write(LEFT + COLUMN - canvas.width(shown, 14, "bold") - 14, 441, _parts(state), 9, ha="right", color=GREY)
    top, height = 456, 20
    canvas.page.fill_between([LEFT, LEFT + COLUMN], top, top + height, color="#edf1f4", linewidth=0)
    first, last = totals[0], totals[-1]
    canvas.page.fill_between([at(low), at(last)], top, top + height, color="#a9cfcc", linewidth=0)
    if first != last:
        gained = ACCENT if last > first else FALL
        canvas.page.fill_between(sorted((at(first), at(last))), top, top + height, color=gained, linewidth=0)
    for total in totals:
        canvas.page.plot([at(total)] * 2, [top, top + height], color=PAPER, linewidth=1)
    for value in range(int(np.ceil(low)), int(high) + 1, 2):
        canvas.write(at(value), top + height + 16, f"{value:+d}" if value else "0", 8, ha="center", color=GREY)
    canvas.write(LEFT, 518, "standard deviations over the catalog", 8, color=GREY)


def _parts(state: State) -> str:
    return "  ·  ".join(f"{name} {value:+.2f}" for name, value in shown_parts(state))


def _draw_map(canvas: _Canvas, view: MapView, frames: Sequence[Frame], progress: float) -> None:
    axes = canvas.inset(MAP_LEFT, MAP_TOP, MAP_WIDTH, MAP_HEIGHT)
    axes.set(xlim=view.x[[0, -1]], ylim=view.y[[0, -1]], xticks=[], yticks=[])
    for spine in axes.spines.values():
        spine.set_color(LINE)
    if view.utility is not None:
        levels = np.quantile(view.utility, np.linspace(0, 1, len(SLOPES) + 1))
        if np.all(np.diff(levels) > 0):
            axes.contourf(view.x, view.y, view.utility, levels=levels, colors=SLOPES)
    axes.scatter(*view.items.T, s=3 * canvas.scale, color=GREY, alpha=0.35, linewidths=0)
    path = np.array([frame.state.z @ view.axes.T for frame in frames])
    if len(path) > 1:
        path[-1] = path[-2] + progress * (path[-1] - path[-2])
    axes.plot(*path.T, color=INK, linewidth=1.8 * canvas.scale)
    axes.scatter(*path[:-1].T, s=26 * canvas.scale, color=PAPER, edgecolors=INK, linewidths=1.2, zorder=3)
    axes.scatter(*path[-1], s=190 * canvas.scale, marker="*", color=NEW, edgecolors=INK, linewidths=1.0, zorder=4)
    below = MAP_TOP + MAP_HEIGHT
    if view.utility is None:
        canvas.write(MAP_LEFT, below + 20, "dots: the catalog", 9, color=GREY)
        return
    canvas.write(MAP_LEFT, below + 20, "texts this user is predicted to like  →", 9, color=GREY)
    canvas.write(MAP_LEFT, below + 40, "dots: the catalog · darker: higher utility", 9, color=GREY)
