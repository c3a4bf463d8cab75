"""The real server over HTTP: a session, attacks, limits, kills and load."""

from __future__ import annotations

import re
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPException
from pathlib import Path

import pytest
from starlette.exceptions import HTTPException as Refusal

from benchmarks.rating.guards import LARGEST, Limiter
from benchmarks.rating.invitations import invite
from benchmarks.rating.records import Rating
from benchmarks.rating.simulated import Clock
from benchmarks.rating.store import Store
from benchmarks.rating.study import Study, read_study
from tests.benchmarks.rating.studies import LIKED, METHODS, Browser, Server, served, small_study

SCRIPT = "<script>document.title = 'taken'</script> A film & a \"quote\" <img src=x onerror=alert(1)>. About you."


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    return small_study(tmp_path_factory.mktemp("rating"), text=SCRIPT)


def link(study: Study, days: float = 1) -> str:
    return next(invite(study.folder, 1, days, "http://127.0.0.1")).split()[1]


def links(study: Study, count: int) -> list[str]:
    return [line.split()[1] for line in invite(study.folder, count, 1, "http://127.0.0.1")]


def stored(study: Study) -> list[Rating]:
    with Store(study) as store:
        return store.ratings()


def test_a_whole_session(study: Study, server: Server) -> None:
    browser = Browser(server.address)
    own = link(study)
    first = browser.join(own)
    assert "Before you begin" in first.text
    page = browser.begin(own)
    before = len(stored(study))
    seen = 0
    while not page.done:
        assert f"{page.position + 1} of" in page.text
        answer = browser.rate(page, seen)
        assert (answer.status, answer.headers["location"]) == (303, "/")
        assert len(stored(study)) == before + seen + 1
        page, seen = browser.get(), seen + 1
    assert seen in {len(slot) for slot in study.slots}
    assert browser.send("/note", {"key": page.key, "note": "  =1+1 <b>fine</b>\n"}).status == 303
    assert "=1+1 &lt;b&gt;fine&lt;/b&gt;" in browser.get().text
    assert Browser(server.address).join(own).done


def test_pages_show_no_method_and_no_role(study: Study, server: Server) -> None:
    browser = Browser(server.address)
    page, shown = browser.begin(link(study)), ""
    while not page.done:
        shown += page.text
        browser.rate(page)
        page = browser.get()
    texts = {item.text for task in study.tasks for item in task.texts}
    methods = "|".join(METHODS)
    assert not re.search(rf"\b(?:{methods})\b", re.sub(rf"(?:\.|you\.) (?:{methods})\b", "", shown)), texts
    assert not re.search(r"attention|gold|swapped|again", shown)


def test_every_answer_has_the_headers(study: Study, server: Server) -> None:
    browser = Browser(server.address)
    own = link(study)
    answers = [browser.get("/"), browser.get("/style.css"), browser.get("/nothing"), browser.send("/rate", {})]
    answers += [browser.request("DELETE", "/"), browser.get("/join/wrong"), browser.join(own), browser.get()]
    assert [item.status for item in answers] == [401, 200, 404, 401, 405, 401, 200, 200]
    for item in answers:
        policy = item.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert item.headers["x-frame-options"] == "DENY"
        assert item.headers["x-content-type-options"] == "nosniff"
        assert item.headers["referrer-policy"] == "no-referrer"
        assert item.headers["cache-control"] == "no-store"
        assert "server" not in item.headers
        assert not re.search(r"<script|style=|<style|\son\w+=[\"']", item.text)


def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites(study: Study, server: Server) -> None:
    path = "/join/" + link(study).rpartition("/")[2]
    flags = Browser(server.address).get(path).headers["set-cookie"].lower()
    assert "httponly" in flags
    assert "samesite=lax" in flags
    assert "secure" not in flags
    behind = Browser(server.address).request("GET", path, headers={"X-Forwarded-Proto": "https"})
    assert "secure" in behind.headers["set-cookie"].lower()


def test_texts_are_escaped(study: Study, server: Server) -> None:
    page = Browser(server.address).begin(link(study))
    assert "&lt;script&gt;" in page.text
    assert "<script" not in page.text
    assert "<img" not in page.text
    assert LIKED[0] in page.text


def test_a_form_without_the_raters_own_key_is_refused(study: Study, server: Server) -> None:
    """Another site has no key; nor has another rater who joined in the same browser since the page was opened."""
    browser = Browser(server.address)
    page = browser.begin(link(study))
    before = len(stored(study))
    assert browser.send("/rate", page.fields() | {"key": "0" * 64}).status == 403
    assert browser.send("/rate", {name: value for name, value in page.fields().items() if name != "key"}).status == 403
    browser.begin(link(study))
    assert browser.send("/rate", page.fields()).status == 403
    assert len(stored(study)) == before


def test_answers_that_are_missing_or_strange_are_asked_for_and_the_others_kept(study: Study, server: Server) -> None:
    browser = Browser(server.address)
    page = browser.begin(link(study))
    before, fields = len(stored(study)), page.fields(1)
    kept, lost = list(fields)[2:4]
    for wrong in (fields | {lost: "6"}, {name: value for name, value in fields.items() if name != lost}):
        answer = browser.send("/rate", wrong)
        assert answer.status == 422
        assert f'href="#q-{lost}"' in answer.text
        assert f'href="#q-{kept}"' not in answer.text
        assert f'name="{kept}" value="{fields[kept]}" required checked' in answer.text
        assert 'role="alert"' in answer.text
    for position in ("7", "-1", "999999", "²", "1e3", ""):
        assert browser.send("/rate", fields | {"position": position}).status == 409
    assert len(stored(study)) == before
    assert browser.send("/rate", fields).status == 303


def test_a_form_sent_twice_counts_once(study: Study, server: Server) -> None:
    browser = Browser(server.address)
    page = browser.begin(link(study))
    before, cookies = len(stored(study)), dict(browser.cookies)
    with ThreadPoolExecutor(8) as pool:
        sent = list(pool.map(lambda _: Browser(server.address, dict(cookies)).rate(page), range(8)))
    assert {item.status for item in sent} == {303}
    assert len(stored(study)) == before + 1
    changed = browser.rate(page, 1)
    assert changed.headers["location"] == "/?changed"
    assert "your first answer counts" in browser.get("/?changed").text
    assert len(stored(study)) == before + 1


def test_consent_comes_first(study: Study, server: Server) -> None:
    browser = Browser(server.address)
    page = browser.join(link(study))
    assert browser.send("/consent", {"key": page.key}).status == 422
    assert browser.send("/rate", {"key": page.key, "position": "0"}).status == 409
    assert browser.send("/note", {"key": page.key, "note": "early"}).status == 409
    assert "Before you begin" in browser.get().text


def test_an_invitation_that_ended_shows_nothing_and_stores_nothing(study: Study, server: Server) -> None:
    browser = Browser(server.address)
    own = link(study)
    page = browser.begin(own)
    before = len(stored(study))
    with Store(study) as store:
        store.expire([store.raters()[-1].id])
    for answer in (browser.get(), browser.rate(page), Browser(server.address).join(own)):
        assert answer.status == 410
        assert "has ended" in answer.text
        assert "The original" not in answer.text
    assert len(stored(study)) == before


def test_large_and_strange_bodies_are_refused(study: Study, server: Server) -> None:
    browser = Browser(server.address)
    page = browser.begin(link(study))
    assert browser.send("/rate", page.fields() | {"x": "y" * LARGEST}).status == 413
    assert browser.request("POST", "/rate", page.fields(), {"Content-Type": "application/json"}).status == 415
    assert browser.send("/rate", {f"x{i}": "1" for i in range(100)}).status == 400
    assert browser.send("/rate", page.fields()).status == 303


def test_guessing_tokens_is_slowed_down_and_raters_are_not(study: Study, server: Server) -> None:
    stranger = Browser(server.address)
    statuses = Counter(stranger.get(f"/join/guess-{i}").status for i in range(120))
    assert statuses[429] > 20
    assert stranger.get("/join/guess").headers["retry-after"].isdigit()
    assert Browser(server.address).join(link(study)).status == 200


def test_a_rater_who_asks_too_often_is_slowed_down(study: Study, server: Server) -> None:
    browser = Browser(server.address)
    browser.begin(link(study))
    statuses = Counter(browser.get().status for _ in range(120))
    assert statuses[429] > 20
    assert statuses[200] > 40


def test_a_limiter_lets_so_many_through_and_forgets_the_oldest(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(0.0)
    limiter = Limiter(burst=2, rate=0.5, clock=clock)
    for _ in range(2):
        limiter.check("a")
    with pytest.raises(Refusal) as caught:
        limiter.check("a")
    assert caught.value.headers == {"Retry-After": "3"}
    clock.now += 2
    limiter.check("a")
    monkeypatch.setattr("benchmarks.rating.guards.KNOWN", 3)
    for name in "bcde":
        limiter.check(name)
    assert len(limiter._left) == 3


def test_nothing_confirmed_is_lost_when_the_server_is_killed(tmp_path: Path) -> None:
    """Raters rate without pause while the server is killed at moments that nobody chose, and started again."""
    study = small_study(tmp_path, scales=9, pairs=9, tasks_per_rater="18")
    own = links(study, 4)
    confirmed: list[tuple[str, int]] = []
    stop = threading.Event()
    lock = threading.Lock()

    def work(mine: str, server: Server) -> None:
        browser, page = Browser(server.address), None
        while not stop.is_set():
            try:
                page = page or browser.begin(mine)
                if page.done:
                    return
                position = page.position
                if browser.rate(page).status == 303:
                    with lock:
                        confirmed.append((mine, position))
                page = browser.get()
                time.sleep(0.05)
            except (OSError, HTTPException):
                page = None
                time.sleep(0.05)

    with served(study.folder) as server:
        threads = [threading.Thread(target=work, args=(mine, server)) for mine in own]
        for thread in threads:
            thread.start()
        for pause in (0.4, 0.9):
            target = len(confirmed) + 3
            deadline = time.monotonic() + 60
            while len(confirmed) < target and time.monotonic() < deadline:
                time.sleep(0.01)
            time.sleep(pause / 10)
            server.kill()
            with lock:
                told = Counter(confirmed)
            assert_stored(study, own, told)
            server.start()
        stop.set()
        for thread in threads:
            thread.join()
    assert len(set(confirmed)) >= 6
    assert_stored(study, own, Counter(confirmed))


def assert_stored(study: Study, own: list[str], told: Counter[tuple[str, int]]) -> None:
    """Every confirmed rating is there, and once."""
    with Store(study) as store:
        names = {mine: store.find(mine.rpartition("/")[2]) for mine in own}
        found = Counter((item.rater, item.position) for item in store.ratings())
    wanted = {(rater.id, position) for mine, position in told if (rater := names[mine]) is not None}
    assert len(wanted) == len(told)
    assert wanted <= set(found)
    assert set(found.values()) <= {1}


@pytest.mark.slow
def test_fifty_raters_at_once(tmp_path: Path) -> None:
    """A study of the default size. `pytest -s` shows the times."""
    study = small_study(tmp_path, scales=30, pairs=12, raters="24", tasks_per_rater="20")
    own = links(study, 50)
    barrier = threading.Barrier(50)

    def work(mine: str, address: str) -> tuple[int, list[int], list[float]]:
        browser, statuses, times = Browser(address), list[int](), list[float]()
        barrier.wait()
        page, seen = browser.begin(mine), 0
        while not page.done:
            begin = time.perf_counter()
            statuses.append(browser.rate(page, seen).status)
            times.append(time.perf_counter() - begin)
            page, seen = browser.get(), seen + 1
            statuses.append(page.status)
        return seen, statuses, times

    begin = time.perf_counter()
    with served(study.folder) as server, ThreadPoolExecutor(50) as pool:
        done = list(pool.map(lambda mine: work(mine, server.address), own))
    wall, times = time.perf_counter() - begin, sorted(item for _, _, some in done for item in some)
    print(
        f"50 raters, {len(times)} ratings in {wall:.1f} s with the start of the server; one rating: median "
        f"{1000 * times[len(times) // 2]:.0f} ms, 99 % {1000 * times[99 * len(times) // 100]:.0f} ms, slowest "
        f"{1000 * times[-1]:.0f} ms"
    )
    assert {status for _, statuses, _ in done for status in statuses} == {200, 303}
    assert {seen for seen, _, _ in done} <= {len(slot) for slot in study.slots}
    assert len(stored(read_study(study.folder))) == len(times) == sum(seen for seen, _, _ in done)
