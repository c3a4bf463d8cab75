"""An actor-critic policy for SB3 that treats all offered actions alike.

The stock ``MultiInputPolicy`` flattens the K actions into one vector, so it has to learn anew for every position what a
good displacement is, although positions mean nothing here. This one scores each action with the same small network; a
permutation of the actions permutes the probabilities and leaves the value as it is. Actions outside the mask have
probability 0.
"""

from __future__ import annotations

from typing import Any

import torch
from gymnasium import spaces
from stable_baselines3.common.distributions import CategoricalDistribution, Distribution
from stable_baselines3.common.policies import ActorCriticPolicy
from torch import Tensor, nn

from baselines.agent import LATENT_KEYS
from baselines.networks import MASKED, action_features, mlp, pooled
from eagle_gym.errors import ConfigurationError


class EquivariantPolicy(ActorCriticPolicy):
    """Scores every action with one shared network; its value sees state, user and the pooled actions.

    Args:
        observation_space: Space of the latent observation.
        action_space: ``Discrete(K)``.
        lr_schedule: Learning rate by remaining progress, as SB3 passes it.
        hidden: Width of the hidden layers.
        **kwargs: Further arguments of SB3's ``ActorCriticPolicy``.
    """

    def __init__(
        self,
        observation_space: spaces.Dict,
        action_space: spaces.Discrete,
        lr_schedule: Any,  # noqa: ANN401 - SB3's Schedule alias
        *,
        hidden: int = 64,
        **kwargs: Any,  # noqa: ANN401
    ) -> None:
        if not isinstance(observation_space, spaces.Dict) or not set(LATENT_KEYS) <= set(observation_space.spaces):
            raise ConfigurationError(
                f"EquivariantPolicy needs the latent observation, a Dict with {list(LATENT_KEYS)}; the space is "
                f'{observation_space}. Make the environment with observation="latent".'
            )
        self.hidden = hidden
        # SB3's own networks are built at width 0 and not used: no layer of theirs sees a flattened action list.
        super().__init__(observation_space, action_space, lr_schedule, net_arch=[], **kwargs)

    def _build(self, lr_schedule: Any) -> None:  # noqa: ANN401
        assert isinstance(self.observation_space, spaces.Dict)
        sample = {
            key: torch.zeros(1, *space.shape)
            for key, space in self.observation_space.spaces.items()
            if isinstance(space, spaces.Box)
        }
        features, context, _ = action_features(sample)
        self.score_net = mlp(features.shape[-1], self.hidden, 1)
        self.embed_net = mlp(features.shape[-1], self.hidden, self.hidden)
        self.value_net = mlp(context.shape[-1] + 2 * self.hidden, self.hidden, 1)  # type: ignore[assignment]
        last = self.score_net[-1]
        assert isinstance(last, nn.Linear)
        nn.init.orthogonal_(last.weight, gain=0.01)  # starts nearly uniform
        optimizer: Any = self.optimizer_class
        self.optimizer = optimizer(self.parameters(), lr=lr_schedule(1), **self.optimizer_kwargs)

    def _logits(self, features: Tensor, mask: Tensor) -> Distribution:
        logits = self.score_net(features).squeeze(-1).masked_fill(~mask, MASKED)
        assert isinstance(self.action_dist, CategoricalDistribution)
        return self.action_dist.proba_distribution(action_logits=logits)

    def _value(self, features: Tensor, context: Tensor, mask: Tensor) -> Tensor:
        value: Tensor = self.value_net(torch.cat([context, pooled(self.embed_net(features), mask)], dim=-1))
        return value

    def forward(self, obs: Any, deterministic: bool = False) -> tuple[Tensor, Tensor, Tensor]:  # noqa: ANN401
        """Actions ``[B]``, values ``[B, 1]`` and log-probabilities ``[B]``."""
        features, context, mask = action_features(obs)
        distribution = self._logits(features, mask)
        actions = distribution.get_actions(deterministic=deterministic)
        return actions, self._value(features, context, mask), distribution.log_prob(actions)

    def evaluate_actions(self, obs: Any, actions: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:  # noqa: ANN401
        """Values ``[B, 1]``, log-probabilities of ``actions`` ``[B]`` and entropies ``[B]``."""
        features, context, mask = action_features(obs)
        distribution = self._logits(features, mask)
        return self._value(features, context, mask), distribution.log_prob(actions), distribution.entropy()

    def get_distribution(self, obs: Any) -> Distribution:  # noqa: ANN401
        """Distribution over the actions of each row."""
        features, _, mask = action_features(obs)
        return self._logits(features, mask)

    def predict_values(self, obs: Any) -> Tensor:  # noqa: ANN401
        """Values ``[B, 1]``."""
        return self._value(*action_features(obs))
