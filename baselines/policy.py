"""Policies for Stable-Baselines3 that treat all offered actions alike, one for each kind of algorithm.

SB3's own `MultiInputPolicy` flattens the K actions into one vector, so it must learn what a good displacement is once
for every position, although positions mean nothing here. The policies of this module score every action with the same
small network (`networks.py`): a permutation of the actions permutes the scores and leaves the value unchanged. Actions
outside the mask get probability 0, or a value that no maximum selects.

| policy | algorithm |
|---|---|
| `EquivariantPolicy` | PPO, A2C |
| `EquivariantMaskablePolicy` | MaskablePPO |
| `EquivariantRecurrentPolicy` | RecurrentPPO |
| `EquivariantQPolicy` | DQN |

They take SB3's arguments and `hidden`, the width of the layers.
"""

from __future__ import annotations

from typing import Any, ClassVar, cast

from gymnasium import spaces
from sb3_contrib.common.maskable.policies import MaskableActorCriticPolicy
from sb3_contrib.common.recurrent.policies import RecurrentActorCriticPolicy
from sb3_contrib.common.recurrent.type_aliases import RNNStates
from stable_baselines3.common.distributions import CategoricalDistribution, Distribution
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from stable_baselines3.dqn.policies import DQNPolicy, QNetwork
from torch import Tensor, nn

from baselines.memory import Feedback, RememberingScores, RememberingValue, start_as_sums
from baselines.networks import ActionScores, ActionValues, StateValue
from eagle_gym.envs.spaces import LatentLayout

Schedule = Any  # SB3's alias for a learning rate by remaining progress
Memory = Any  # hidden and cell states of an LSTM, each [1, B, hidden]


class PassThrough(BaseFeaturesExtractor):
    """Returns the observation, a dict of tensors, unchanged."""

    def __init__(self, observation_space: spaces.Space[Any]) -> None:
        super().__init__(observation_space, features_dim=LatentLayout.of(observation_space).n)

    def forward(self, observation: dict[str, Tensor]) -> dict[str, Tensor]:
        """The observation."""
        return observation


class Heads(nn.Module):
    """Scores of the actions and the state's value, where SB3 expects the last hidden layers of actor and critic.

    Args:
        layout: The parts of the latent observation.
        hidden: Width of the layers.
    """

    def __init__(self, layout: LatentLayout, hidden: int) -> None:
        super().__init__()
        self.latent_dim_pi, self.latent_dim_vf = layout.actions, 1
        self.scores, self.value = ActionScores(layout, hidden), StateValue(layout, hidden)

    def forward(self, observation: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Scores `[B, K]` and values `[B, 1]`."""
        return self.forward_actor(observation), self.forward_critic(observation)

    def forward_actor(self, observation: dict[str, Tensor]) -> Tensor:
        """Scores `[B, K]`."""
        scores: Tensor = self.scores(observation)
        return scores

    def forward_critic(self, observation: dict[str, Tensor]) -> Tensor:
        """Values `[B, 1]`."""
        value: Tensor = self.value(observation)[:, None]
        return value


class Equivariant:
    """Base of all equivariant policies; it stands before SB3's class among the bases.

    Args:
        observation_space: Space of the latent observation.
        action_space: `Discrete(K)`.
        lr_schedule: Learning rate by remaining progress, as SB3 passes it.
        hidden: Width of the hidden layers, and of the LSTMs if there are any.
        **kwargs: Further arguments of SB3's class.
    """

    defaults: ClassVar[dict[str, Any]] = {"net_arch": [], "features_extractor_class": PassThrough}

    def __init__(
        self,
        observation_space: spaces.Space[Any],
        action_space: spaces.Discrete,
        lr_schedule: Schedule,
        *,
        hidden: int = 64,
        **kwargs: Any,  # noqa: ANN401
    ) -> None:
        self.hidden = hidden
        parent: Any = super()
        parent.__init__(observation_space, action_space, lr_schedule, **(self.defaults | kwargs))


class EquivariantActorCritic(Equivariant):
    """Replaces the networks of an actor-critic policy without memory; arguments as for `Equivariant`."""

    defaults: ClassVar[dict[str, Any]] = Equivariant.defaults | {"ortho_init": False}

    def _build_mlp_extractor(self) -> None:
        policy: Any = self
        heads = Heads(LatentLayout.of(policy.observation_space), self.hidden)
        policy.mlp_extractor = heads.to(policy.device)

    def _build(self, lr_schedule: Schedule) -> None:
        policy, parent = cast(Any, self), cast(Any, super())
        parent._build(lr_schedule)
        # SB3's last layers would mix the actions: they are removed, and the optimizer is made without them.
        policy.action_net, policy.value_net = nn.Identity(), nn.Identity()
        policy.optimizer = policy.optimizer_class(policy.parameters(), lr=lr_schedule(1), **policy.optimizer_kwargs)


class EquivariantPolicy(EquivariantActorCritic, ActorCriticPolicy):
    """Actor and critic of PPO and A2C."""


class EquivariantMaskablePolicy(EquivariantActorCritic, MaskableActorCriticPolicy):
    """Actor and critic of MaskablePPO."""


class EquivariantRecurrentPolicy(Equivariant, RecurrentActorCriticPolicy):
    """Actor and critic of RecurrentPPO: each has an LSTM that reads the steps, and networks that read its output.

    Arguments as for `Equivariant`.
    """

    defaults: ClassVar[dict[str, Any]] = {"net_arch": [], "features_extractor_class": Feedback}

    def __init__(
        self,
        observation_space: spaces.Space[Any],
        action_space: spaces.Discrete,
        lr_schedule: Schedule,
        *,
        hidden: int = 64,
        **kwargs: Any,  # noqa: ANN401
    ) -> None:
        kwargs = {"lstm_hidden_size": hidden} | kwargs
        super().__init__(observation_space, action_space, lr_schedule, hidden=hidden, **kwargs)
        layout = LatentLayout.of(observation_space)
        if layout.reward:
            for lstm in (self.lstm_actor, self.lstm_critic):
                if lstm is not None:
                    start_as_sums(lstm, layout.n)
        self.action_net = RememberingScores(layout, self.lstm_output_dim, hidden).to(self.device)
        self.value_net = RememberingValue(layout, self.lstm_output_dim, hidden).to(self.device)  # type: ignore[assignment]
        optimizer: Any = self.optimizer_class
        self.optimizer = optimizer(self.parameters(), lr=lr_schedule(1), **self.optimizer_kwargs)

    def forward(  # type: ignore[override]
        self,
        obs: dict[str, Tensor],
        lstm_states: RNNStates,
        episode_starts: Tensor,
        deterministic: bool = False,
    ) -> tuple[Tensor, Tensor, Tensor, RNNStates]:
        """Actions `[B]`, values `[B, 1]`, log-probabilities `[B]` and the new LSTM states."""
        distribution, actor = self.get_distribution(obs, lstm_states.pi, episode_starts)
        output, critic = self.remember(self.lstm_critic, obs, lstm_states.vf, episode_starts)
        actions = distribution.get_actions(deterministic=deterministic)
        return actions, self.value_net(obs, output), distribution.log_prob(actions), RNNStates(actor, critic)

    def get_distribution(  # type: ignore[override]
        self, obs: dict[str, Tensor], lstm_states: Memory, episode_starts: Tensor
    ) -> tuple[Distribution, Memory]:
        """Distribution over the actions of each row, and the actor's new LSTM states."""
        output, states = self.remember(self.lstm_actor, obs, lstm_states, episode_starts)
        assert isinstance(self.action_dist, CategoricalDistribution)
        distribution: Distribution = self.action_dist.proba_distribution(action_logits=self.action_net(obs, output))
        return distribution, states

    def predict_values(  # type: ignore[override]
        self, obs: dict[str, Tensor], lstm_states: Memory, episode_starts: Tensor
    ) -> Tensor:
        """Values `[B, 1]`."""
        output, _ = self.remember(self.lstm_critic, obs, lstm_states, episode_starts)
        value: Tensor = self.value_net(obs, output)
        return value

    def evaluate_actions(  # type: ignore[override]
        self, obs: dict[str, Tensor], actions: Tensor, lstm_states: RNNStates, episode_starts: Tensor
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """Values `[B, 1]`, log-probabilities of `actions` `[B]` and entropies `[B]`."""
        distribution, _ = self.get_distribution(obs, lstm_states.pi, episode_starts)
        values = self.predict_values(obs, lstm_states.vf, episode_starts)
        return values, distribution.log_prob(actions), distribution.entropy()

    def remember(
        self, lstm: nn.LSTM | None, obs: dict[str, Tensor], states: Memory, episode_starts: Tensor
    ) -> tuple[Tensor, Memory]:
        """An LSTM's output after these steps, `[B, hidden]`, and its new states."""
        assert lstm is not None
        features: Tensor = self.features_extractor(obs)
        output, after = self._process_sequence(features, states, episode_starts, lstm)
        return output, after


class EquivariantQNetwork(QNetwork):
    """Values of the actions: the state's value plus what each action adds; near `MASKED` where none is offered.

    Args:
        hidden: Width of the hidden layers.
        **kwargs: Arguments of SB3's `QNetwork`.
    """

    def __init__(self, *, hidden: int, **kwargs: Any) -> None:  # noqa: ANN401
        super().__init__(**kwargs)
        self.q_net = ActionValues(LatentLayout.of(self.observation_space), hidden)  # type: ignore[assignment]

    def forward(self, obs: Any) -> Tensor:  # noqa: ANN401
        """Q `[B, K]`."""
        values: Tensor = self.q_net(obs)
        return values


class EquivariantQPolicy(Equivariant, DQNPolicy):
    """Networks of DQN; arguments as for `Equivariant`."""

    def make_q_net(self) -> QNetwork:
        """Make a new network."""
        arguments = self._update_features_extractor(self.net_args, features_extractor=None)
        return EquivariantQNetwork(hidden=self.hidden, **arguments).to(self.device)
