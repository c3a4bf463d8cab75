"""The experiment on codes as actions runs, its page says what is done, and known gains are predicted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.__main__ import main
from benchmarks.experiments.code_actions import SIZES
from benchmarks.experiments.code_actions.fitting import Tried, fitted, flat_net, scored
from benchmarks.experiments.code_actions.page import write_page
from benchmarks.experiments.code_actions.pieces import WORK, plan
from benchmarks.running.files import read_json, write_json
from benchmarks.running.pieces import left
from eagle_gym.errors import PreparationError


def test_predictions_by_hand() -> None:
    gains = np.array([[1.0, 3.0], [5.0, 5.0]])
    found = scored(["a", "b"], gains, np.array([[0.0, 1.0], [2.0, 2.0]]))
    assert found["chosen"] == [3.0, 5.0]
    assert (found["mean"], found["best"]) == ([2.0, 5.0], [3.0, 5.0])
    assert found["explained"] == pytest.approx(1 - 0.5 / 2.0)  # of 1 within, 0.5 is left in each of two places


def test_what_is_seen_is_predicted_and_what_is_not_is_not() -> None:
    rng = np.random.default_rng(0)
    gains = rng.normal(size=(200, 3))
    users = [str(row) for row in range(200)]
    telling = Tried(users, {"state": gains.astype(np.float32)}, gains, [])
    silent = Tried(users, {"state": rng.normal(size=(200, 3)).astype(np.float32)}, gains, [])
    assert fitted(telling, flat_net(telling))["explained"] > 0.5
    assert fitted(silent, flat_net(silent))["explained"] < 0.1


def made_piece(folder: Path, kind: str, seed: int, found: dict[str, object]) -> None:
    (folder / "pieces").mkdir(exist_ok=True)
    write_json({"kind": kind, "seed": seed, "found": found}, folder / "pieces" / f"{kind}-{seed}.json")


def test_the_page_pairs_methods_by_seed(tmp_path: Path) -> None:
    with pytest.raises(PreparationError, match="no finished pieces"):
        write_page(tmp_path, SIZES["small"])
    usual = {"users": ["a", "b"], "judge": [0.0, 0.0], "parses": [1.0, 1.0]}
    spent = {"rewrites": 5, "generations": 80, "tokens": 900, "seconds": 2.0}
    for seed in (0, 1):
        ppo = {**usual, "gain": [2.0, 4.0], **spent}
        made_piece(tmp_path, "words", seed, {"ppo": ppo})
        made_piece(tmp_path, "untrained", seed, {"uniform": {**usual, "gain": [1.0, 3.0]}})
    made_piece(tmp_path, "edits", 1, {"ppo": {**usual, "gain": [4.0, 6.0], **spent}})
    page = write_page(tmp_path, SIZES["small"])
    assert "2 training seeds" in page
    assert "minus uniform codes: 1.00 [1.00, 1.00]." in page
    assert "Gain, PPO on codes, shown words, minus PPO on K edits: -2.00 [-2.00, -2.00]." in page
    assert "## What a choice can change in one rewrite\n\nNot run." in page
    numbers = read_json(tmp_path / "code_actions.json")["What the trainings used"]
    assert numbers["PPO on K edits"]["generations"] == "80.00 (80.00 to 80.00)"


def test_a_stopped_run_goes_on(tmp_path: Path) -> None:
    names = list(left(plan(tmp_path, SIZES["small"])))
    assert len(names) == SIZES["small"]["seeds"] * len(WORK)
    made_piece(tmp_path, "reach", 1, {})
    assert set(names) - set(left(plan(tmp_path, SIZES["small"]))) == {"reach-1"}


@pytest.mark.slow
def test_smoke(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "code_actions", "--size", "smoke", "--out", str(tmp_path)]) == 0
    page = (tmp_path / "REPORT.md").read_text()
    assert page in capsys.readouterr().out
    assert "Not run." not in page
    assert left(plan(tmp_path, SIZES["smoke"])) == {}
