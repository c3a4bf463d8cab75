"""Studies that are made up, and raters who take them over HTTP."""

from __future__ import annotations

import http.client
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlencode, urlsplit

from benchmarks.rating.make import make_study
from benchmarks.rating.settings import DEFAULTS
from benchmarks.rating.study import Study
from benchmarks.running.files import ROOT
from tests.benchmarks.made_runs import write_cell

METHODS = ("eagle", "ppo", "uniform")
PROFILE = "Enjoys films on submarines."
LIKED = ("Deep: A film on a submarine.", "Deeper: A film on two submarines.")
TEXT = "This is a quiet film about a diver. She looks for her brother. It ends well."


def describe(environment: str, user: str) -> tuple[str, tuple[str, ...]]:
    return f"{PROFILE} ({user})", LIKED


def make_run(
    folder: Path, methods: tuple[str, ...] = METHODS, seeds: int = 2, text: str = TEXT, count: int = 6
) -> Path:
    """A run whose cells share their starts; the last text names its method."""
    for seed in range(seeds):
        for place, method in enumerate(methods):
            gains = [0.1 * i + place for i in range(count)]
            write_cell(folder, method, seed, gains, text=text)
    return folder


def small_settings(folder: Path, **changes: str) -> Path:
    """The default settings with some lines changed."""
    text = DEFAULTS.read_text()
    for name, value in changes.items():
        text, count = re.subn(rf"^{name} = .*$", f"{name} = {value}", text, count=1, flags=re.M)
        assert count == 1, name
    path = folder / "settings.toml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def small_study(
    folder: Path, *, scales: int = 4, pairs: int = 4, text: str = TEXT, seed: int = 0, **changes: str
) -> Study:
    run = make_run(folder / "run", text=text)
    settings = small_settings(folder, **({"tasks_per_rater": "8"} | changes))
    return make_study(
        [run], folder / "study", scales=scales, pairs=pairs, settings=settings, seed=seed, describe=describe
    )


@dataclass
class Browser:
    """A client without JavaScript that keeps cookies, as one rater has it."""

    address: str
    cookies: dict[str, str] = field(default_factory=dict)

    def request(
        self, method: str, path: str, fields: Mapping[str, str] | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        body = urlencode(fields) if fields is not None else None
        sent = {"Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items())} if self.cookies else {}
        if body is not None:
            sent["Content-Type"] = "application/x-www-form-urlencoded"
        with closing(http.client.HTTPConnection(self.address, timeout=60)) as connection:
            connection.request(method, path, body, {**sent, **(headers or {})})
            response = connection.getresponse()
            found = {name.lower(): value for name, value in response.getheaders()}
            answer = Answer(response.status, found, response.read().decode())
        if "set-cookie" in answer.headers:
            name, _, value = answer.headers["set-cookie"].partition(";")[0].partition("=")
            self.cookies[name] = value
        return answer

    def get(self, path: str = "/") -> Answer:
        return self.request("GET", path)

    def send(self, path: str, fields: Mapping[str, str]) -> Answer:
        return self.request("POST", path, fields)

    def join(self, link: str) -> Answer:
        answer = self.get(urlsplit(link).path)
        return self.get() if answer.status == 303 else answer

    def begin(self, link: str) -> Answer:
        """From the link to the first task."""
        page = self.join(link)
        self.send("/consent", {"key": page.key, "agree": "yes"})
        return self.get()

    def rate(self, page: Answer, choice: int = 0) -> Answer:
        return self.send("/rate", page.fields(choice))


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    text: str

    @property
    def key(self) -> str:
        return re.findall(r'name="key" value="(\w+)"', self.text)[0]

    @property
    def position(self) -> int:
        return int(re.findall(r'name="position" value="(\d+)"', self.text)[0])

    @property
    def done(self) -> bool:
        return "you have rated everything" in self.text

    def fields(self, choice: int = 0) -> dict[str, str]:
        """The form of a task, filled in."""
        options: dict[str, list[str]] = {}
        for name, value in re.findall(r'type="radio" name="(\w+)" value="(\w+)"', self.text):
            options.setdefault(name, []).append(value)
        answers = {name: values[choice % len(values)] for name, values in options.items()}
        return {"key": self.key, "position": str(self.position), **answers}


@contextmanager
def served(study: Path, *, port: int = 0) -> Iterator[Server]:
    """The real server in a process of its own."""
    server = Server(study, port or free_port())
    try:
        yield server
    finally:
        server.kill()


class Server:
    def __init__(self, study: Path, port: int) -> None:
        self.study, self.port = study, port
        self.process = self.start()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "benchmarks", "serve", str(self.study), "--port", str(self.port)]
        self.process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        assert self.process.stdout is not None
        self.said = self.process.stdout.readline()
        deadline = time.monotonic() + 60
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return self.process
            except OSError:
                assert time.monotonic() < deadline, "the server did not start"
                assert self.process.poll() is None, self.said
                time.sleep(0.05)

    def kill(self) -> None:
        """End it at once, as a power cut would."""
        self.process.kill()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
