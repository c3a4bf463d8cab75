"""Code models: files, and writing in batches."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from eagle_gym.errors import ConfigurationError, PreparationError
from eagle_gym.language.codes import ByCodes, ByTokens, CodeModel, CodeSettings, load_codes, make_codes, write
from eagle_gym.language.codes.model import FOLDER, SETTINGS, WEIGHTS
from eagle_gym.language.prompts import Prompt


@pytest.fixture(scope="module")
def shipped() -> CodeModel:
    return load_codes()


def prompts(model: CodeModel) -> list[list[int]]:
    asked = [
        Prompt("propose", text="A dark drama. It features dogs."),
        Prompt("propose", text="A funny comedy, set on an island.", profile="Enjoys cats."),
        Prompt("rewrite", text="A funny comedy.", edit="Make it darker."),
    ]
    return [model.format.encode(prompt)[0] for prompt in asked]


def test_the_shipped_codes_are_small_and_are_read(shipped: CodeModel) -> None:
    assert sum(path.stat().st_size for path in (FOLDER / "plain").iterdir()) < 10_000_000
    assert shipped.settings == CodeSettings(codes=16, every=4)
    assert all(torch.isfinite(weight).all() for weight in shipped.trained().values())


def test_the_shipped_policy_writes_edits(shipped: CodeModel) -> None:
    from eagle_gym import plot_english

    (said,) = write(shipped.base, prompts(shipped)[:1], ByCodes(shipped, None), shipped.stop, 40)
    assert said.stopped
    assert plot_english.parse_edit(shipped.format.read(said.tokens[:-1])[0])


def test_a_code_holds(shipped: CodeModel) -> None:
    draws = np.random.default_rng(0).random((3, 40))
    for said in write(shipped.base, prompts(shipped), ByCodes(shipped, draws), shipped.stop, 40):
        for start in range(0, len(said.codes), 4):
            assert len(set(said.codes[start : start + 4])) == 1
        assert said.hidden.shape == (len(said.tokens), shipped.width)


@pytest.mark.parametrize("kind", ["codes", "tokens"])
def test_rows_do_not_depend_on_their_batch(shipped: CodeModel, kind: str) -> None:
    draws = np.random.default_rng(1).random((3, 40))

    def said(rows: list[int]) -> list[list[int]]:
        own = draws[rows]
        chooser = ByCodes(shipped, own) if kind == "codes" else ByTokens(shipped.base, own)
        asked = [prompts(shipped)[row] for row in rows]
        return [one.tokens for one in write(shipped.base, asked, chooser, shipped.stop, 40)]

    together = said([0, 1, 2])
    assert [said([row])[0] for row in range(3)] == together


def test_forced_codes_are_taken(shipped: CodeModel) -> None:
    forced = np.full((1, 40), -1)
    forced[0, 4] = 7
    (said,) = write(shipped.base, prompts(shipped)[:1], ByCodes(shipped, None, forced=forced), shipped.stop, 40)
    assert set(said.codes[4:8]) == {7}


def test_files_are_checked(shipped: CodeModel, tmp_path: Path) -> None:
    shipped.save(tmp_path)
    again = load_codes(tmp_path)
    for name, weight in shipped.trained().items():
        torch.testing.assert_close(again.trained()[name], weight)
    header = json.loads((tmp_path / SETTINGS).read_text())
    (tmp_path / SETTINGS).write_text(json.dumps(header | {"base": "another"}))
    with pytest.raises(PreparationError, match="another base model"):
        load_codes(tmp_path)
    (tmp_path / SETTINGS).write_text(json.dumps(header | {"settings": {**header["settings"], "codes": 5}}))
    with pytest.raises(PreparationError, match="baselines train cola"):
        load_codes(tmp_path)
    (tmp_path / WEIGHTS).write_bytes(b"nothing")
    with pytest.raises(PreparationError, match=r"cannot|can be read"):
        load_codes(tmp_path)
    with pytest.raises(PreparationError, match="holds no code model"):
        load_codes(tmp_path / "absent")
    with pytest.raises(ConfigurationError, match="weights of its own"):
        make_codes(CodeSettings(base="grammar"))
