"""Where surrogates are kept: in the package for Plots, in a cache folder for every other catalog; made when absent."""

from __future__ import annotations

import json
import os
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from eagle_gym.actions.candidates import Candidates
from eagle_gym.actions.surrogate.fit import HELD_OUT
from eagle_gym.actions.surrogate.make import Budget, make_surrogate, measure
from eagle_gym.actions.surrogate.model import FreeSurrogate, PlotSurrogate, Surrogate
from eagle_gym.catalog.cache import alone_at
from eagle_gym.errors import PreparationError
from eagle_gym.language.model import Language, LanguageModel
from eagle_gym.plot_english import arrays
from eagle_gym.seeding import stable_seed

if TYPE_CHECKING:
    from eagle_gym.catalog import Catalog
    from eagle_gym.latent import LatentSpace

__all__ = [
    "EMBEDDED_BUDGET",
    "GENERAL_BUDGET",
    "SHIPPED",
    "Budget",
    "Identity",
    "cache_folder",
    "identify",
    "load_surrogate",
    "make_surrogate",
    "measure",
    "prepare_surrogate",
    "rollouts_file",
    "save_surrogate",
]


FORMAT: Final = 3  # of the files
FIT: Final = 3  # of the code that tries, fits and measures: raise it whenever that changes what is fitted
SHIPPED: Final = Path(__file__).parents[1] / "data" / "plots"
MENDING: Final = "python -m eagle_gym prepare ID makes it, and so does prepare='auto'"

EMBEDDED_BUDGET: Final = Budget()
GENERAL_BUDGET: Final = Budget(trials=1200, checks=100, check_samples=2)  # a general model is slow


@dataclass(frozen=True)
class Identity:
    """Everything that decides a surrogate; one of another identity is never used.

    Attributes:
        language: ``"plot_english"`` where edits can be parsed, else ``"free"``.
        space: fingerprint of the latent space.
        model: fingerprint of the language model.
        temperature: of the rewriting.
        texts: hash of the texts that rollouts start from.
        budget: generations.
        edits: what decides which edits are tried: for plot English a hash of its edits, since the rest is fixed;
            for free text the settings of the candidates and a hash of the users.
        fit: version of the code that tries, fits and measures.
        held_out: one (operation, slot, value) in so many is kept from the fit.
    """

    language: Language
    space: str
    model: str
    temperature: float
    texts: str
    budget: Budget
    edits: Mapping[str, Any]
    fit: int = FIT
    held_out: int = HELD_OUT

    def as_json(self) -> dict[str, Any]:
        """The same as JSON values."""
        values: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return values

    @property
    def key(self) -> str:
        """Name of the folder in the cache."""
        return f"{self.language}-{stable_seed(FORMAT, json.dumps(self.as_json(), sort_keys=True)):016x}"


def identify(
    catalog: Catalog,
    space: LatentSpace,
    model: LanguageModel,
    candidates: Candidates,
    *,
    language: Language,
    budget: Budget,
    profiles: Sequence[str] = (),
    temperature: float = 1.0,
) -> Identity:
    """The identity of the surrogate that ``make_surrogate`` makes of these."""
    if language == "plot_english":
        edits: dict[str, Any] = {"changes": arrays.fingerprint()}
    else:
        edits = {"candidates": candidates.settings, "users": f"{stable_seed(*profiles):016x}"}
    texts = f"{stable_seed(*catalog.texts):016x}"
    return Identity(language, space.fingerprint, model.fingerprint, float(temperature), texts, budget, edits)


def save_surrogate(surrogate: Surrogate, identity: Identity, folder: Path) -> None:
    """Write ``surrogate.json`` and ``surrogate.npz``; either both new files appear, or none."""
    folder.mkdir(parents=True, exist_ok=True)
    header = {
        "format": FORMAT,
        "identity": identity.as_json(),
        "quality": surrogate.quality,
        "cost": surrogate.cost,
    }
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        kept = {name: array.astype(np.float32) for name, array in surrogate.model.arrays().items()}
        np.savez_compressed(Path(scratch) / "surrogate.npz", allow_pickle=False, **kept)
        (Path(scratch) / "surrogate.json").write_text(json.dumps(header, indent=1, sort_keys=True) + "\n")
        for name in ("surrogate.npz", "surrogate.json"):
            os.replace(Path(scratch) / name, folder / name)


def load_surrogate(folder: Path, identity: Identity, space: LatentSpace) -> Surrogate:
    """Read what ``save_surrogate`` wrote.

    Raises:
        PreparationError: it is absent or broken, or has another identity.
    """
    header = read_header(folder)
    found, wanted = header["identity"], identity.as_json()
    for name in wanted:
        if found.get(name) != wanted[name]:
            raise PreparationError(
                f"the surrogate in {folder} was made for another {name}: expected {wanted[name]!r}, "
                f"got {found.get(name)!r}; {MENDING}"
            )
    try:
        # Opened here, for NumPy leaves a file open that turns out to be broken.
        with (folder / "surrogate.npz").open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            kept = {name: file[name].astype(np.float64) for name in file.files}
        restore = PlotSurrogate.restore if identity.language == "plot_english" else FreeSurrogate.restore
        return Surrogate(restore(kept, space), space, header["quality"], header["cost"])
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise PreparationError(f"the surrogate in {folder} is broken ({error!r}): delete it; {MENDING}") from error


def read_header(folder: Path) -> dict[str, Any]:
    """The json beside the arrays.

    Raises:
        PreparationError: absent, broken, or of another format.
    """
    try:
        header = json.loads((folder / "surrogate.json").read_text())
    except (OSError, ValueError) as error:
        raise PreparationError(f"there is no surrogate in {folder} ({error}); {MENDING}") from error
    if not isinstance(header, dict) or header.get("format") != FORMAT or not isinstance(header.get("identity"), dict):
        raise PreparationError(f"the surrogate in {folder} has another format than {FORMAT}; {MENDING}")
    return header


def prepare_surrogate(
    catalog: Catalog,
    space: LatentSpace,
    model: LanguageModel,
    candidates: Candidates,
    *,
    language: Language,
    profiles: Sequence[str] = (),
    temperature: float = 1.0,
    prepare: str = "auto",
    cache_dir: str | Path | None = None,
    progress: bool = True,
) -> Surrogate:
    """The surrogate for a space and a model: shipped, cached, or fitted now and cached.

    Args:
        catalog: texts to start the rollouts from.
        space: the latent space.
        model: the language model.
        candidates: proposes the edits that are tried where the language is ``"free"``.
        language: ``"plot_english"`` where edits can be parsed, else ``"free"``.
        profiles: users to propose for.
        temperature: of the rewriting.
        prepare: ``"auto"`` or ``"never"``.
        cache_dir: where surrogates are kept; None for the platform's cache folder.
        progress: whether to show a bar.

    Raises:
        PreparationError: it is absent and ``prepare="never"``, or broken.
    """
    budget = EMBEDDED_BUDGET if model.language == "plot_english" else GENERAL_BUDGET
    identity = identify(
        catalog, space, model, candidates, language=language, budget=budget, profiles=profiles, temperature=temperature
    )
    if _is_shipped(identity):
        return load_surrogate(SHIPPED, identity, space)
    folder = cache_folder(cache_dir) / identity.key
    if (folder / "surrogate.json").exists():
        return load_surrogate(folder, identity, space)
    if prepare == "never":
        raise PreparationError(
            f"the surrogate of the catalog {catalog.name!r} and the model {model.name!r} is not prepared; {MENDING}"
        )
    with alone_at(folder):
        if not (folder / "surrogate.json").exists():  # another process may have made it meanwhile
            made = make_surrogate(
                catalog.texts,
                space,
                model,
                candidates,
                language=language,
                budget=budget,
                profiles=profiles,
                temperature=temperature,
                record=rollouts_file(identity, cache_dir),
                progress=progress,
            )
            save_surrogate(made, identity, folder)
        return load_surrogate(folder, identity, space)


def _is_shipped(identity: Identity) -> bool:
    """Whether the package's own surrogate is the one; of another identity or format it is not."""
    if not (SHIPPED / "surrogate.json").exists():
        return False
    try:
        header = read_header(SHIPPED)
    except PreparationError:
        return False
    return bool(header["identity"] == identity.as_json())


def cache_folder(cache_dir: str | Path | None = None) -> Path:
    """Where fitted surrogates are kept."""
    import platformdirs

    root = Path(cache_dir).expanduser() if cache_dir is not None else Path(platformdirs.user_cache_dir("eagle_gym"))
    return root / "effects"


def rollouts_file(identity: Identity, cache_dir: str | Path | None = None) -> Path:
    """Where the answers behind a surrogate are kept; those of one model to the same texts share a file."""
    return cache_folder(cache_dir) / f"rollouts-{stable_seed(identity.model, identity.texts):016x}.jsonl"
