"""Surrogates on disk: the package holds those for Plots, the cache folder all others; absent ones are made."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from eagle_gym import cache
from eagle_gym.actions.candidates import Candidates
from eagle_gym.actions.surrogate.fit import HELD_OUT
from eagle_gym.actions.surrogate.free import VERSION as FREE_VERSION
from eagle_gym.actions.surrogate.free import FreeSurrogate
from eagle_gym.actions.surrogate.make import Budget, advice, make_surrogate, measure
from eagle_gym.actions.surrogate.model import Fitted, PlotSurrogate, Surrogate
from eagle_gym.errors import PreparationError, PreparationWarning
from eagle_gym.language.model import Language, LanguageModel
from eagle_gym.language.replay import FORMAT as RECORDING
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
    "find_shipped",
    "identify",
    "load_surrogate",
    "make_surrogate",
    "measure",
    "prepare_surrogate",
    "rollouts_file",
    "save_surrogate",
]


FORMAT: Final = 4  # of the files
NAME: Final = "surrogate"  # of the files, without their endings
FIT: Final = 3  # version of the code that tries, fits and measures: raise it whenever the result of a fit changes
SHIPPED: Final = Path(__file__).parents[1] / "data"  # a folder for each surrogate in the package
MENDING: Final = "make it with python -m eagle_gym prepare ID or with prepare='auto'"

EMBEDDED_BUDGET: Final = Budget()
GENERAL_BUDGET: Final = Budget(trials=1200, checks=100, check_samples=2)  # general models are slow


@dataclass(frozen=True)
class Identity:
    """Everything that determines a surrogate. A surrogate of another identity is never used.

    Attributes:
        language: "plot_english" where edits can be parsed, otherwise "free".
        space: Fingerprint of the latent space.
        model: Fingerprint of the language model.
        temperature: Sampling temperature of the rewriting.
        texts: Hash of the texts from which rollouts start.
        budget: Numbers of generations.
        edits: What determines the edits that are tried. For plot English, a hash of its changes, since the rest is
            fixed; for free text, the settings of the candidates, a hash of the users, the version of the regression.
        fit: Version of the code that tries, fits and measures.
        held_out: One (operation, slot, value) out of this many is excluded from the fit.
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
        """The identity as JSON values."""
        values: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return values

    @property
    def key(self) -> str:
        """Name of the surrogate's folder in the cache."""
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
    """The identity of the surrogate that `make_surrogate` makes from these arguments."""
    if language == "plot_english":
        edits: dict[str, Any] = {"changes": arrays.fingerprint()}
    else:
        users = f"{stable_seed(*profiles):016x}"
        edits = {"candidates": candidates.settings, "users": users, "regression": FREE_VERSION}
    texts = f"{stable_seed(*catalog.texts):016x}"
    return Identity(language, space.fingerprint, model.fingerprint, float(temperature), texts, budget, edits)


def save_surrogate(surrogate: Surrogate, identity: Identity, folder: Path) -> None:
    """Write `surrogate.json` and `surrogate.npz` into a folder, which is made where absent.

    Raises:
        PreparationError: The folder cannot be written, or the disk is full; no half-written file is left behind.
    """
    header = {
        "format": FORMAT,
        "identity": identity.as_json(),
        "quality": surrogate.quality,
        "cost": surrogate.cost,
    }
    arrays = {name: array.astype(np.float32) for name, array in surrogate.model.arrays().items()}
    cache.save_artefact(folder, NAME, header, arrays)


def load_surrogate(folder: Path, identity: Identity, space: LatentSpace) -> Surrogate:
    """Read what `save_surrogate` wrote.

    Raises:
        PreparationError: The surrogate is absent, damaged or was edited, or has another identity.
    """
    header = read_header(folder)
    found, wanted = header["identity"], identity.as_json()
    for name in wanted:
        if found.get(name) != wanted[name]:
            raise PreparationError(
                f"{folder}: the surrogate was made for another {name}: expected {wanted[name]!r}, got "
                f"{found.get(name)!r}: {MENDING}"
            )
    arrays = {name: array.astype(np.float64) for name, array in cache.load_arrays(folder, NAME, header).items()}
    restore: Callable[[Mapping[str, Any], LatentSpace], Fitted] = (
        PlotSurrogate.restore if identity.language == "plot_english" else FreeSurrogate.restore
    )
    try:
        return Surrogate(restore(arrays, space), space, header["quality"], header["cost"])
    except (ValueError, KeyError, TypeError) as error:
        raise PreparationError(f"{folder}: expected a surrogate written by save_surrogate, got {error!r}") from error


def read_header(folder: Path) -> dict[str, Any]:
    """The header of a surrogate; its checksum is not compared yet.

    Raises:
        PreparationError: The header is absent, broken or of another format.
    """
    header = cache.load_header(folder, NAME)
    if header.get("format") != FORMAT or not isinstance(header.get("identity"), dict):
        raise PreparationError(
            f"{folder}: the surrogate has another format: expected {FORMAT}, got {header.get('format')!r}: {MENDING}"
        )
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
    """The surrogate for a space and a model: shipped with the package, read from the cache, or fitted now and cached.

    Warns:
        PreparationWarning: For free text, it predicts too little of what edits do.

    Args:
        catalog: Its texts start the rollouts.
        space: The latent space.
        model: The language model.
        candidates: Propose the edits that are tried where `language` is "free".
        language: "plot_english" where edits can be parsed, otherwise "free".
        profiles: Profiles of users, for the candidates where `language` is "free".
        temperature: Sampling temperature of the rewriting.
        prepare: "auto", or "never": raise rather than fit.
        cache_dir: Folder of the cache; None for the user's cache folder on this system.
        progress: Whether to show a progress bar.

    Raises:
        PreparationError: The surrogate is absent and `prepare` is "never", or it is damaged, or the cache folder cannot
            be read or written.
    """
    budget = EMBEDDED_BUDGET if model.language == "plot_english" else GENERAL_BUDGET
    identity = identify(
        catalog, space, model, candidates, language=language, budget=budget, profiles=profiles, temperature=temperature
    )
    shipped = find_shipped(identity)
    if shipped is not None:
        return load_surrogate(shipped, identity, space)
    folder = cache_folder(cache_dir) / identity.key

    def make() -> Callable[[Path], None]:
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
        return partial(save_surrogate, made, identity)

    found = cache.prepared(
        folder,
        f"{NAME}.json",
        lambda found: load_surrogate(found, identity, space),
        make,
        prepare=prepare,
        absent=f"the surrogate of the catalog {catalog.name!r} and the model {model.name!r} is not prepared "
        f"({folder}): {MENDING}",
    )
    if language == "free" and (said := advice(found.quality)):
        warnings.warn(said, PreparationWarning, stacklevel=2)
    return found


def find_shipped(identity: Identity) -> Path | None:
    """The folder of the package's own surrogate with this identity, if there is one."""
    folders = (header.parent for header in sorted(SHIPPED.glob(f"*/{NAME}.json")))
    return next((folder for folder in folders if read_header(folder)["identity"] == identity.as_json()), None)


def cache_folder(cache_dir: str | Path | None = None) -> Path:
    """Folder of the fitted surrogates."""
    import platformdirs

    root = Path(cache_dir).expanduser() if cache_dir is not None else Path(platformdirs.user_cache_dir("eagle_gym"))
    return root / "effects"


def rollouts_file(identity: Identity, cache_dir: str | Path | None = None) -> Path:
    """File of the answers behind a surrogate. All fits of one model on the same texts share it, in one format."""
    return cache_folder(cache_dir) / f"rollouts-{stable_seed(RECORDING, identity.model, identity.texts):016x}.jsonl"
