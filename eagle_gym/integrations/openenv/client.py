"""The client of one session: `reset`, `step` and `state` on a server of OpenEnv.

For example::

    with EagleClient(base_url="http://localhost:8000").sync() as env:
        result = env.reset(seed=0)
        result = env.step(EagleAction(answer=3))

It is asynchronous without `sync()`.
"""

from __future__ import annotations

from typing import Any

from openenv.core import EnvClient
from openenv.core.client_types import StepResult

from eagle_gym.integrations.openenv.models import EagleAction, EagleObservation, EagleState


class EagleClient(EnvClient[EagleAction, EagleObservation, EagleState]):
    """A session with an episode of its own; it is asynchronous, and `sync()` makes it an ordinary object."""

    def _step_payload(self, action: EagleAction) -> dict[str, Any]:
        return dict(action.model_dump())

    def _parse_result(self, payload: dict[str, Any]) -> StepResult[EagleObservation]:
        told = {"reward": payload.get("reward"), "done": payload.get("done", False)}
        observation = EagleObservation(**{**payload["observation"], **told})
        return StepResult(observation=observation, **told)

    def _parse_state(self, payload: dict[str, Any]) -> EagleState:
        return EagleState(**payload)
