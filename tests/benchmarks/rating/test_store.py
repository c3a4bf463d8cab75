"""Invitations and ratings in their file: what is kept, what counts once, and what is refused."""

from __future__ import annotations

import sqlite3
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.__main__ import main
from benchmarks.rating.records import Rater
from benchmarks.rating.simulated import Clock
from benchmarks.rating.store import DAY, Store
from benchmarks.rating.study import RATINGS, Study, read_study
from eagle_gym.errors import ConfigurationError, PreparationError
from tests.benchmarks.rating.studies import small_study


@pytest.fixture
def study(tmp_path: Path) -> Study:
    return small_study(tmp_path)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(study: Study, clock: Clock) -> Iterator[Store]:
    with Store(study, clock) as found:
        yield found


def join(store: Store) -> tuple[Rater, str]:
    """A rater who has agreed."""
    ((_, token),) = store.invite(1, 30)
    rater = store.find(token)
    assert rater is not None
    store.agree(rater)
    rater = store.find(token)
    assert rater is not None
    return rater, token


def answers(store: Store, rater: Rater, position: int, place: int = 0) -> dict[str, str]:
    assert rater.slot is not None
    task = store.study.by_id[store.study.slots[rater.slot][position].task]
    return {item.name: task.choices()[place] for item in task.asked(store.study.settings.criteria)}


def finish(store: Store, rater: Rater, clock: Clock, seconds: float = 10.0) -> None:
    while (found := store.next_showing(rater)) is not None:
        clock.now += seconds
        store.rate(rater, found[0], answers(store, rater, found[0]))


def test_tokens_are_long_random_and_stored_as_hashes(store: Store, study: Study) -> None:
    made = store.invite(50, 30)
    tokens = [token for _, token in made]
    assert len(set(tokens)) == 50
    assert min(map(len, tokens)) >= 32
    stored = b"".join(path.read_bytes() for path in study.folder.glob(f"{RATINGS}*"))
    assert not any(token.encode() in stored for token in tokens)
    found = store.find(tokens[7])
    assert found is not None
    assert found.id == made[7][0]
    assert store.find(tokens[7][:-1]) is None
    assert (study.folder / RATINGS).stat().st_mode & 0o077 == 0


def test_invitations_end_by_themselves_and_on_request(store: Store, clock: Clock) -> None:
    (one, first), (two, second) = store.invite(2, 5)
    clock.now += 5 * DAY - 1
    store.expire([two])
    found = [store.find(token) for token in (first, second)]
    assert [item is not None and store.expired(item) for item in found] == [False, True]
    clock.now += 1
    assert all(item is not None and store.expired(item) for item in found)
    with pytest.raises(ConfigurationError, match="r0"):
        store.expire([one, "r0"])


def test_a_rating_counts_once_and_the_first_answer_stays(store: Store, clock: Clock) -> None:
    rater, _ = join(store)
    found = store.next_showing(rater)
    assert found is not None
    position, showing = found
    clock.now += 12.5
    assert store.rate(rater, position, answers(store, rater, position))
    clock.now += 1
    assert store.rate(rater, position, answers(store, rater, position))  # a double click
    assert not store.rate(rater, position, answers(store, rater, position, 1))
    (rating,) = store.ratings()
    assert (rating.showing, rating.position, rating.seconds) == (showing.id, 0, 12.5)
    assert rating.answers == answers(store, rater, position)


def test_many_threads_store_one_rating(store: Store) -> None:
    rater, _ = join(store)
    found = store.next_showing(rater)
    assert found is not None
    given = answers(store, rater, found[0])
    threads = [threading.Thread(target=store.rate, args=(rater, found[0], given)) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(store.ratings()) == 1


def test_a_rater_goes_on_where_they_were(store: Store, study: Study, clock: Clock) -> None:
    rater, token = join(store)
    for _ in range(3):
        found = store.next_showing(rater)
        assert found is not None
        store.rate(rater, found[0], answers(store, rater, found[0]))
    fourth = store.next_showing(rater)
    with Store(study, clock) as again:
        same = again.find(token)
        assert same is not None
        assert again.next_showing(same) == fourth
        finish(again, same, clock)
        done = again.find(token)
        assert done is not None
        assert done.finished_at is not None
        assert again.next_showing(done) is None


def test_every_slot_is_given_before_one_is_given_twice(store: Store, study: Study) -> None:
    slots = [join(store)[0].slot for _ in range(2 * len(study.slots))]
    assert set(Counter(slots[: len(study.slots)]).values()) == {1}
    assert set(Counter(slots).values()) == {2}


def test_slots_of_those_who_left_or_are_excluded_are_given_again(store: Store, study: Study, clock: Clock) -> None:
    raters = [join(store)[0] for _ in study.slots]
    store.expire([raters[1].id])
    finish(store, raters[0], clock)
    assert join(store)[0].slot == raters[1].slot
    ((_, token),) = store.invite(1, 30)
    late = store.find(token)
    assert late is not None
    store.agree(late, excluded={raters[0].id})
    late = store.find(token)
    assert late is not None
    assert late.slot == raters[0].slot


def test_every_task_has_its_raters_when_all_have_finished(store: Store, study: Study, clock: Clock) -> None:
    for _ in study.slots:
        finish(store, join(store)[0], clock)
    met = Counter(item.task for item in store.ratings() if not item.again)
    assert all(met[task.id] >= 3 for task in study.tasks if task.role == "task")


def test_the_settings_are_fixed_with_the_first_rating(study: Study, clock: Clock) -> None:
    path = study.folder / "study.toml"
    original = path.read_text()
    with Store(study, clock) as store:
        rater, _ = join(store)
    path.write_text(original.replace("attention = 0.75", "attention = 0.5"))
    changed = read_study(study.folder)
    with Store(changed, clock) as store:  # nobody has rated: raters agree to the new text
        assert all(item.consent_at is None for item in store.raters())
        rater, _ = join(store)
        found = store.next_showing(rater)
        assert found is not None
        store.rate(rater, found[0], answers(store, rater, found[0]))
    path.write_text(original)
    with pytest.raises(PreparationError, match="changed after its first rating"):
        Store(read_study(study.folder), clock)
    assert main(["serve", str(study.folder), "--port", "0"]) == 1
    assert main(["ratings", str(study.folder)]) == 1
    path.write_text(original.replace("attention = 0.75", "attention = 0.5"))
    with Store(read_study(study.folder), clock) as store:
        assert len(store.ratings()) == 1


def test_a_server_started_before_a_change_stores_nothing_more(study: Study, clock: Clock) -> None:
    path = study.folder / "study.toml"
    with Store(study, clock) as old:
        rater, token = join(old)
        found = old.next_showing(rater)
        assert found is not None
        path.write_text(path.read_text().replace("gold = 0.5 ", "gold = 0.1 "))
        with Store(read_study(study.folder), clock) as new:
            again = new.find(token)
            assert again is not None
            assert again.consent_at is None
        with pytest.raises(PreparationError, match="start the server again"):
            old.rate(rater, found[0], answers(old, rater, found[0]))
        with pytest.raises(PreparationError, match="start the server again"):
            old.agree(again)
        assert old.ratings() == []


def test_a_file_that_is_no_database_is_named(study: Study) -> None:
    (study.folder / RATINGS).write_text("ratings, but not in SQLite " * 100)
    with pytest.raises(PreparationError, match="cannot be read"):
        Store(study)


def test_a_failed_change_leaves_nothing(store: Store) -> None:
    rater, _ = join(store)
    found = store.next_showing(rater)
    assert found is not None
    with pytest.raises(sqlite3.IntegrityError), store._transaction() as db:  # noqa: PT012 - both are one transaction
        db.execute("DELETE FROM shown")
        db.execute("INSERT INTO shown VALUES ('nobody', 'x', 0)")
    assert store.was_shown(rater, found[0])
    assert store.rate(rater, found[0], answers(store, rater, found[0]))


def test_links_are_shown_once_and_listed_without_tokens(study: Study, capsys: pytest.CaptureFixture[str]) -> None:
    folder = str(study.folder)
    assert main(["invite", folder, "--raters", "2", "--days", "3", "--url", "https://rate.example.org/"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    name, link = lines[0].split()
    assert link.startswith("https://rate.example.org/join/")
    assert main(["invite", folder, "--expire", name]) == 0
    shown = capsys.readouterr().out
    assert f"{name}  ended" in shown
    assert "not begun" in shown
    assert link.rpartition("/")[2] not in shown
    for wrong in (["--raters", "0"], ["--raters", "1", "--days", "0"], ["--raters", "1", "--url", "rate.example.org"]):
        assert main(["invite", folder, *wrong]) == 1
        assert "expected" in capsys.readouterr().err
