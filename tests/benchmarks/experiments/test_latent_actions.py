"""The experiment on latent actions runs, its numbers are right on known cases, and a stopped run goes on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.__main__ import main
from benchmarks.experiments.latent_actions import SIZES, measures
from benchmarks.experiments.latent_actions.page import write_page
from benchmarks.experiments.latent_actions.pieces import plan
from benchmarks.running.files import REFERENCE, read_json, write_json
from benchmarks.running.pieces import left
from eagle_gym.errors import PreparationError


def test_information_of_codes_by_hand() -> None:
    tokens = np.array([0, 1, 2, 3] * 50)
    assert measures.plain_information(tokens, tokens) == pytest.approx(2.0)
    assert measures.plain_information(tokens // 2, tokens) == pytest.approx(1.0)
    chance = [np.random.default_rng(seed).integers(16, size=len(tokens)) for seed in range(10)]
    assert np.mean([measures.plain_information(codes, tokens) for codes in chance]) > 0.1  # few samples inflate it
    assert abs(np.mean([measures.corrected_information(codes, tokens) for codes in chance])) < 0.05
    assert measures.entropy(np.array([2, 2, 0])) == pytest.approx(np.log(2))
    assert measures.uncertainty(torch.zeros(3, 4)).numpy() == pytest.approx(np.log(4))


def made_piece(folder: Path, kind: str, seed: int, found: dict[str, object]) -> None:
    content = {"kind": kind, "seed": seed, "codes": 16, "found": found, "cpu_seconds": 2.0}
    (folder / "pieces").mkdir(exist_ok=True)
    write_json(content, folder / "pieces" / f"{kind}-16-{seed}.json")


def test_the_page_says_what_is_done(tmp_path: Path) -> None:
    with pytest.raises(PreparationError, match="no finished pieces"):
        write_page(tmp_path, SIZES["small"])
    for seed in (0, 1):
        rows = {"users": ["a", "b"], "judge": [0.0, 0.0], "parses": [1.0, 1.0], "followed": [1.0, 0.0]}
        made_piece(
            tmp_path, "search", seed,
            {"search": {**rows, "gain": [2.0, 4.0]}, "samples": {**rows, "gain": [1.0, 3.0]}},
        )  # fmt: skip
    page = write_page(tmp_path, SIZES["small"])
    assert "2 training seeds" in page
    zero = "0.00 [0.00, 0.00]"
    line = f"On the same states, search minus samples: gain 1.00 [1.00, 1.00], judge {zero}, edit followed {zero}."
    assert line in page
    assert "## Diversity and quality\n\nNot run." in page
    assert read_json(tmp_path / "latent_actions.json")["search"]["gain, search minus samples"] == "1.00 [1.00, 1.00]"


def test_codes_and_tokens_are_paired_before_and_after(tmp_path: Path) -> None:
    def rows(gain: float, followed: float = 1.0) -> dict[str, object]:
        return {
            "users": ["a", "b"],
            "gain": [gain, gain + 1],
            "judge": [0.0, 0.0],
            "parses": [1.0, 1.0],
            "followed": [followed] * 2,
        }

    for seed in (0, 1):
        start = {"codes_before": rows(1.0), "tokens_before": rows(3.0)}
        made_piece(tmp_path, "tested", seed, {**start, "codes_after": rows(2.0), "tokens_after": rows(3.5, 0.5)})
    made_piece(tmp_path, "tested_long", 0, {"long_codes": rows(4.0), "long_tokens": rows(3.0)})
    write_page(tmp_path, SIZES["small"])
    numbers = read_json(tmp_path / "latent_actions.json")["tested"]
    assert numbers["gain, codes minus tokens, before"] == "-2.00 [-2.00, -2.00]"
    assert numbers["gain, codes minus tokens, after"] == "-1.50 [-1.50, -1.50]"
    assert numbers["gain, change of codes minus change of tokens"] == "0.50 [0.50, 0.50]"
    assert numbers["edit followed, change of codes minus change of tokens"] == "0.50 [0.50, 0.50]"
    long = numbers["gain, change of codes minus change of tokens, in the long GRPO"]
    assert long == "3.00 [3.00, 3.00]", "only the seed with a long run counts"


def test_diversity_is_paired_by_text(tmp_path: Path) -> None:
    def rows(similarity: list[float]) -> dict[str, list[float]]:
        return {"similarity": similarity, "distinct": [0.5] * 2, "parses": [1.0] * 2, "followed": [1.0] * 2}

    found = {"codes": rows([0.5, 0.75]), "uniform_codes": rows([0.75, 1.0]), "tokens": rows([0.25, 0.5])}
    made_piece(tmp_path, "diversity", 0, dict(found))
    page = write_page(tmp_path, SIZES["small"])
    assert "codes of the policy minus tokens: similarity 0.25 [0.25, 0.25], distinct 0.00 [0.00, 0.00]" in page
    assert "uniform codes minus codes of the policy: similarity 0.25 [0.25, 0.25]" in page


def test_seconds_of_codes_include_stages_1_and_2(tmp_path: Path) -> None:
    curve = [{"rl/return": 1.0, "rl/kl": 0.0, "rl/passes": 100.0}] * 4
    made_piece(tmp_path, "codes", 0, {})
    made_piece(tmp_path, "codes", 100, {})
    for kind in ("rl_codes", "rl_tokens"):
        made_piece(tmp_path, kind, 0, {"curve": curve})
    write_page(tmp_path, SIZES["small"])
    seconds = {name: row["seconds"] for name, row in read_json(tmp_path / "latent_actions.json")["computing"].items()}
    assert seconds["codes, stages 1 and 2"] == "2.00 (2.00 to 2.00)"
    assert seconds["codes, 3 to 3"] == "3.50 (3.50 to 3.50)"
    assert seconds["tokens, 3 to 3"] == "1.50 (1.50 to 1.50)"


def test_how_sure_a_token_is_stands_next_to_what_it_costs(tmp_path: Path) -> None:
    sure = {
        "base_entropy": [0.25] * 2,
        "policy_entropy": [0.125] * 2,
        "base_right": [1.0] * 2,
        "policy_right": [0.5] * 2,
    }
    nats = {"base": [0.25] * 2, "inferred": [0.125] * 2, "policy": [0.5] * 2}
    single = {"accuracy": 0.5, "perplexity": 8.0, "information": 1.0, "tokens": 7.0}
    made_piece(tmp_path, "information", 0, {**nats, **sure, **single})
    write_page(tmp_path, SIZES["small"])
    numbers = read_json(tmp_path / "latent_actions.json")["information"]["16"]
    assert (numbers["policy"], numbers["policy_entropy"]) == ("0.500 [0.500, 0.500]", "0.125 [0.125, 0.125]")


def test_the_trial_with_the_largest_gain_is_chosen(tmp_path: Path) -> None:
    def trial(gains: list[float], kl: float) -> dict[str, object]:
        return {
            "users": ["a", "b"],
            "gain": gains,
            "followed": [1.0, 0.0],
            "curve": [{"rl/kl": 9.0}, *[{"rl/kl": kl}] * 3],
        }

    made_piece(tmp_path, "codes", 100, {})
    made_piece(tmp_path, "trial_codes", 100, {"0.001": trial([1.0, 2.0], 0.5), "0.003": trial([1.0, 3.0], 4.0)})
    made_piece(tmp_path, "trial_tokens", 100, {"0.001": trial([1.0, 2.0], 0.5), "0.003": trial([0.0, 0.0], 60.0)})
    made_piece(tmp_path, "codes", 0, {})
    page = write_page(tmp_path, SIZES["small"])
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in page.splitlines() if "chosen |" in line]
    assert [(row[0], row[1], row[4]) for row in rows] == [("codes", "0.003", "4.00"), ("tokens", "0.001", "0.50")]
    assert "1 training seed." in page, "the seed of the trials is in no other table"


def test_the_chosen_step_sizes_are_those_of_the_committed_trials() -> None:
    chosen = read_json(REFERENCE / "latent_actions" / "latent_actions.json")["trials"]
    assert float(chosen["codes"]) == SIZES["small"]["codes_rate"]
    assert float(chosen["tokens"]) == SIZES["small"]["tokens_rate"]


def test_a_stopped_run_goes_on(tmp_path: Path) -> None:
    size = SIZES["small"]
    names = list(left(plan(tmp_path, size)))
    assert len(names) == len(plan(tmp_path, size)) == size["seeds"] * 19 + 3
    made_piece(tmp_path, "diversity", 1, {})
    assert set(names) - set(left(plan(tmp_path, size))) == {"diversity-16-1"}


@pytest.mark.slow
def test_smoke(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "latent_actions", "--size", "smoke", "--out", str(tmp_path)]) == 0
    page = (tmp_path / "REPORT.md").read_text()
    assert page in capsys.readouterr().out
    assert "Not run." not in page
    assert len(list((tmp_path / "pieces").iterdir())) == 18
    assert left(plan(tmp_path, SIZES["smoke"])) == {}
