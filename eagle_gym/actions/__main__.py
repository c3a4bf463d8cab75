"""Fit the surrogate of the embedded catalog and model anew and write it where the package ships it."""

from __future__ import annotations

from eagle_gym.actions.candidates import LexiconCandidates
from eagle_gym.actions.surrogate_store import SHIPPED, SHIPPED_BUDGET, Identity, make_surrogate, save_surrogate
from eagle_gym.catalog import load_plots, split_catalog
from eagle_gym.language.model import load_language_model
from eagle_gym.latent import prepare_space


def main() -> None:
    """Fit, measure, write."""
    catalog, model = load_plots(), load_language_model("embedded")
    space = prepare_space(catalog, split_catalog(catalog))
    identity = Identity("plot_english", space.fingerprint, model.fingerprint, 1.0)
    made = make_surrogate(catalog.texts, space, model, LexiconCandidates(), identity, budget=SHIPPED_BUDGET)
    save_surrogate(made, identity, SHIPPED)
    print(made.quality)


if __name__ == "__main__":
    main()
