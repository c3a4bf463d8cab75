"""The module that verifiers imports for the id `eagle-gym-verifiers`; it takes top-level modules only."""

from eagle_gym.integrations.verifiers import EagleGymEnv, EagleGymTaskset, InProcessHarness, load_environment

__all__ = ["EagleGymEnv", "EagleGymTaskset", "InProcessHarness", "load_environment"]
