"""The latent space, the encoder that maps texts into it, and the utilities that score its points."""

from eagle_gym.latent.encoder import Encoder
from eagle_gym.latent.features import Reading, Scales
from eagle_gym.latent.geometry import central_differences, project_to_ball
from eagle_gym.latent.interests import Interests, fit_interests
from eagle_gym.latent.kept_interests import keep_interests
from eagle_gym.latent.placebo import Quality, Score, with_permuted_texts
from eagle_gym.latent.prepare import open_reading, prepare_space, space_key
from eagle_gym.latent.quality import ColdStart, ColdStartReport, cold_start_report, cross_validate
from eagle_gym.latent.space import LatentSpace, SpaceParameters, fit_space
from eagle_gym.latent.text_encoders import TextEncoder, open_text_encoder
from eagle_gym.latent.utility import (
    AFFINITIES,
    ContentGap,
    Priced,
    PricedParts,
    Utility,
    UtilityParts,
    make_utility,
)

__all__ = [
    "AFFINITIES",
    "ColdStart",
    "ColdStartReport",
    "ContentGap",
    "Encoder",
    "Interests",
    "LatentSpace",
    "Priced",
    "PricedParts",
    "Quality",
    "Reading",
    "Scales",
    "Score",
    "SpaceParameters",
    "TextEncoder",
    "Utility",
    "UtilityParts",
    "central_differences",
    "cold_start_report",
    "cross_validate",
    "fit_interests",
    "fit_space",
    "keep_interests",
    "make_utility",
    "open_reading",
    "open_text_encoder",
    "prepare_space",
    "project_to_ball",
    "space_key",
    "with_permuted_texts",
]
