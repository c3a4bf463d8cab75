"""Raters in a real browser: Chromium, driven by Playwright, without JavaScript as well as with it.

`RATING_SHOTS=FOLDER` keeps pictures of the pages.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.rating.invitations import invite
from benchmarks.rating.store import Store
from benchmarks.rating.study import Study
from tests.benchmarks.rating.studies import Server, small_study

playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed: pip install playwright")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed: apt-get install chromium")

DESKTOP = {"viewport": {"width": 1280, "height": 900}}
PHONE = {"viewport": {"width": 375, "height": 740}, "is_mobile": True, "has_touch": True, "device_scale_factor": 2}
SHOTS = os.environ.get("RATING_SHOTS")
SCRIPT = (
    "<script>document.title = 'taken'; document.body.innerHTML = ''</script> A long film about a diver & her brother. "
    "<img src=x onerror=\"document.title='taken'\"> Averyveryveryveryveryveryveryveryveryverylongwordwithoutanyspace."
)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    return small_study(tmp_path_factory.mktemp("browser"), text=SCRIPT)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with playwright.sync_playwright() as found:
        browser = found.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


def links(study: Study, server: Server, count: int = 1) -> list[str]:
    return [line.split()[1] for line in invite(study.folder, count, 1, f"http://{server.address}")]


def count(study: Study) -> int:
    with Store(study) as store:
        return len(store.ratings())


def begin(page: Any, link: str) -> None:
    page.goto(link)
    page.get_by_label("I agree to take part").check()
    with page.expect_navigation():
        page.get_by_role("button", name="Begin").click()


def questions(page: Any) -> list[Any]:
    return list(page.locator("fieldset").all())


def answer(page: Any, place: int) -> None:
    for question in questions(page):
        options = question.get_by_role("radio")
        options.nth(place % options.count()).check()


def progress(page: Any) -> tuple[int, int]:
    one, other = re.findall(r"(\d+) of (\d+)", page.locator("h1").inner_text())[0]
    return int(one), int(other)


def send(page: Any) -> None:
    """Press the button below the questions and wait for the next page."""
    with page.expect_navigation():
        page.get_by_role("button", name="Store and go on").click()


def shoot(page: Any, name: str) -> None:
    if SHOTS:
        page.screenshot(path=Path(SHOTS) / f"{name}.png", full_page=True)


@pytest.mark.parametrize(
    ("device", "script"), [(DESKTOP, True), (PHONE, True), (DESKTOP, False)], ids=["desktop", "phone", "no script"]
)
def test_a_whole_session_with_a_reload_in_the_middle(
    study: Study, server: Server, chromium: Any, device: dict[str, Any], script: bool
) -> None:
    context = chromium.new_context(**device, java_script_enabled=script)
    page = context.new_page()
    (link,) = links(study, server)
    name = "phone" if device is PHONE else "desktop"
    before = count(study)
    page.goto(link)
    shoot(page, f"consent-{name}")
    assert link.rpartition("/")[2] not in page.url
    begin(page, link)
    _, of = progress(page)
    seen = set()
    for place in range(of):
        assert progress(page) == (place + 1, of)
        kind = "pair" if page.locator("h1").inner_text().startswith("Two") else "scale"
        if kind not in seen:
            shoot(page, f"{kind}-{name}")
        seen.add(kind)
        if script:
            assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
        assert all(len(item.get_by_role("radio").all()) == (3 if kind == "pair" else 5) for item in questions(page))
        if place == of // 2:
            texts = page.locator("blockquote").all_inner_texts()
            page.reload()
            assert page.locator("blockquote").all_inner_texts() == texts
            page = context.new_page()  # the tab was closed, and the link opened again
            page.goto(link)
            assert progress(page) == (place + 1, of)
        answer(page, place)
        send(page)
        assert count(study) == before + place + 1
        page.reload()
        assert count(study) == before + place + 1
    assert seen == {"pair", "scale"}
    assert "you have rated everything" in page.locator("h1").inner_text()
    page.get_by_label(re.compile("anything you want to tell us")).fill("Thank you")
    page.get_by_role("button", name="Store the note").click()
    assert page.get_by_role("status").inner_text() == "Your note is stored."
    shoot(page, f"done-{name}")
    context.close()


def test_the_keyboard_is_enough(study: Study, server: Server, chromium: Any) -> None:
    """Tab leads from question to question in their order, arrows and the space bar choose, Enter stores."""
    page = chromium.new_context(**DESKTOP).new_page()
    begin(page, links(study, server)[0])
    before, at = count(study), progress(page)
    names = [item.get_by_role("radio").first.get_attribute("name") for item in questions(page)]
    met: list[str] = []
    for _ in range(40):
        page.keyboard.press("Tab")
        kind, name = page.evaluate("[document.activeElement.type ?? '', document.activeElement.name ?? '']")
        if kind == "submit":
            break
        if kind == "radio":
            met.append(name)
            assert page.evaluate("getComputedStyle(document.activeElement.closest('label')).outlineStyle") == "solid"
            page.keyboard.press("Space")
            page.keyboard.press("ArrowDown")
    assert met == names
    assert page.locator("input[type=radio]:checked").count() == len(names)
    with page.expect_navigation():
        page.keyboard.press("Enter")
    assert count(study) == before + 1
    assert progress(page)[0] == at[0] + 1


def test_every_control_has_a_name_and_every_question_its_sentence(study: Study, server: Server, chromium: Any) -> None:
    page = chromium.new_context(**PHONE).new_page()
    begin(page, links(study, server)[0])
    sentences = {item.sentence for item in study.settings.criteria}
    groups = page.get_by_role("group").all()
    asked = [item for item in groups if item.get_by_role("radio").count()]
    assert {item.locator("legend").inner_text() for item in asked} <= sentences
    for item in page.locator("input:not([type=hidden]), button, textarea").all():
        assert item.evaluate("e => (e.labels?.[0]?.innerText ?? e.innerText).trim()")
    assert page.locator("html").get_attribute("lang") == "en"
    assert page.get_by_role("progressbar").get_attribute("aria-label")
    heights = [item.bounding_box()["height"] for item in page.locator("label.choice").all()]
    assert min(heights) >= 44


def test_a_double_click_counts_once(study: Study, server: Server, chromium: Any) -> None:
    page = chromium.new_context(**DESKTOP).new_page()
    begin(page, links(study, server)[0])
    before, at = count(study), progress(page)
    answer(page, 1)
    page.get_by_role("button", name="Store and go on").dblclick()
    page.wait_for_load_state("networkidle")
    assert count(study) == before + 1
    page.goto(f"http://{server.address}/")
    assert progress(page)[0] == at[0] + 1


def test_back_does_not_rate_again(study: Study, server: Server, chromium: Any) -> None:
    page = chromium.new_context(**DESKTOP).new_page()
    begin(page, links(study, server)[0])
    before = count(study)
    answer(page, 1)
    send(page)
    assert progress(page)[0] == 2
    page.go_back()
    if "of" in page.locator("h1").inner_text():
        answer(page, 2)
        send(page)
    with Store(study) as store:
        found = store.ratings()
    own = [(item.rater, item.showing) for item in found]
    assert len(own) == len(set(own))
    assert before + 1 <= len(found) <= before + 2


def test_two_raters_at_once(study: Study, server: Server, chromium: Any) -> None:
    """Each in a browser of their own: one does not see or change where the other is."""
    pages = [chromium.new_context(**DESKTOP).new_page() for _ in range(2)]
    for page, link in zip(pages, links(study, server, 2), strict=True):
        begin(page, link)
    before = count(study)
    for place in range(4):
        page = pages[place % 2]
        answer(page, place)
        send(page)
    answer(pages[0], 0)
    send(pages[0])
    assert [progress(page)[0] for page in pages] == [4, 3]
    assert count(study) == before + 5


def test_a_second_rater_in_the_same_browser_is_not_taken_for_the_first(
    study: Study, server: Server, chromium: Any
) -> None:
    context = chromium.new_context(**DESKTOP)
    first, second = context.new_page(), context.new_page()
    one, other = links(study, server, 2)
    begin(first, one)
    begin(second, other)
    before = count(study)
    answer(first, 0)
    send(first)
    assert "belongs to another invitation" in first.locator("h1").inner_text()
    assert count(study) == before


def test_an_expired_token(study: Study, server: Server, chromium: Any) -> None:
    page = chromium.new_context(**PHONE).new_page()
    (link,) = links(study, server)
    begin(page, link)
    before = count(study)
    answer(page, 0)
    with Store(study) as store:
        store.expire([store.raters()[-1].id])
    send(page)
    assert "has ended" in page.locator("h1").inner_text()
    shoot(page, "expired-phone")
    assert page.goto(link).status == 410
    assert count(study) == before


def test_a_text_with_a_script_is_only_a_text(study: Study, server: Server, chromium: Any) -> None:
    page = chromium.new_context(**DESKTOP).new_page()
    problems: list[str] = []
    page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
    page.on("requestfailed", lambda request: problems.append(request.url))
    begin(page, links(study, server)[0])
    assert "<script>document.title" in page.locator("blockquote").first.inner_text()
    assert page.locator("blockquote script, blockquote img").count() == 0
    assert "taken" not in page.title()
    assert problems == []
    # if a text did get through, the policy would still forbid its script
    page.evaluate("document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=\"document.title=1\">')")
    page.wait_for_timeout(200)
    assert page.title() != "1"


def test_the_page_cannot_be_framed(study: Study, server: Server, chromium: Any) -> None:
    page = chromium.new_context(**DESKTOP).new_page()
    page.set_content(f'<iframe src="http://{server.address}/"></iframe>')
    page.wait_for_timeout(500)
    frames = [frame for frame in page.frames if frame != page.main_frame]
    assert all("invitation" not in frame.content() for frame in frames)
