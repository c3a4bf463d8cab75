"""How far two environments lie apart."""

from __future__ import annotations

import pytest

from benchmarks.transfer import describe, measure, total_variation
from eagle_gym.envs.opening import make_world


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [("aab", "abb", 1 / 3), ("ab", "ba", 0.0), ("aa", "bc", 1.0), ("aaab", "a", 1 / 4), ("abcd", "abee", 1 / 2)],
)
def test_known_variations(one: str, other: str, expected: float) -> None:
    assert total_variation(list(one), list(other)) == pytest.approx(expected)
    assert total_variation(list(other), list(one)) == pytest.approx(expected)


def test_an_environment_is_no_further_from_itself_than_sampling_says() -> None:
    world = make_world(split="test", pool=20, actions=4, dim=8)
    found = measure(world, world, cases=6, samples=6, seed=0)
    assert found.attributes.low <= found.sampling.estimate <= found.attributes.high
    assert found.shift.estimate < found.move.estimate
    assert "over 6 start texts" in describe(found)
    again = measure(world, world, cases=6, samples=6, seed=0)
    assert again == found
