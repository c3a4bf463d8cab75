"""The pages that raters see. They are made on the server and need no JavaScript.

`/` shows what comes next: consent, the next task, or the end. A form is answered by a redirect to `/`, so that a reload
sends nothing again.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import uvicorn
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from benchmarks.rating.exclusion import exclude
from benchmarks.rating.guards import Limiter, SecurityHeaders, check_key, form_key, read_form
from benchmarks.rating.records import Rater
from benchmarks.rating.store import NOTE, Store
from benchmarks.rating.study import Showing, Study, Task, read_study
from eagle_gym.errors import ConfigurationError, PreparationError

HERE = Path(__file__).parent
COOKIE = "rater"
LOOPBACK = ("127.0.0.1", "::1", "localhost")
ENDED = "This invitation has ended. Thank you for your help: what you have rated is kept."
UNKNOWN = "Please open the link of your invitation."
STALE = "The study is being changed. Please tell whoever invited you, and come back later."
CHANGED = "You had rated this text before; your first answer counts."


@dataclass(frozen=True)
class Session:
    """A rater who is signed in, with the token of the invitation."""

    rater: Rater
    token: str


class Pages:
    """The pages of a study.

    Args:
        store: Invitations and ratings.
    """

    def __init__(self, store: Store) -> None:
        self._store, self._study = store, store.study
        self._raters = Limiter(burst=60, rate=2.0)
        self._strangers = Limiter(burst=60, rate=0.5)
        self._style = (HERE / "templates" / "style.css").read_text(encoding="utf-8")
        self._templates = Environment(
            loader=FileSystemLoader(HERE / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )

    # What is asked for

    def style(self, request: Request) -> Response:
        """The style sheet."""
        return Response(self._style, media_type="text/css")

    def join(self, request: Request) -> Response:
        """Sign in by the link of an invitation."""
        session = self._session(request, request.path_params["token"])
        response = RedirectResponse("/", 303)
        response.set_cookie(
            COOKIE,
            session.token,
            max_age=int(self._store.left(session.rater)),
            httponly=True,
            samesite="lax",
            secure=request.url.scheme == "https",
        )
        return response

    def home(self, request: Request) -> Response:
        """What comes next for a rater."""
        session = self._session(request)
        if session.rater.consent_at is None:
            return self._page("consent.html", session, paragraphs=paragraphs(self._study.settings.consent))
        found = self._store.next_showing(session.rater)
        if found is None:
            return self._page("done.html", session, longest=NOTE)
        return self._task(session, *found, notice=CHANGED if "changed" in request.query_params else "")

    async def consent(self, request: Request) -> Response:
        """Store a rater's consent."""
        session, fields = await self._form(request)
        if fields.get("agree") != "yes":
            raise HTTPException(422, "Please say that you agree, or close this page: nothing was stored.")
        await run_in_threadpool(self._agree, session.rater)
        return RedirectResponse("/", 303)

    async def rate(self, request: Request) -> Response:
        """Store a rating. It is on the disk before the rater is told so."""
        session, fields = await self._form(request)
        return await run_in_threadpool(self._rate, session, fields)

    async def note(self, request: Request) -> Response:
        """Store the note of a rater who has rated everything."""
        session, fields = await self._form(request)
        if session.rater.finished_at is None:
            raise HTTPException(409, "Please rate all texts first.")
        await run_in_threadpool(self._store.set_note, session.rater, fields.get("note", "").strip())
        return RedirectResponse("/", 303)

    def error(self, request: Request, error: Exception) -> Response:
        """The page of an error."""
        assert isinstance(error, HTTPException)
        return self._render("error.html", error.status_code, error.headers, message=error.detail)

    def changed(self, request: Request, error: Exception) -> Response:
        """The page of a study that was changed while it was served."""
        return self._render("error.html", 503, None, message=STALE)

    # Parts

    def _session(self, request: Request, token: str = "") -> Session:
        """The rater of a token or, without one, of the cookie.

        Raises:
            HTTPException: 401 (nobody has the token), 410 (its invitation ended) or 429 (too many requests).
        """
        token = token or request.cookies.get(COOKIE, "")
        rater = self._store.find(token) if token else None
        if rater is None:
            self._strangers.check(request.client.host if request.client else "")
            raise HTTPException(401, UNKNOWN)
        self._raters.check(rater.id)
        if self._store.expired(rater):
            raise HTTPException(410, ENDED)
        return Session(rater, token)

    async def _form(self, request: Request) -> tuple[Session, dict[str, str]]:
        session = await run_in_threadpool(self._session, request)
        fields = await read_form(request)
        check_key(session.token, fields)
        return session, fields

    def _agree(self, rater: Rater) -> None:
        excluded = exclude(self._study, self._store.raters(), self._store.ratings(), finished=True)
        self._store.agree(rater, excluded)

    def _rate(self, session: Session, fields: Mapping[str, str]) -> Response:
        rater, number = session.rater, fields.get("position", "")
        position = int(number) if number.isascii() and number.isdigit() and len(number) < 7 else -1
        if rater.slot is None or not self._store.was_shown(rater, position):
            raise HTTPException(409, "This text is not yours to rate now: please go on from the start page.")
        showing = self._study.slots[rater.slot][position]
        task = self._study.by_id[showing.task]
        asked = task.asked(self._study.settings.criteria)
        answers = {item.name: fields[item.name] for item in asked if fields.get(item.name) in task.choices()}
        if len(answers) < len(asked):
            return self._task(session, position, showing, answers=answers, status=422)
        same = self._store.rate(rater, position, answers)
        return RedirectResponse("/" if same else "/?changed", 303)

    def _task(
        self,
        session: Session,
        position: int,
        showing: Showing,
        *,
        answers: Mapping[str, str] | None = None,
        notice: str = "",
        status: int = 200,
    ) -> Response:
        """The page of a task; with `answers`, those that were given are kept and the others asked for."""
        task = self._study.by_id[showing.task]
        asked = task.asked(self._study.settings.criteria)
        assert session.rater.slot is not None
        return self._page(
            "task.html",
            session,
            status=status,
            task=task,
            texts=task.order(showing.swapped),
            asked=asked,
            labels=labels(task, self._study),
            position=position,
            count=len(self._study.slots[session.rater.slot]),
            answers=answers or {},
            missing=[] if answers is None else [item for item in asked if item.name not in answers],
            notice=notice,
        )

    def _page(self, name: str, session: Session, status: int = 200, **values: Any) -> Response:  # noqa: ANN401 - of a template
        return self._render(name, status, None, rater=session.rater, key=form_key(session.token), **values)

    def _render(self, name: str, status: int, headers: Mapping[str, str] | None, **values: Any) -> Response:  # noqa: ANN401 - of a template
        template = self._templates.get_template(name)
        return HTMLResponse(template.render(title=self._study.settings.title, **values), status, headers)


def labels(task: Task, study: Study) -> list[tuple[str, str]]:
    """The answers of a task and the words for them."""
    words = ("Text 1", "no difference", "Text 2") if task.paired else study.settings.scale
    return list(zip(task.choices(), words, strict=True))


def paragraphs(text: str) -> list[str]:
    """The paragraphs of a text."""
    return [part.strip() for part in text.split("\n\n") if part.strip()]


def make_app(store: Store) -> ASGIApp:
    """The application of a study."""
    pages = Pages(store)
    routes = [
        Route("/", pages.home),
        Route("/style.css", pages.style),
        Route("/join/{token}", pages.join),
        Route("/consent", pages.consent, methods=["POST"]),
        Route("/rate", pages.rate, methods=["POST"]),
        Route("/note", pages.note, methods=["POST"]),
    ]
    handlers = {HTTPException: pages.error, PreparationError: pages.changed}
    return SecurityHeaders(Starlette(routes=routes, exception_handlers=handlers))


def serve(folder: Path, host: str, port: int) -> None:
    """Serve a study until the process is interrupted.

    Raises:
        ConfigurationError: The address cannot be used.
        PreparationError: There is no study, or it was changed after its first rating.
    """
    with Store(read_study(folder)) as store:
        try:
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            listener = socket.create_server((host, port), family=family, backlog=1024)
        except OSError as error:
            raise ConfigurationError(
                f"expected a free address, got {host}:{port} ({error}): name another --port"
            ) from error
        with listener:
            shown = f"[{host}]" if ":" in host else host
            say = partial(print, flush=True)
            say(f"{folder} at http://{shown}:{listener.getsockname()[1]}; Ctrl-C ends it, and every rating is kept")
            if host not in LOOPBACK:
                say("Others can reach this address. Let a reverse proxy with HTTPS stand before it.")
            config = uvicorn.Config(
                make_app(store), log_level="warning", access_log=False, server_header=False, timeout_graceful_shutdown=5
            )
            uvicorn.Server(config).run(sockets=[listener])
