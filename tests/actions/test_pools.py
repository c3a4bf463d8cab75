"""Pools that are made once for each item: kept, resumed, shared, and refused where they belong to something else."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from eagle_gym.actions.pools import TOGETHER, ItemPools
from eagle_gym.actions.proposals import ModelCandidates
from eagle_gym.errors import LanguageModelError, PreparationError
from tests.actions.test_proposals import Lister

ITEMS = tuple(f"A film about {number} dogs." for number in range(40))


def opened(
    path: Path, model: Lister, *, texts: Sequence[str] = ITEMS, size: int = 24, prepare: str = "auto"
) -> ItemPools:
    candidates = ModelCandidates(model, language="free", personalised=0.0)
    return ItemPools(path, texts, candidates, size, prepare=prepare)


def test_an_item_is_asked_about_once(tmp_path: Path) -> None:
    path, first = tmp_path / "deep" / "pools.jsonl", Lister()
    made = opened(path, first).propose(ITEMS[:3] + ITEMS[:1], ["Likes dogs."] * 4, 24, [0, 1, 2, 3])
    assert made[0] == made[3]
    assert len({*made[0]}) == 24
    assert not any(prompt.profile for prompt in first.asked), "a pool knows no user"
    again = Lister()
    assert opened(path, again).propose(ITEMS[:3], [""] * 3, 24, [7, 8, 9]) == made[:3]
    assert not again.asked


def test_a_text_that_is_no_items_is_asked_about_every_time(tmp_path: Path) -> None:
    model = Lister()
    pools = opened(tmp_path / "pools.jsonl", model)
    (mine,) = pools.propose(["A text of my own."], ["Likes dogs."], 24, [0])
    assert mine == model_pool("A text of my own.", 0)
    assert not (tmp_path / "pools.jsonl").exists()


def model_pool(text: str, seed: int) -> list[str]:
    return ModelCandidates(Lister(), language="free", personalised=0.0).propose([text], [""], 24, [seed])[0]


def test_fewer_edits_are_drawn_from_the_pool(tmp_path: Path) -> None:
    pools = opened(tmp_path / "pools.jsonl", Lister())
    (whole,) = pools.propose(ITEMS[:1], [""], 24, [0])
    some, other = (pools.propose(ITEMS[:1], [""], 5, [seed])[0] for seed in (0, 1))
    assert some == [edit for edit in whole if edit in some]
    assert len(some) == len(other) == 5
    assert some != other


def test_making_resumes_where_it_was_killed(tmp_path: Path) -> None:
    path = tmp_path / "pools.jsonl"

    class Mortal(Lister):
        def generate(self, prompts, seeds, *, temperature=1.0):
            if prompts[0].text in ITEMS[2 * TOGETHER :]:
                raise LanguageModelError("out of budget")
            return super().generate(prompts, seeds, temperature=temperature)

    with pytest.raises(LanguageModelError):
        opened(path, Mortal()).make(ITEMS)
    with path.open("ab") as file:
        file.write(b'{"item":"half a li')
    later = Lister()
    assert opened(path, later).make(ITEMS) == len(ITEMS) - 2 * TOGETHER
    assert {prompt.text for prompt in later.asked} == {*ITEMS[2 * TOGETHER :]}
    whole = opened(tmp_path / "whole.jsonl", Lister())
    whole.make(ITEMS)
    assert opened(path, Lister()).propose(ITEMS, [""] * 40, 24, range(40)) == whole.propose(
        ITEMS, [""] * 40, 24, range(40)
    )


def test_processes_share_a_file_and_the_first_answer_counts(tmp_path: Path) -> None:
    path = tmp_path / "pools.jsonl"
    one, other = opened(path, Lister()), opened(path, Lister())
    (kept,) = one.propose(ITEMS[:1], [""], 24, [0])
    assert other.propose(ITEMS[:1], [""], 24, [0]) == [kept]
    assert not other.candidates.model.asked
    assert len(path.read_text().splitlines()) == 2


def test_a_pool_that_may_not_be_made_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(PreparationError, match=r"to hold the pools of all items, got none for .* eagle_gym prepare"):
        opened(tmp_path / "pools.jsonl", Lister(), prepare="never").propose(ITEMS[:1], [""], 24, [0])


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"texts": ITEMS[1:]}, "were made for other items' texts"),
        ({"size": 25}, r"have another number of edits \(pool=\), expected 25, got 24"),
        ({"fingerprint": "other"}, "were made by another language model, or with other prompts"),
    ],
)
def test_stale_pools_name_the_cure(tmp_path: Path, changed: dict, message: str) -> None:
    path = tmp_path / "pools.jsonl"
    opened(path, Lister()).make(ITEMS[:1])
    model = Lister()
    model.fingerprint = changed.pop("fingerprint", model.fingerprint)
    with pytest.raises(PreparationError, match=f"{message}.*name another file, or delete this one and make it with"):
        opened(path, model, **changed)


@pytest.mark.parametrize("line", ["{}", "[1]", '{"item": "a", "edits": "b"}', "nonsense", '{"item": 1, "edits": []}'])
def test_broken_lines_are_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "pools.jsonl"
    opened(path, Lister()).make(ITEMS[:1])
    with path.open("a") as file:
        file.write(line + "\n")
    with pytest.raises(PreparationError, match="line 3: expected a pool of edits"):
        opened(path, Lister())


def test_another_file_is_no_file_of_pools(tmp_path: Path) -> None:
    path = tmp_path / "items.csv"
    path.write_text("item,text\n")
    with pytest.raises(PreparationError, match="line 1: expected a pool of edits"):
        opened(path, Lister())
    path.write_text(json.dumps({"format": "eagle_gym recording 5"}) + "\n")
    with pytest.raises(PreparationError, match="no file of pools, or one of another version"):
        opened(path, Lister())
