from __future__ import annotations

import itertools
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoModelForCausalLM

from eagle_gym.errors import LanguageModelError
from eagle_gym.language import decode
from eagle_gym.language.sampling import row_uniforms

STOP = decode.Ending(frozenset({1}))


def lean(folder: Path, dtype: torch.dtype = torch.float32, *, fixed_tiles: bool = False) -> decode.LlamaDecoder:
    from safetensors.torch import load_file

    shape = decode.LlamaShape.from_config(json.loads((folder / "config.json").read_text()))
    state = load_file(folder / "model.safetensors")
    weights = decode.LlamaWeights(shape, state, device=torch.device("cpu"), dtype=dtype)
    return decode.LlamaDecoder(weights, STOP, fixed_tiles=fixed_tiles)


def random_prompts(count: int, seed: int = 0, longest: int = 60) -> list[list[int]]:
    rng = np.random.default_rng(seed)
    return [rng.integers(2, 384, rng.integers(1, longest)).tolist() for _ in range(count)]


@pytest.mark.parametrize("name", ["control_folder", "plain_folder"])
def test_scores_equal_the_forward_pass_of_transformers(name: str, request: pytest.FixtureRequest):
    folder = request.getfixturevalue(name)
    model = AutoModelForCausalLM.from_pretrained(folder)
    prompt, continuations = random_prompts(1)[0], random_prompts(9, seed=1, longest=30)
    expected = []
    for continuation in continuations:
        with torch.inference_mode():
            logits = model(torch.tensor([prompt + continuation])).logits[0, len(prompt) - 1 : -1].double()
        target = torch.tensor(continuation)
        expected.append(float(torch.log_softmax(logits, -1).gather(1, target[:, None]).sum()))
    np.testing.assert_allclose(lean(folder).log_probabilities(prompt, continuations), expected, rtol=1e-5)


@pytest.mark.parametrize("fixed_tiles", [False, True])
@pytest.mark.parametrize("name", ["control_folder", "plain_folder"])
def test_greedy_tokens_equal_those_of_transformers(name: str, fixed_tiles: bool, request: pytest.FixtureRequest):
    folder = request.getfixturevalue(name)
    model = AutoModelForCausalLM.from_pretrained(folder)
    prompts = random_prompts(11)
    found = lean(folder, fixed_tiles=fixed_tiles).generate(prompts, row_uniforms(range(11), 25), temperature=0.0)
    for prompt, generated in zip(prompts, found, strict=True):
        tokens = torch.tensor([prompt])
        whole = model.generate(tokens, attention_mask=torch.ones_like(tokens), max_new_tokens=25, do_sample=False)
        expected = whole[0, len(prompt) :].tolist()
        assert generated.tokens == [token for token in expected if token != 1]
        assert generated.stopped == (1 in expected)


def test_stepwise_logits_equal_the_forward_pass(control_folder: Path):
    """Rows of unlike length, some of which leave on the way, keep reading their own past."""
    decoder = lean(control_folder)
    model = AutoModelForCausalLM.from_pretrained(control_folder)
    prompts = random_prompts(5, seed=3)
    said = random_prompts(5, seed=4, longest=12)
    with torch.inference_mode():
        batch = decode._Batch(decoder.weights, len(prompts), 61)  # it grows
        logits, rows = batch.read_prompts(prompts)[:, 0], list(range(5))
        for index in itertools.count():
            for place, row in enumerate(rows):
                reference = model(torch.tensor([prompts[row] + said[row][:index]])).logits[0, -1]
                torch.testing.assert_close(logits[place], reference, atol=2e-4, rtol=1e-4)
            done = [place for place, row in enumerate(rows) if len(said[row]) == index]
            moves = decode._closing_moves(done, len(rows))
            batch.move(*moves)
            for to, source in zip(moves[0], moves[1], strict=True):
                rows[to] = rows[source]
            del rows[moves[2] :]
            if not rows:
                break
            logits = batch.read([[said[row][index]] for row in rows])


def test_logits_of_drafts_equal_the_forward_pass_after_some_are_taken_back(plain_folder: Path):
    """Rows that read and keep unlike numbers of tokens: what they took back is as if it had never been read."""
    decoder = lean(plain_folder)
    model = AutoModelForCausalLM.from_pretrained(plain_folder)
    rng = np.random.default_rng(0)
    said = random_prompts(6, seed=8)
    with torch.inference_mode():
        batch = decode._Batch(decoder.weights, 6, 60)
        batch.read_prompts(said)
        for _ in range(9):
            drafts = [rng.integers(2, 384, rng.integers(1, 6)).tolist() for _ in said]
            logits = iter(batch.read(drafts))
            for text, draft in zip(said, drafts, strict=True):
                reference = model(torch.tensor([text + draft])).logits[0, len(text) :]
                found = torch.stack([next(logits) for _ in draft])
                torch.testing.assert_close(found, reference, atol=2e-4, rtol=1e-4)
            kept = [int(rng.integers(0, len(draft) + 1)) for draft in drafts]
            batch.forget([len(draft) - some for draft, some in zip(drafts, kept, strict=True)])
            said = [text + draft[:some] for text, draft, some in zip(said, drafts, kept, strict=True)]


def counted_reads(monkeypatch: pytest.MonkeyPatch) -> list[list[int]]:
    """How many tokens each row reads, pass by pass."""
    read, counts = decode._Batch.read, []

    def spy(self: decode._Batch, texts: list[list[int]]) -> torch.Tensor:
        counts.append([len(text) for text in texts])
        return read(self, texts)

    monkeypatch.setattr(decode._Batch, "read", spy)
    return counts


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_a_right_draft_saves_passes_and_changes_no_text(
    temperature: float, plain_folder: Path, monkeypatch: pytest.MonkeyPatch
):
    decoder = lean(plain_folder)
    prompts, draws = random_prompts(30, seed=9), row_uniforms(range(30), 40)
    counts = counted_reads(monkeypatch)
    plain = decoder.generate(prompts, draws, temperature=temperature)
    one_by_one = len(counts)
    assert all(count == 1 for each in counts for count in each)
    counts.clear()
    whole = [row.tokens + [1] * row.stopped for row in plain]
    assert decoder.generate(prompts, draws, temperature=temperature, sources=whole) == plain
    assert len(counts) < one_by_one / 2
    for row in (0, 7):  # alone as in company
        alone = decoder.generate(
            prompts[row : row + 1], draws[row : row + 1], temperature=temperature, sources=whole[row : row + 1]
        )
        assert alone == plain[row : row + 1]


def test_a_wrong_draft_changes_no_text(plain_folder: Path, monkeypatch: pytest.MonkeyPatch):
    """Sources that agree here and there, at their ends too, and one that is empty."""
    decoder = lean(plain_folder)
    prompts, draws = random_prompts(20, seed=10), row_uniforms(range(20), 30)
    plain = decoder.generate(prompts, draws, temperature=1.0)
    rng = np.random.default_rng(1)
    sources = [[token if rng.random() < 0.7 else 5 for token in row.tokens * 2] for row in plain]
    sources[3] = []
    counts = counted_reads(monkeypatch)
    assert decoder.generate(prompts, draws, temperature=1.0, sources=sources) == plain
    assert max(map(max, counts)) > 2


def test_a_draft_ends_with_the_draws(plain_folder: Path):
    decoder = lean(plain_folder)
    prompts, draws = random_prompts(4, seed=11), row_uniforms(range(4), 9)
    plain = decoder.generate(prompts, draws, temperature=1.0)
    assert decoder.generate(prompts, draws, temperature=1.0, sources=[row.tokens + [7] * 9 for row in plain]) == plain


def test_a_shared_beginning_changes_no_text(plain_folder: Path):
    """Two states with many edits each, others with few, rows interleaved: as if each prompt had been read alone."""
    decoder = lean(plain_folder)
    states, edits = random_prompts(12, seed=5), random_prompts(100, seed=6, longest=9)
    owners = [2 + row % 10 if row % 5 == 0 else row % 2 for row in range(100)]
    prompts = [states[owner] + edit for owner, edit in zip(owners, edits, strict=True)]
    shareable = [len(states[owner]) for owner in owners]
    assert sorted(len(rows) for rows, _ in decoder._sharing(prompts, shareable)) == [20, 40, 40]
    draws = row_uniforms(range(100), 20)
    shared = decoder.generate(prompts, draws, temperature=1.0, shareable=shareable)
    assert shared == decoder.generate(prompts, draws, temperature=1.0)
    sources = [[*row.tokens, 1] for row in shared]
    drafted = decoder.generate(prompts, draws, temperature=1.0, shareable=shareable, sources=sources)
    assert drafted == shared
    few = [row for row in range(100) if owners[row] == 1][:3]
    asked = [prompts[row] for row in few]
    assert decoder._sharing(asked, [len(states[1])] * 3) == [([0, 1, 2], len(states[1]))]
    alone = decoder.generate(asked, draws[few], temperature=1.0, shareable=[len(states[1])] * 3)
    assert alone == [shared[row] for row in few]


def test_memory_is_lent_again_and_changes_no_text(plain_folder: Path, monkeypatch: pytest.MonkeyPatch):
    """Batches of unlike sizes, some of which grow, one after another and at once."""
    calls = [(random_prompts(rows, seed=rows, longest=60), row_uniforms(range(rows), 130)) for rows in (9, 3, 20, 9, 5)]
    monkeypatch.setattr(decode, "LENT", range(0))
    fresh = lean(plain_folder)
    expected = [fresh.generate(*call, temperature=1.0) for call in calls]
    assert fresh.weights._spare == []
    monkeypatch.setattr(decode, "LENT", range(1, 2**26))
    monkeypatch.setattr(decode, "LENT_STEP", 1)
    decoder = lean(plain_folder)
    assert [decoder.generate(*call, temperature=1.0) for call in calls] == expected
    (memory,) = {each.data_ptr() for each in decoder.weights._spare[-1:]}
    decoder.generate(*calls[1], temperature=1.0)
    assert memory in {each.data_ptr() for each in decoder.weights._spare}
    assert len(decoder.weights._spare) <= 2  # the caches that grow, and what they grow into
    with ThreadPoolExecutor(2) as threads:
        found = threads.map(lambda call: decoder.generate(*call, temperature=1.0), calls * 3)
    assert list(found) == expected * 3
    assert len(decoder.weights._spare) <= 4


def test_memory_is_made_in_steps_so_that_a_little_more_fits_it_too(plain_folder: Path):
    weights = lean(plain_folder).weights
    least, most = decode.LENT[0], decode.LENT[-1]
    for asked, more in ((least + 1, least + 1000), (most - 1000, most)):
        memory = weights.lend(asked)
        assert memory.numel() % decode.LENT_STEP == 0
        weights.take_back(memory)
        assert weights.lend(more).data_ptr() == memory.data_ptr()


def test_passes_of_unlike_drafts_have_few_shapes(plain_folder: Path, monkeypatch: pytest.MonkeyPatch):
    """A kernel is built for each number of rows that a product sees."""
    decoder = lean(plain_folder)
    finish, rows = decode.LlamaWeights.finish, set()

    def spy(self: decode.LlamaWeights, layer: decode._Layer, hidden: torch.Tensor, mixed: torch.Tensor):
        rows.add(len(hidden))
        return finish(self, layer, hidden, mixed)

    monkeypatch.setattr(decode.LlamaWeights, "finish", spy)
    prompts, draws = random_prompts(40, seed=12), row_uniforms(range(40), 30)
    sources = [row.tokens for row in decoder.generate(prompts, draws, temperature=1.0)]
    decoder.generate(prompts, draws, temperature=1.0, sources=sources)
    assert all(count <= decode.ALIKE or count % decode.ALIKE == 0 for count in rows)
    assert any(count > decode.ALIKE for count in rows)


def test_bfloat16_is_near_float32(control_folder: Path):
    prompt, continuations = random_prompts(1)[0], random_prompts(4, seed=1, longest=30)
    exact = lean(control_folder).log_probabilities(prompt, continuations)
    rough = lean(control_folder, torch.bfloat16).log_probabilities(prompt, continuations)
    np.testing.assert_allclose(rough, exact, rtol=0.02)


@settings(max_examples=60, derandomize=True)
@given(st.integers(1, 40), st.data())
def test_closing_moves_keep_exactly_the_rows_that_go_on(count: int, data: st.DataObject):
    done = sorted(data.draw(st.sets(st.integers(0, count - 1))))
    place, last, remaining = decode._closing_moves(done, count)
    rows = list(range(count))
    for to, source in zip(place, last, strict=True):
        rows[to] = source
    assert sorted(rows[:remaining]) == [row for row in range(count) if row not in done]


@settings(max_examples=60, derandomize=True)
@given(st.lists(st.integers(1, 90), min_size=1, max_size=150), st.booleans())
def test_plans_cover_every_row_and_fit_it(lengths: list[int], fixed_tiles: bool):
    prompts = [[0] * length for length in lengths]
    plan = decode.plan_batches(prompts, fixed_tiles=fixed_tiles)
    assert {row for rows, _ in plan for row in rows} == set(range(len(lengths)))
    assert all(lengths[row] <= length for rows, length in plan for row in rows)
    if fixed_tiles:
        assert all(len(rows) == decode.TILE and length == decode._padded(lengths[rows[0]]) for rows, length in plan)


def test_a_fixed_tile_has_the_same_shapes_whatever_its_rows(plain_folder: Path, monkeypatch: pytest.MonkeyPatch):
    """Equal numbers could be luck on this machine: the operations themselves are the same."""
    decoder = lean(plain_folder, fixed_tiles=True)
    attend, seen = decode._attend, []

    def spy(query, keys, values, bias):
        shapes = [(each.shape, each.stride()) for each in (query, keys, values)]
        seen.append((shapes, None if bias is None else bias.shape))
        return attend(query, keys, values, bias)

    monkeypatch.setattr(decode, "_attend", spy)
    prompts = [prompt[:10] for prompt in random_prompts(8, seed=7)] + [[5] * 15]
    draws = row_uniforms(range(9), 12)
    decoder.generate(prompts[:8], draws[:8], temperature=1.0)
    together = [*seen]
    seen.clear()
    decoder.generate(prompts[-1:], draws[-1:], temperature=1.0)
    shorter = min(len(seen), len(together))
    assert shorter > 10
    assert seen[:shorter] == together[:shorter]
    seen.clear()
    decoder.log_probabilities(prompts[0], [prompt[:3] for prompt in prompts])
    together = [*seen]
    seen.clear()
    decoder.log_probabilities(prompts[0], [prompts[1][:1]])
    assert seen == together[: len(seen)]


def test_sampled_tokens_follow_the_distribution():
    logits = torch.tensor([[0.0, 1.0, -torch.inf, 2.0]])
    draws = (torch.arange(20_000, dtype=torch.float64) + 0.5) / 20_000
    tokens = decode.sample_tokens(logits.expand(20_000, -1), draws, 0.7)
    expected = torch.softmax(logits[0] / 0.7, -1)
    frequencies = torch.bincount(tokens, minlength=4) / 20_000
    torch.testing.assert_close(frequencies, expected, atol=2e-4, rtol=0)


def test_the_ends_of_the_unit_interval_take_likely_tokens():
    logits = torch.tensor([[-torch.inf, 0.0, 3.0, -torch.inf]]).expand(2, -1)
    draws = torch.tensor([0.0, np.nextafter(1.0, 0.0)], dtype=torch.float64)
    assert decode.sample_tokens(logits, draws, 1.0).tolist() == [1, 2]


@pytest.mark.parametrize("temperature", [0.6, 1.0])
def test_many_rows_are_drawn_by_blocks_as_few_rows_are_token_by_token(temperature: float):
    rng = np.random.default_rng(0)
    logits = torch.from_numpy(rng.normal(size=(512, 4 * decode.BLOCK)) * 4).float()
    logits[:256, rng.random(4 * decode.BLOCK) < 0.5] = -torch.inf
    draws = torch.from_numpy(rng.random(512))
    together = decode.sample_tokens(logits, draws, temperature)
    few = decode.BLOCKED_ROWS // 2
    alone = [
        decode.sample_tokens(logits[at : at + few], draws[at : at + few], temperature) for at in range(0, 512, few)
    ]
    torch.testing.assert_close(together, torch.cat(alone), rtol=0, atol=0)


def test_the_ends_of_blocks_take_likely_tokens():
    ends = [3, decode.BLOCK - 1, decode.BLOCK, 2 * decode.BLOCK + 5]
    logits = torch.full((decode.BLOCKED_ROWS, 3 * decode.BLOCK), -torch.inf)
    logits[:, ends] = 0.0
    draws = torch.linspace(0, 1, decode.BLOCKED_ROWS + 1, dtype=torch.float64)[:-1]
    draws[-1] = np.nextafter(1.0, 0.0)
    expected = [ends[int(draw * 4)] for draw in draws]
    assert decode.sample_tokens(logits, draws, 1.0).tolist() == expected


@pytest.mark.parametrize("temperature", [0.0, 1.0])
@pytest.mark.parametrize("rows", [1, 64])
def test_logits_that_are_no_numbers_are_an_error(temperature: float, rows: int):
    logits = torch.zeros(rows, 2 * decode.BLOCK)
    logits[-1, 5] = torch.nan
    with pytest.raises(LanguageModelError, match=f"1 of {rows} tokens"):
        decode.sample_tokens(logits, torch.zeros(rows).double(), temperature)


def test_scores_that_are_no_numbers_are_an_error(control_folder: Path):
    decoder = lean(control_folder)
    decoder.weights.embedding.fill_(torch.nan)
    with pytest.raises(LanguageModelError, match="NaN"):
        decoder.log_probabilities([5, 6], [[7, 8], [9]])
    assert decoder.weights._spare == []  # memory with such numbers is not used again


def test_temperature_zero_takes_the_first_of_the_likeliest():
    assert decode.sample_tokens(torch.tensor([[1.0, 4.0, 4.0]]), torch.zeros(1).double(), 0.0).tolist() == [1]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"architectures": ["GPT2LMHeadModel"]}, "GPT2LMHeadModel"),
        ({"hidden_act": "gelu"}, "hidden_act 'gelu'"),
        ({"attention_bias": True}, "attention_bias"),
        ({"rope_parameters": {"rope_type": "llama3"}}, "rope_type 'llama3'"),
        ({"rope_scaling": {"type": "linear", "factor": 4.0}}, "rope_type 'linear'"),
        ({"quantization_config": {"bits": 4}}, "quantization_config"),
    ],
)
def test_unsupported_configs_say_why(change: dict, reason: str):
    base = {"architectures": ["LlamaForCausalLM"], "hidden_act": "silu"}
    assert decode.unsupported(base) is None
    assert reason in str(decode.unsupported({**base, **change}))


def test_line_breaks_end_a_text_only_after_content():
    ending = decode.Ending(frozenset({1}), breaks=frozenset({5}), blank=frozenset({4, 5}))
    assert not ending.ends([4, 5], 5)
    assert ending.ends([4, 9], 5)
    assert ending.ends([], 1)
