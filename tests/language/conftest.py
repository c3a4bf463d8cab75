"""Tiny models made on the spot: the real classes and file layout, random weights."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from tests.language.servers import Server
from tests.language.tiny import CHAT_TEMPLATE, write_llama, write_tokenizer


@pytest.fixture(scope="session")
def control_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model in the embedded model's format."""
    folder = tmp_path_factory.mktemp("control")
    write_tokenizer(folder)
    write_llama(folder, ends=True, tie_word_embeddings=False)
    return folder


@pytest.fixture(scope="session")
def plain_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model without control tokens or chat template, with grouped-query attention and tied embeddings."""
    folder = tmp_path_factory.mktemp("plain")
    write_tokenizer(folder, control=False)
    write_llama(folder, seed=1, num_key_value_heads=2, max_position_embeddings=1024)
    return folder


@pytest.fixture(scope="session")
def chat_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model with a chat template, of an architecture that the lean loop does not know."""
    from transformers import GPT2Config, GPT2LMHeadModel

    folder = tmp_path_factory.mktemp("chat")
    write_tokenizer(folder, control=False, chat_template=CHAT_TEMPLATE)
    torch.manual_seed(2)
    config = GPT2Config(
        vocab_size=384, n_positions=1024, n_embd=32, n_layer=2, n_head=2, bos_token_id=0, eos_token_id=1, pad_token_id=0
    )
    GPT2LMHeadModel(config).eval().save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def stories() -> Path:
    """A story model that this project did not train."""
    folder = Path(__file__).parents[3] / "shared" / "lm" / "stories260K"
    if not folder.is_dir():
        pytest.skip(f"{folder} is absent")
    return folder


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()
