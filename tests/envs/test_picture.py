"""Pictures and animations of episodes."""

from __future__ import annotations

import sys
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
from PIL import Image

from eagle_gym.envs import animation, picture
from eagle_gym.envs.eagle import EagleEnv
from eagle_gym.errors import ConfigurationError, EpisodeError
from eagle_gym.latent import ContentGap
from tests.fake_worlds import make_tiny_world

SMALL = (480, 270)


@pytest.fixture(scope="module")
def env() -> EagleEnv:
    made = gym.make("EagleGym/Plots-v0", horizon=2, actions=4, pool=16, prepare="never").unwrapped
    assert isinstance(made, EagleEnv)
    animation.play_greedily(made, seed=3)
    return made


def test_a_frame_is_an_rgb_array_of_the_size_asked_for(env: EagleEnv) -> None:
    image = picture.frame_image(env.world, env.frames, size=SMALL)
    assert image.shape == (270, 480, 3)
    assert image.dtype == np.uint8
    assert (image[0, 0] == 255).all(), "paper is white"
    assert (image != 255).mean() > 0.05, "something is drawn"
    assert picture.frame_image(env.world, env.frames).shape == (540, 960, 3)


def test_equal_moments_give_equal_pixels_and_others_do_not(env: EagleEnv) -> None:
    def drawn(count: int, **options: object) -> np.ndarray:
        return picture.frame_image(env.world, env.frames[:count], size=SMALL, **options)  # type: ignore[arg-type]

    assert (drawn(2) == drawn(2)).all()
    assert (drawn(1) != drawn(2)).any(), "a step is seen"
    assert (drawn(2, progress=0.3) != drawn(2)).any(), "a move on the map is seen"
    assert (drawn(1, edit=env.frames[1].edit) != drawn(1)).any(), "the chosen edit is seen"


def test_the_map_stays_while_an_episode_runs(env: EagleEnv) -> None:
    first, again = (picture.map_view(env.world, env.frames[:1]) for _ in range(2))
    np.testing.assert_array_equal(first.axes, again.axes)
    np.testing.assert_equal(first.utility, again.utility)
    assert first.utility is not None
    assert first.utility.shape == (picture.GRID, picture.GRID)


def test_the_map_shows_the_price_of_drift() -> None:
    env = EagleEnv.from_world(make_tiny_world(drift_penalty=1e3))
    env.reset(seed=0)
    view = picture.map_view(env.world, env.frames)
    assert view.utility is not None
    row, column = np.unravel_index(view.utility.argmax(), view.utility.shape)
    best, start = np.array([view.x[column], view.y[row]]), view.axes @ env.state.z
    assert np.abs(best - start).max() <= max(view.x[1] - view.x[0], view.y[1] - view.y[0])


def test_across_the_map_is_the_predicted_rating(env: EagleEnv) -> None:
    view = picture.map_view(env.world, env.frames)
    rated = ContentGap(env.world.space, affinity="absolute")
    for frame in env.frames:
        across = float(frame.state.z @ view.axes[0])
        user, nothing = np.array([frame.state.user]), np.array([-1])
        assert across == pytest.approx(rated(frame.state.z[None], user, nothing).affinity[0])
    np.testing.assert_allclose(view.axes @ view.axes.T, np.eye(2), atol=1e-12)


def test_a_plane_is_found_where_nothing_moves_sideways() -> None:
    taste = np.array([3.0, 0.0, 0.0])
    axes = picture.plane(taste, np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 0.0]]))
    np.testing.assert_allclose(axes @ axes.T, np.eye(2), atol=1e-12)
    np.testing.assert_allclose(picture.plane(taste, np.array([[1.0, 0.0, -2.0]]))[1], [0, 0, 1], atol=1e-12)


def test_changed_words_are_marked() -> None:
    before = ["a", "dark", "film", "on", "a", "train"]
    after = ["a", "dark", "war", "film", "on", "a", "ship"]
    assert picture.changed_words(before, after) == [False, False, True, False, False, False, True]
    assert not any(picture.changed_words(before, before))


@pytest.mark.parametrize("text", ["word " * 400, "x" * 300, "costs $5 and $6", "雨"])
def test_any_text_can_be_drawn(env: EagleEnv, text: str) -> None:
    from dataclasses import replace

    frames = [replace(env.frames[0], state=replace(env.frames[0].state, text=text))]
    assert picture.frame_image(env.world, frames, size=SMALL, edit=text).shape == (270, 480, 3)


def test_no_episode_is_no_picture(env: EagleEnv) -> None:
    with pytest.raises(EpisodeError, match="call reset"):
        picture.frame_image(env.world, [])


def test_what_is_missing_says_how_to_install_it(env: EagleEnv, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "matplotlib.figure", None)
        with pytest.raises(ConfigurationError, match=r"pip install 'eagle_gym\[render\]'"):
            picture.frame_image(env.world, env.frames)
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'eagle_gym\[render\]'"):
        animation.save_gif([(np.zeros((2, 2, 3), np.uint8), 100)], tmp_path / "x.gif")


def test_an_animation_shows_choices_moves_and_texts(env: EagleEnv, tmp_path: Path) -> None:
    images = list(animation.episode_images(env.world, env.frames, SMALL))
    per_step = len(animation.MOVES) + 2
    assert len(images) == per_step * 2
    animation.save_gif(images, tmp_path / "folder/episode.gif")
    with Image.open(tmp_path / "folder/episode.gif") as gif:
        assert gif.size == SMALL
        assert gif.n_frames == len(images)
        assert gif.info["loop"] == 0
