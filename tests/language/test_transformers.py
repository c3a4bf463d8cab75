from __future__ import annotations

import gc
import json
import os
import shutil
import subprocess
import sys
import weakref
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken
from transformers import (
    CLIPVisionConfig,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    PreTrainedTokenizerFast,
)

from eagle_gym.envs.eagle import EagleEnv
from eagle_gym.errors import ConfigurationError, LanguageModelError, PreparationError
from eagle_gym.language import LocalLanguageModel, Prompt, load_language_model
from eagle_gym.language import transformers as backend
from eagle_gym.language.prompts import control_text
from tests.fake_worlds import make_tiny_world
from tests.language.non_answers import ECHOES, NON_ANSWERS, PROMPT_EDIT, PROMPT_TEXT
from tests.language.tiny import CHAT_TEMPLATE, WORDS, edit_config, write_parrot, write_sayings, write_tokenizer

EDITS = ["make it darker", "add a robot", "set it in Paris and give it a twist ending"]


def prompts(count: int) -> list[Prompt]:
    return [Prompt("rewrite", WORDS[row % 4] * (1 + row % 2), EDITS[row % 3]) for row in range(count)]


def open_tiny(folder: Path, **kwargs: object) -> backend.TransformersModel:
    model = load_language_model(f"transformers:{folder}", **kwargs)
    assert isinstance(model, backend.TransformersModel)
    assert isinstance(model, LocalLanguageModel)
    return model


def texts(model: backend.TransformersModel, rows: list[int], **kwargs: object) -> list[str]:
    asked = prompts(100)
    completions = model.generate([asked[row] for row in rows], [1000 + row for row in rows], **kwargs)
    return [completion.text for completion in completions]


def test_completions_count_their_tokens_and_usage_adds_them_up(control_folder: Path):
    model = open_tiny(control_folder)
    completions = model.generate(prompts(7), range(7))
    assert all(completion.text and completion.finish_reason == "stop" for completion in completions)
    usage = model.usage.snapshot()
    assert usage.calls == 7 + usage.retries
    assert usage.prompt_tokens >= sum(completion.prompt_tokens for completion in completions)
    assert usage.completion_tokens >= sum(completion.completion_tokens for completion in completions)
    assert usage.seconds > 0
    model.generate(prompts(2), range(2))
    assert (model.usage.snapshot() - usage).calls >= 2


def test_equal_seeds_give_equal_texts_and_other_seeds_others(control_folder: Path):
    model = open_tiny(control_folder)
    assert texts(model, [0, 1, 2]) == texts(model, [0, 1, 2])
    first, second = model.generate(prompts(1) * 2, [1, 2])
    assert first.text != second.text


def test_no_prompts_no_completions(control_folder: Path):
    assert open_tiny(control_folder).generate([], []) == []


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_fixed_tiles_give_one_text_per_row_whatever_the_batch(control_folder: Path, dtype: str):
    model = open_tiny(control_folder, batch_invariant=True, dtype=dtype)
    assert model.deterministic
    rows = list(range(20))
    together = texts(model, rows)
    assert [texts(model, [row])[0] for row in rows] == together
    assert texts(model, rows[::-1]) == together[::-1]
    assert texts(model, rows[:9]) == together[:9]


def test_fixed_tiles_compute_the_very_same_numbers(control_folder: Path):
    """Equal texts could be luck; equal scores to the last bit are not."""
    model = open_tiny(control_folder, batch_invariant=True)
    answers = [WORDS[row % 4][: 5 + row] for row in range(30)]
    together = model.score(prompts(1)[0], answers)
    alone = [model.score(prompts(1)[0], [answer])[0] for answer in answers]
    np.testing.assert_array_equal(together, alone)


def test_general_models_have_fixed_tiles_too(chat_folder: Path):
    model = open_tiny(chat_folder, batch_invariant=True)
    answers = [WORDS[row % 4][: 5 + row] for row in range(12)]
    together = model.score(prompts(1)[0], answers)
    alone = [model.score(prompts(1)[0], [answer])[0] for answer in answers]
    np.testing.assert_array_equal(together, alone)


def test_fixed_tiles_agree_across_processes(control_folder: Path):
    program = (
        "import sys\n"
        "from eagle_gym.language import Prompt, load_language_model\n"
        "model = load_language_model(sys.argv[1], batch_invariant=True)\n"
        "asked = [Prompt('rewrite', text, 'add a robot') for text in sys.argv[2:]]\n"
        "sys.stdout.write(repr([answer.text for answer in model.generate(asked, range(len(asked)))]))"
    )
    spec = f"transformers:{control_folder}"
    command = [sys.executable, "-c", program, spec, *WORDS]
    environment = {**os.environ, "PYTHONHASHSEED": "7"}
    there = subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout
    model = load_language_model(spec, batch_invariant=True)
    here = [model.generate([Prompt("rewrite", text, "add a robot")], [row])[0].text for row, text in enumerate(WORDS)]
    assert there == repr(here)


def test_the_lean_loop_and_generate_say_the_same(control_folder: Path):
    model = open_tiny(control_folder)
    hugging_face, _ = model.load()
    other = backend.GenerateDecoder(hugging_face, model.decoder.ending)
    ids = [model.prompt_format.encode(prompt)[0] for prompt in prompts(9)]
    draws = backend.row_uniforms(range(9), 40)
    assert other.generate(ids, draws, temperature=0.8) == model.decoder.generate(ids, draws, temperature=0.8)
    np.testing.assert_allclose(
        other.log_probabilities(ids[0], ids[1:]), model.decoder.log_probabilities(ids[0], ids[1:]), rtol=1e-5
    )


def test_piecewise_tokens_are_those_of_the_whole_string(control_folder: Path):
    model = open_tiny(control_folder)
    _, tokenizer = model.load()
    for prompt in [*prompts(6), Prompt("propose", WORDS[0], profile=WORDS[1]), Prompt("write", "tone: dark")]:
        assert model.prompt_format.encode(prompt)[0] == tokenizer(control_text(prompt))["input_ids"]


def test_control_tokens_in_a_text_are_text(control_folder: Path):
    model = open_tiny(control_folder)
    plain = model.prompt_format.encode(Prompt("propose", "A film.<|end|><|rewrite|>"))[0]
    assert plain.count(model.prompt_format.encode(Prompt("propose", "A"))[0][0]) == 1
    assert not {1, 4} & set(plain)


@settings(max_examples=40, derandomize=True, deadline=None)
@given(text=st.text(st.characters(), min_size=1, max_size=30).filter(str.strip))
def test_any_unicode_is_answered(control_folder: Path, text: str):
    model = open_tiny(control_folder)
    completion = model.generate([Prompt("rewrite", text, text)], [3])[0]
    assert completion.text
    assert np.isfinite(model.score(Prompt("propose", text), [text])).all()


def test_a_prompt_beyond_the_context_is_an_error_with_numbers(control_folder: Path):
    model = open_tiny(control_folder)
    with pytest.raises(LanguageModelError, match=r"\(256 tokens\), got \d+ tokens, \d+ too many: shorten the"):
        model.generate([Prompt("rewrite", "xq" * 400, "shorten it")], [0])
    with pytest.raises(LanguageModelError, match="context"):
        model.score(Prompt("propose", "A film."), ["xq" * 400])


def test_a_text_that_reaches_the_end_of_the_context_is_cut_off_not_wrapped(plain_folder: Path):
    model = open_tiny(plain_folder, max_new_tokens=10_000)
    room = model._room(1020)
    assert room == 4
    completion = model._read(1020, backend.decode.Generated([50] * 9, stopped=True))
    assert (completion.completion_tokens, completion.finish_reason) == (4, "length")


@pytest.fixture(scope="module")
def gpt2_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model whose config calls its 128 positions `n_positions`, and which knows no position beyond them."""
    folder = tmp_path_factory.mktemp("gpt2")
    write_tokenizer(folder, control=False, chat_template=CHAT_TEMPLATE)
    sizes = {"n_embd": 32, "n_layer": 1, "n_head": 2, "n_positions": 128, "vocab_size": 384, "initializer_range": 0.3}
    torch.manual_seed(0)
    GPT2LMHeadModel(GPT2Config(**sizes, bos_token_id=0, eos_token_id=1, pad_token_id=0)).save_pretrained(folder)
    return folder


def test_no_model_is_asked_beyond_its_last_position(gpt2_folder: Path):
    model = open_tiny(gpt2_folder)
    with pytest.raises(LanguageModelError, match=r"the context of .* \(128 tokens\), got 546 tokens, 419 too many"):
        model.generate([Prompt("rewrite", "xq" * 200, "shorten it")], [0])
    asked = [[2 + row % 50] * length for row, length in enumerate((120, 100, 30, 120))]
    draws = backend.row_uniforms(range(4), 512)
    together = model.decoder.generate(asked, draws, temperature=1.0)
    alone = [model.decoder.generate([ids], draws[row : row + 1], temperature=1.0)[0] for row, ids in enumerate(asked)]
    assert together == alone
    assert all(said.stopped or len(said.tokens) == 128 - len(ids) for said, ids in zip(together, asked, strict=True))
    assert any(len(said.tokens) > 8 for said in together), "what is short goes on when what is long has ended"


def test_a_text_cut_off_at_every_attempt_is_an_error(control_folder: Path):
    model = open_tiny(control_folder, max_new_tokens=1)
    with pytest.raises(LanguageModelError, match="cut off at 1 tokens after 3 attempts"):
        model.generate(prompts(4), range(4))
    assert model.usage.retries > 0


@pytest.mark.parametrize(
    ("seeds", "temperature", "message"),
    [
        ([1], 1.0, "2 prompts and 1 seeds"),
        ([1, -1], 1.0, "non-negative"),
        ([1, 2], -0.5, "temperature"),
        ([1, 2], float("nan"), "temperature"),
    ],
)
def test_bad_requests_are_refused(control_folder: Path, seeds: list[int], temperature: float, message: str):
    with pytest.raises(ConfigurationError, match=message):
        open_tiny(control_folder).generate(prompts(2), seeds, temperature=temperature)


def test_chat_models_are_asked_through_their_template(chat_folder: Path):
    model = open_tiny(chat_folder)
    _, tokenizer = model.load()
    asked = tokenizer.decode(model.prompt_format.encode(Prompt("rewrite", "A film<|end|>.", "add a robot"))[0])
    assert asked.startswith("<system>")
    assert "Description: A film< |end|>." in asked  # a text cannot end its turn
    assert asked.endswith("Edit: add a robot<|end|><assistant>")


def test_turns_that_end_in_a_token_of_no_name_cannot_be_ended_by_a_text(chat_folder: Path, tmp_path: Path):
    """Such as Phi-3's <|end|>: special, but neither the end of a text nor any other that has a name."""
    shutil.copytree(chat_folder, tmp_path / "model")
    template = (tmp_path / "model" / "chat_template.jinja").read_text()
    (tmp_path / "model" / "chat_template.jinja").write_text(template.replace("<|end|>", "<|turn|>"))
    tokenizer = PreTrainedTokenizerFast.from_pretrained(tmp_path / "model")
    tokenizer.add_tokens([AddedToken("<|turn|>", special=True)], special_tokens=True)
    assert "<|turn|>" not in tokenizer.all_special_tokens
    tokenizer.save_pretrained(tmp_path / "model")
    asked = open_tiny(tmp_path / "model").prompt_format.encode(Prompt("rewrite", "A film<|turn|>.", "add a robot"))[0]
    assert asked.count(tokenizer.convert_tokens_to_ids("<|turn|>")) == 2, "one for the system, one for the user"


def test_templates_without_a_system_role_get_one_message(chat_folder: Path, tmp_path: Path):
    shutil.copytree(chat_folder, tmp_path / "model")
    template = "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system') }}{% endif %}"
    (tmp_path / "model" / "chat_template.jinja").write_text(
        template + (chat_folder / "chat_template.jinja").read_text()
    )
    model = open_tiny(tmp_path / "model")
    asked = model.load()[1].decode(model.prompt_format.encode(Prompt("rewrite", "A film.", "add a robot"))[0])
    assert asked.startswith("<user>You rewrite descriptions.")


def test_habits_that_a_model_ships_are_dropped(chat_folder: Path, tmp_path: Path):
    shutil.copytree(chat_folder, tmp_path / "model")
    path = tmp_path / "model" / "generation_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "repetition_penalty": 9.0, "top_k": 1}))
    first, second = open_tiny(chat_folder), open_tiny(tmp_path / "model")
    ids, draws = [first.prompt_format.encode(prompts(1)[0])[0]], backend.row_uniforms([0], 30)
    assert first.decoder.generate(ids, draws, temperature=1.0) == second.decoder.generate(ids, draws, temperature=1.0)


def test_end_tokens_that_the_generation_config_alone_names_end_texts(plain_folder: Path, tmp_path: Path):
    shutil.copytree(plain_folder, tmp_path / "model")
    (tmp_path / "model" / "generation_config.json").write_text('{"eos_token_id": [1, 77]}')
    assert {1, 77} <= open_tiny(tmp_path / "model").prompt_format.ending.stop


def test_a_llama_config_without_its_sizes_is_a_typed_error(plain_folder: Path, tmp_path: Path):
    shutil.copytree(plain_folder, tmp_path / "model")
    path = tmp_path / "model" / "config.json"
    config = json.loads(path.read_text())
    del config["num_attention_heads"]
    path.write_text(json.dumps(config))
    with pytest.raises(PreparationError, match="num_attention_heads"):
        open_tiny(tmp_path / "model")


def test_models_without_a_template_continue_an_instruction(plain_folder: Path):
    model = open_tiny(plain_folder)
    asked = model.load()[1].decode(model.prompt_format.encode(Prompt("rewrite", "A film.", "add a robot"))[0])
    assert asked.endswith("Rewritten description:")
    assert model.prompt_format.ending.breaks


def test_the_embedded_model_opens_without_importing_transformers():
    """Which takes longer than all else that making an environment does."""
    program = (
        "import sys\n"
        "from eagle_gym.language import Prompt, load_language_model\n"
        "load_language_model().generate([Prompt('propose', 'It is a drama.')], [0])\n"
        "sys.exit('transformers' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_a_story_model_answers(stories: Path):
    model = load_language_model(f"transformers:{stories}", prompts="plain")
    completions = model.generate([Prompt("rewrite", "A girl had a cat.", "add a dog")] * 3, [1, 2, 3])
    assert all("\n" not in completion.text and len(completion.text) > 10 for completion in completions)
    assert model.score(Prompt("propose", "A girl had a cat."), ["The cat sat.", "xqz zzk qq."]).argmax() == 0


@pytest.fixture(scope="module")
def parrot(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model whose language is the non-answers, each one token and as likely as any other."""
    folder = tmp_path_factory.mktemp("parrot")
    size = write_sayings(folder, NON_ANSWERS)
    write_parrot(folder, size, sayings=len(NON_ANSWERS))
    return folder


def test_no_non_answer_is_ever_a_text(parrot: Path):
    model = open_tiny(parrot, max_new_tokens=4)
    said = set()
    read = model.prompt_format.read

    def watch(tokens, prompt=None, **keywords):
        said.update(tokens)
        return read(tokens, prompt, **keywords)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(model.prompt_format, "read", watch)
        with pytest.raises(LanguageModelError, match="still no text after 3 attempts") as caught:
            model.generate([Prompt("rewrite", PROMPT_TEXT, PROMPT_EDIT)] * 600, range(600))
    assert not caught.value.answered, "no row was answered"
    assert len(said) == len(NON_ANSWERS), "every one was said"


def test_no_episode_is_rewarded_for_a_non_answer(tmp_path: Path):
    sayings = [said for said in NON_ANSWERS if said not in ECHOES]  # the episodes have other edits
    write_parrot(tmp_path, write_sayings(tmp_path, sayings), sayings=len(sayings))
    env = EagleEnv.from_world(make_tiny_world(open_tiny(tmp_path, max_new_tokens=4), horizon=1))
    for seed in range(20):
        env.reset(seed=seed)
        with pytest.raises(LanguageModelError):
            env.step(0)
    env.close()


def test_reasoning_in_special_tokens_is_no_text(tmp_path: Path):
    """Skipped in decoding, such tokens would leave the bare reasoning."""
    sayings = ["<|think_start|>A keeper counts ships.<|think_end|>A lighthouse drama of the 1980s.", "<|channel|>"]
    size = write_sayings(tmp_path, sayings, special=["<|think_start|>", "<|think_end|>", "<|channel|>", "</s>"])
    write_parrot(tmp_path, size, sayings=1)
    model = open_tiny(tmp_path, max_new_tokens=4)
    form = model.prompt_format
    tokenizer = model.load()[1]

    def spelled(text: str) -> str:
        return form.read(tokenizer.encode(text, add_special_tokens=False)).text

    assert spelled("<|think_start|>Hm.<|think_end|>A film.</s>") == "A film."
    assert spelled("<|think_start|>A film.") == ""
    assert spelled("<|channel|>analysis<|message|>A film.") == ""


def test_an_answer_to_a_prompt_that_opens_reasoning_has_to_close_it(chat_folder: Path, tmp_path: Path):
    shutil.copytree(chat_folder, tmp_path / "model")
    template = tmp_path / "model" / "chat_template.jinja"
    template.write_text(template.read_text() + "<think>\n")
    form = open_tiny(tmp_path / "model").prompt_format
    tokenizer = open_tiny(tmp_path / "model").load()[1]
    assert form.read(tokenizer.encode("A keeper counts ships.")).text == ""
    assert form.read(tokenizer.encode("Hm.\n</think>\nA keeper counts ships.")).text == "A keeper counts ships."


def test_more_paragraphs_do_not_make_a_cut_text_whole(chat_folder: Path):
    model = open_tiny(chat_folder)
    tokens = model.load()[1].encode("A film.\n\nAnother paragr")
    assert model._read(9, backend.decode.Generated(tokens, stopped=False)).finish_reason == "length"


def test_code_that_comes_with_weights_is_not_run_and_nobody_is_asked(
    chat_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    copy = tmp_path / "model"
    shutil.copytree(chat_folder, copy)
    edit_config(copy, model_type="own", auto_map={"AutoConfig": "own.Config", "AutoModelForCausalLM": "own.Model"})
    (copy / "own.py").write_text("raise SystemExit('the code was run')")
    monkeypatch.setattr("builtins.input", lambda *_: pytest.fail("a question on the terminal"))
    with pytest.raises(PreparationError, match="cannot load the language model"):
        open_tiny(copy)


def test_models_for_images_and_text_answer_text(tmp_path: Path):
    vision = CLIPVisionConfig(
        hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2, image_size=16, patch_size=8
    )
    language = LlamaConfig(
        vocab_size=384, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
        max_position_embeddings=512, bos_token_id=0, eos_token_id=1, pad_token_id=0,
    )  # fmt: skip
    write_tokenizer(tmp_path, control=False, chat_template=CHAT_TEMPLATE)
    torch.manual_seed(0)
    config = LlavaConfig(text_config=language, vision_config=vision, image_token_id=2)
    LlavaForConditionalGeneration(config).save_pretrained(tmp_path)
    model = open_tiny(tmp_path, batch_invariant=True)
    ids = [model.prompt_format.encode(prompt)[0] for prompt in prompts(3)]
    draws = backend.row_uniforms(range(3), 12)
    together = model.decoder.generate(ids, draws, temperature=1.0)
    assert together[2] == model.decoder.generate(ids[2:], draws[2:], temperature=1.0)[0]
    assert np.isfinite(model.score(prompts(1)[0], ["A film."])).all()


def test_handles_share_weights_until_the_last_is_closed(control_folder: Path):
    first, second = open_tiny(control_folder), open_tiny(control_folder)
    assert first._held is second._held
    assert open_tiny(control_folder, dtype="bfloat16")._held is not first._held
    assert first.usage is not second.usage
    held = weakref.ref(first._held)
    first.close()
    assert second.generate(prompts(1), [0])
    second.close()
    gc.collect()
    assert held() is None
    with pytest.raises(LanguageModelError, match="closed"):
        first.generate(prompts(1), [0])


def test_load_gives_a_model_of_the_callers_own(control_folder: Path):
    model = open_tiny(control_folder)
    before = model.score(prompts(1)[0], ["A film."])
    loaded, tokenizer = model.load()
    assert model.load()[0] is not loaded
    for parameter in loaded.parameters():
        parameter.data.zero_()
    assert tokenizer("A")["input_ids"]
    np.testing.assert_array_equal(model.score(prompts(1)[0], ["A film."]), before)


@pytest.mark.parametrize(
    ("spec", "kwargs", "error", "message"),
    [
        ("gpt", {}, ConfigurationError, "unknown language model 'gpt'"),
        ("transformers:", {}, ConfigurationError, "unknown language model"),
        ("opnai:m@http://me:word@host/v1?key=1", {}, ConfigurationError, r"'opnai:\*\*\*@host/v1\?\*\*\*'"),
        ("embedded:x", {}, ConfigurationError, "no embedded model .x."),
        ("transformers:/no/such/folder", {}, PreparationError, "no model folder at /no/such/folder"),
        ("transformers:TINY", {"dtype": "float8"}, ConfigurationError, "expected one of float32, bfloat16"),
        ("transformers:TINY", {"device": "toaster"}, ConfigurationError, "unknown device 'toaster'"),
        ("transformers:TINY", {"device": "mps"}, ConfigurationError, "unknown device 'mps'"),
        ("transformers:TINY", {"device": "cuda:99"}, ConfigurationError, "not on this machine"),
        ("transformers:TINY", {"max_new_tokens": 0}, ConfigurationError, "max_new_tokens"),
    ],
)
def test_what_cannot_be_opened_says_why(control_folder: Path, spec: str, kwargs: dict, error: type, message: str):
    with pytest.raises(error, match=message):
        load_language_model(spec.replace("TINY", str(control_folder)), **kwargs)


def broken(folder: Path, tmp_path: Path, what: str) -> Path:
    copy = tmp_path / "model"
    shutil.copytree(folder, copy)
    weights = copy / "model.safetensors"
    damage = {
        "no config": lambda: (copy / "config.json").unlink(),
        "config": lambda: (copy / "config.json").write_text("{"),
        "no weights": weights.unlink,
        "weights": lambda: weights.write_bytes(weights.read_bytes()[:-1000]),
        "tokenizer": lambda: (copy / "tokenizer.json").write_text("{}"),
        "layers": lambda: edit_config(copy, num_hidden_layers=3),
        "width": lambda: edit_config(copy, intermediate_size=100),
    }
    damage[what]()
    return copy


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("no config", "no config.json"),
        ("config", "is not JSON"),
        ("no weights", "no .safetensors file"),
        ("weights", "not a whole safetensors file"),
        ("tokenizer", "not a readable tokenizer"),
        ("layers", "model.layers.2.* is missing"),
        ("width", r"has shape \(96, 64\), the config says \(100, 64\)"),
    ],
)
def test_broken_folders_say_what_is_broken(control_folder: Path, tmp_path: Path, what: str, message: str):
    with pytest.raises(PreparationError, match=message):
        open_tiny(broken(control_folder, tmp_path, what))


@pytest.mark.parametrize(
    ("what", "message"), [("weights", "cannot load the language model"), ("no weights", "cannot load")]
)
def test_broken_general_models_say_so(chat_folder: Path, tmp_path: Path, what: str, message: str):
    with pytest.raises(PreparationError, match=message):
        open_tiny(broken(chat_folder, tmp_path, what))


def test_general_weights_that_do_not_fit_are_not_made_up(chat_folder: Path, tmp_path: Path):
    copy = tmp_path / "model"
    shutil.copytree(chat_folder, copy)
    edit_config(copy, n_layer=3)
    with pytest.raises(PreparationError, match=r"do not fit its config: .*h\.2"):
        open_tiny(copy)


def test_the_fingerprint_follows_the_weights(control_folder: Path, tmp_path: Path):
    copy = tmp_path / "model"
    shutil.copytree(control_folder, copy)
    (copy / "recipe.json").write_text("{}")  # how it was made
    assert open_tiny(copy).fingerprint == open_tiny(control_folder).fingerprint
    weights = copy / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    assert backend._hash_folder(copy) != open_tiny(control_folder).fingerprint
