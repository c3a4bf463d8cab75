"""What the experiment compares: catalogs, and ways of reading their texts."""

from __future__ import annotations

from benchmarks.running import Options
from eagle_gym.catalog import Catalog, load_movielens, load_plots
from eagle_gym.language.installed import installed_file
from eagle_gym.latent import Reading, open_text_encoder


def sentence_readings() -> dict[str, Reading]:
    """Ways of reading free text with MiniLM, none where it is not installed."""
    if installed_file("minilm") is None:
        return {}
    encoder = open_text_encoder("minilm")
    return {"words and MiniLM": Reading(True, encoder), "MiniLM": Reading(False, encoder)}


def catalogs(options: Options) -> dict[str, Catalog]:
    """The catalogs, by name."""
    found = {"Plots": load_plots()}
    if options.data:
        name = options.data.resolve().name
        found[f"{name}, rendered in plot English"] = load_movielens(options.data)
        found[f"{name}, free text"] = load_movielens(options.data, "free")
    return found
