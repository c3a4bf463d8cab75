"""The environment as a server of OpenEnv, with a session for each client.

    python -m eagle_gym.integrations.openenv.server --task plan --port 8000

Every session has its own episode and its own seed. All sessions share a language model, so their steps run one after
the other.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from functools import partial
from typing import Any

try:
    import uvicorn
    from fastapi import FastAPI
    from openenv.core.env_server.http_server import create_app
    from openenv.core.env_server.interfaces import Environment
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        f"expected OpenEnv, got {error}: pip install 'eagle_gym[openenv]' in an environment of its own"
    ) from error

from eagle_gym.catalogs import CATALOGS
from eagle_gym.envs.observation import shown_utility
from eagle_gym.errors import EagleError
from eagle_gym.integrations.chat import Chat
from eagle_gym.integrations.openenv.models import EagleAction, EagleObservation, EagleState

EXAMPLES = """\
examples:
  python -m eagle_gym.integrations.openenv.server --arguments '{"language_model": "grammar"}'    the fastest environment
  python -m eagle_gym.integrations.openenv.server --task plan --split test --sessions 8
  python -m eagle_gym.integrations.openenv.server --catalog movielens --arguments '{"root": "ml-latest-small"}'

Then, in a client:
  from eagle_gym.integrations.openenv.client import EagleClient
  from eagle_gym.integrations.openenv.models import EagleAction
  with EagleClient(base_url="http://localhost:8000").sync() as env:
      result = env.reset(seed=0)
      result = env.step(EagleAction(answer=3))

Each client has a session with an episode of its own. Equal seeds and answers give equal episodes.
"""


class EagleEnvironment(Environment[EagleAction, EagleObservation, EagleState]):
    """One session: an episode as a conversation.

    Args:
        **chat: Arguments of `Chat`.
    """

    SUPPORTS_CONCURRENT_SESSIONS = True
    REQUIRES_SINGLE_THREAD_EXECUTOR = True  # one thread for all sessions, which share a language model and caches

    def __init__(self, **chat: Any) -> None:  # noqa: ANN401
        super().__init__()
        self._chat = Chat(**chat)
        self._episode: dict[str, Any] = {}

    def reset(
        self,
        seed: int | None = None,
        episode_id: str | None = None,
        **options: Any,  # noqa: ANN401
    ) -> EagleObservation:
        """Start an episode.

        Args:
            seed: Seed of the user, the text and every rewrite.
            episode_id: A name that `state` repeats.
            **options: `user`, `item` and `text` set the start.
        """
        text = self._chat.reset(seed, options)
        self._episode = {"seed": seed, "episode_id": episode_id}
        return EagleObservation(text=text, edits=self._edits(), reward=None, done=False)

    def step(
        self,
        action: EagleAction,
        timeout_s: float | None = None,
        **_: Any,  # noqa: ANN401
    ) -> EagleObservation:
        """Take an answer. One that names no edit is a turn without effect; a failed rewrite is an error."""
        turn = self._chat.answer(str(action.answer))
        return EagleObservation(
            text=turn.observation,
            edits=self._edits(),
            edit=turn.edit,
            valid=turn.valid,
            gains=dict(turn.gains),
            reward=turn.reward,
            done=turn.over,
        )

    @property
    def state(self) -> EagleState:
        """The state of the episode; empty before the first reset."""
        if not self._episode:
            return EagleState()
        chat, state, world = self._chat, self._chat.state, self._chat.env.world
        return EagleState(
            **self._episode,
            step_count=chat.turns_taken,
            current=state.text,
            user_id=world.catalog.users[state.user] if world.settings.shows_taste else "",
            utility=shown_utility(world, state),
        )

    def _edits(self) -> dict[int, str]:
        return {number: edit for number, edit in enumerate(self._chat.state.action_set.edits) if edit}

    def close(self) -> None:
        """Close the session's environment."""
        self._chat.close()


def make_app(*, sessions: int = 64, **chat: Any) -> FastAPI:  # noqa: ANN401
    """The server as an ASGI application.

    Args:
        sessions: The most sessions at once; a client too many is refused.
        **chat: Arguments of `Chat`.

    Raises:
        EagleError: The environment cannot be made.
    """
    kept = Chat(**chat)  # sessions share its parts, so they start at once
    app: FastAPI = create_app(
        partial(EagleEnvironment, **chat),
        EagleAction,
        EagleObservation,
        env_name="eagle_gym",
        max_concurrent_envs=sessions,
        state_cls=EagleState,
    )
    app.state.kept = kept
    return app


class _Help(argparse.ArgumentDefaultsHelpFormatter, argparse.RawDescriptionHelpFormatter):
    """Shows defaults, and the examples as they are."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Read the command line and serve; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m eagle_gym.integrations.openenv.server",
        description="Serve the environment by OpenEnv's protocol.",
        epilog=EXAMPLES,
        formatter_class=_Help,
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen at")
    parser.add_argument("--port", type=int, default=8000, help="port to listen at, 0 for a free one")
    parser.add_argument("--sessions", type=int, default=64, help="the most sessions at once")
    parser.add_argument("--task", default="default", help="name of the task")
    parser.add_argument("--catalog", default="plots", choices=CATALOGS, help="name of the catalog")
    parser.add_argument("--split", default="train", choices=("train", "test"), help="users and items of episodes")
    parser.add_argument("--free-edits", action="store_true", help="answers may be edits in the agent's own words")
    parser.add_argument(
        "--arguments",
        type=json.loads,
        default={},
        metavar="JSON",
        help="""further arguments of the environment, such as '{"language_model": "grammar"}'""",
    )
    options = vars(parser.parse_args(arguments))
    host, port = options.pop("host"), options.pop("port")
    try:
        app = make_app(**options)
    except EagleError as error:
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        return 1
    uvicorn.run(app, host=host, port=port)
    return 0


if __name__ == "__main__":
    sys.exit(main())
