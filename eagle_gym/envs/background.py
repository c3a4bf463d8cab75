"""Work in a thread, one piece at a time, with the errors of Gymnasium's asynchronous environments."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any

from gymnasium.error import AlreadyPendingCallError, NoAsyncCallError


class Background:
    """One piece of work at a time, which runs in a thread of its own.

    Copies and pickles are idle.
    """

    def __init__(self) -> None:
        self._executor: ThreadPoolExecutor | None = None
        self._future: Future[Any] | None = None

    def __reduce__(self) -> tuple[type[Background], tuple[()]]:
        self.check_idle("copy")
        return Background, ()

    def check_idle(self, what: str) -> None:
        """Check that nothing is pending.

        Args:
            what: What the caller wants to do.

        Raises:
            AlreadyPendingCallError: Something is pending.
        """
        if self._future is not None:
            raise AlreadyPendingCallError(
                f"expected no pending step for {what}, got one that step_async began: call step_wait() first", "step"
            )

    def start(self, work: Callable[[], Any]) -> None:
        """Begin a piece of work.

        Raises:
            AlreadyPendingCallError: Another one is pending.
        """
        self.check_idle("step_async")
        if self._executor is None:
            self._executor = ThreadPoolExecutor(1, thread_name_prefix="eagle_gym")
        self._future = self._executor.submit(work)

    def result(self, timeout: float | None = None) -> Any:  # noqa: ANN401 - of the work
        """Wait for the pending work and return its result.

        Args:
            timeout: Seconds to wait at most; None waits until it is done.

        Raises:
            NoAsyncCallError: Nothing is pending.
            multiprocessing.TimeoutError: It is not done in time. It goes on, and may be waited for again.
            Exception: What the work raised. Nothing is pending then.
        """
        if self._future is None:
            raise NoAsyncCallError("expected a pending step, got none: call step_async(actions) first", "step")
        if not wait([self._future], timeout).done:
            raise multiprocessing.TimeoutError(f"the step has not ended within {timeout} seconds: wait for it again")
        future, self._future = self._future, None
        return future.result()

    def close(self, timeout: float | None = None) -> None:
        """Wait for pending work, at most `timeout` seconds, and drop its result or its error."""
        if self._future is not None:
            self._future.cancel()
            wait([self._future], timeout)
            self._future = None
        if self._executor is not None:
            self._executor.shutdown(wait=False)
            self._executor = None
