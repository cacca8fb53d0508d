"""The outbox numbers without gaps; jobs survive their worker."""

from __future__ import annotations

import itertools
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tradewright.accounts.authentication import Authenticator
from tradewright.app import upkeep as upkeep_module
from tradewright.app.child import COMMAND
from tradewright.app.house import settings_to
from tradewright.app.numbering import number_events
from tradewright.app.upkeep import Upkeep
from tradewright.app.work import build_hands
from tradewright.clock import FixedClock, WallClock
from tradewright.errors import Cancelled, InvalidInput, StorageFailed, TradewrightError
from tradewright.jobs import worker as worker_module
from tradewright.jobs.compute import run_child
from tradewright.jobs.worker import ATTEMPTS, Lanes, Worker
from tradewright.settings import Settings
from tradewright.storage import jobs, outbox
from tradewright.storage.database import Database

ORG = ("org", "paper")


def test_somebody_works_on_every_kind_of_job(database: Database, tmp_path: Path) -> None:
    hands = build_hands(database, FixedClock(), Settings(data_folder=tmp_path))
    assert {kind for worker in hands._workers for kind in worker._kinds} == set(jobs.KINDS)


def test_numbers_are_gapless_for_each_scope_also_with_rollbacks(database: Database) -> None:
    def fail(tx: Any) -> None:
        outbox.append(tx, *ORG, [("a.b", "lost", None, {})], 1)
        raise KeyError

    for number in range(30):
        database.write(outbox.append, *ORG, [("a.b", f"s{number}", None, {"n": number})], number)
        database.write(outbox.append, "other", "paper", [("a.b", "x", None, {})], number)
        with pytest.raises(KeyError):
            database.write(fail)
        if number % 7 == 0:
            database.write(outbox.sequence, 5)
    while database.write(outbox.sequence, 5):
        continue
    for organization in ("org", "other"):
        told = database.read(outbox.list_events, organization, "paper")
        assert [event["sequence"] for event in told] == list(range(1, 31))
    assert [e["subject"] for e in database.read(outbox.list_events, *ORG)] == [f"s{n}" for n in range(30)]


def test_two_sequencers_at_once_number_everything_once(database: Database) -> None:
    for number in range(200):
        database.write(outbox.append, *ORG, [("a.b", f"s{number}", None, {})], number)

    def work() -> None:
        for _ in range(60):
            database.write(outbox.sequence, 7)

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    while database.write(outbox.sequence, 500):
        continue
    told = database.read(outbox.list_events, *ORG)
    assert [event["sequence"] for event in told] == list(range(1, 201))


def test_internal_events_are_not_listed(database: Database) -> None:
    database.write(outbox.append, *ORG, [("a.b", "s", None, {})], 1, visibility="internal")
    database.write(outbox.sequence)
    assert database.read(outbox.list_events, *ORG) == []


def test_a_job_is_done_by_one_worker_and_another_goes_on_when_it_is_gone(database: Database) -> None:
    clock = FixedClock()
    job = database.write(jobs.enqueue, *ORG, "x", {"a": 1}, clock.now_us())
    taken = database.write(jobs.claim, "one", clock.now_us(), 10, ("x",))
    assert taken is not None
    assert (taken["id"], taken["payload"]) == (job, {"a": 1})
    assert database.write(jobs.claim, "two", clock.now_us(), 10, ("x",)) is None
    clock.advance(1)
    again = database.write(jobs.claim, "two", clock.now_us(), 10, ("x",))
    assert again is not None
    assert again["worker"] == "two"
    assert database.write(jobs.finish, job, "succeeded", clock.now_us(), result=3)
    assert not database.write(jobs.finish, job, "failed", clock.now_us())
    assert database.read(jobs.get, *ORG, job)["result"] == 3
    assert database.read(jobs.get, "other", "paper", job) is None


def _worker(database: Database, handler: Any) -> tuple[Worker, threading.Thread]:
    worker = Worker(database, WallClock(), {"x": handler})
    thread = threading.Thread(target=worker.run)
    thread.start()
    return worker, thread


def _wait(database: Database, job: str, status: str) -> dict[str, Any]:
    deadline = time.monotonic() + 20
    while True:
        row = database.read(jobs.get, *ORG, job)
        if row["status"] == status:
            return row
        assert time.monotonic() < deadline, row
        time.sleep(0.01)


def test_results_errors_and_crashes_of_jobs_are_told(database: Database) -> None:
    def handler(job: dict[str, Any], report: Any) -> Any:
        report(0.5, "half")
        kind = job["payload"]["kind"]
        if kind == "refused":
            raise InvalidInput("not like that")
        if kind == "broken":
            raise ZeroDivisionError("secret detail")
        return {"kind": kind}

    worker, thread = _worker(database, handler)
    made = {kind: database.write(jobs.enqueue, *ORG, "x", {"kind": kind}, 1) for kind in ("fine", "refused", "broken")}
    worker.wake()
    assert _wait(database, made["fine"], "succeeded")["result"] == {"kind": "fine"}
    assert _wait(database, made["refused"], "failed")["error"]["message"] == "not like that"
    assert "secret" not in str(_wait(database, made["broken"], "failed")["error"])
    worker.stop()
    thread.join()


def test_a_running_job_can_be_cancelled_and_a_stopped_worker_gives_it_back(database: Database) -> None:
    begun = threading.Event()

    def handler(job: dict[str, Any], report: Any) -> Any:
        begun.set()
        while not report(0.1, "working"):
            time.sleep(0.01)
        raise Cancelled("stopped")

    worker, thread = _worker(database, handler)
    first = database.write(jobs.enqueue, *ORG, "x", {}, 1)
    worker.wake()
    assert begun.wait(20)
    database.write(jobs.request_cancel, *ORG, first, 2)
    _wait(database, first, "cancelled")
    begun.clear()
    second = database.write(jobs.enqueue, *ORG, "x", {}, 3)
    worker.wake()
    assert begun.wait(20)
    worker.stop()
    thread.join()
    assert database.read(jobs.get, *ORG, second)["status"] == "queued"


def test_organizations_take_turns_however_many_jobs_one_has(database: Database) -> None:
    now = itertools.count(1)
    for organization, count in (("many", 30), ("few", 2), ("", 1)):
        for _ in range(count):
            database.write(jobs.enqueue, organization, "paper", "x", {}, next(now))

    def claim(ends: bool) -> str:
        job = database.write(jobs.claim, "one", next(now), 1_000_000, ("x",))
        assert job is not None
        if ends:
            database.write(jobs.finish, job["id"], "succeeded", next(now))
        return str(job["organization"])

    assert [claim(ends=True) for _ in range(3)] == ["many", "few", ""]  # one worker: in turns
    assert [claim(ends=False) for _ in range(2)] == ["many", "few"]  # several: who has least running
    database.write(jobs.enqueue, "late", "paper", "x", {}, next(now))
    assert [claim(ends=False) for _ in range(2)] == ["late", "many"]


def test_workers_that_claim_at_once_get_different_jobs(database: Database) -> None:
    made = {database.write(jobs.enqueue, f"org_{n % 3}", "paper", "x", {}, n) for n in range(12)}
    with ThreadPoolExecutor(4) as pool:
        taken = list(pool.map(lambda n: database.write(jobs.claim, f"w{n}", 100 + n, 1_000_000, ("x",)), range(12)))
    assert {job["id"] for job in taken if job is not None} == made


def test_a_job_that_ends_its_worker_each_time_is_given_up(database: Database) -> None:
    clock, told = FixedClock(), []
    job = database.write(jobs.enqueue, *ORG, "x", {}, clock.now_us())
    for number in range(ATTEMPTS):
        taken = database.write(jobs.claim, "killed", clock.now_us(), 10, ("x",))
        assert taken is not None
        assert taken["attempts"] == number + 1
        clock.advance(1)

    def finished(_: Any, ended: dict[str, Any], status: str, __: int) -> None:
        told.append((ended["id"], status))

    worker = Worker(database, clock, {"x": lambda job, report: pytest.fail("it was tried again")}, finished)
    thread = threading.Thread(target=worker.run)
    thread.start()
    error = _wait(database, job, "failed")["error"]
    worker.stop()
    thread.join()
    assert "5 times" in error["message"]
    assert told == [(job, "failed")]


def test_giving_a_job_back_is_no_attempt(database: Database) -> None:
    job = database.write(jobs.enqueue, *ORG, "x", {}, 1)
    for counted, attempts in ((False, 0), (True, 1)):
        database.write(jobs.claim, "one", 2, 10, ("x",))
        database.write(jobs.release, "one", counted)
        assert database.read(jobs.get, *ORG, job)["attempts"] == attempts


CHILD = """
import json, os, signal, sys, time
request = json.loads(sys.stdin.readline())
def say(**message): print(json.dumps(message), flush=True)
mode = request["payload"]["mode"]
say(progress=0.5, message="half")
if mode == "result": say(result=request["payload"])
if mode == "error": say(error={"code": "in_sample", "message": "no"})
if mode == "wait":
    assert sys.stdin.readline() == "cancel\\n"
    say(error={"code": "cancelled", "message": "stopped"})
if mode == "die": sys.exit(7)
if mode == "interrupt": os.kill(os.getpid(), signal.SIGINT)
"""


@pytest.mark.parametrize(
    ("mode", "raised"), [("error", "no"), ("wait", "stopped"), ("die", "ended early with exit status 7")]
)
def test_what_happens_in_a_child_is_raised_here(mode: str, raised: str) -> None:
    with pytest.raises(TradewrightError, match=raised):
        run_child([sys.executable, "-c", CHILD], "task", {"mode": mode}, lambda *_: mode == "wait")


def test_what_the_database_said_in_a_child_is_for_who_runs_this(tmp_path: Path) -> None:
    settings = settings_to(Settings(data_folder=tmp_path, database_url="postgresql://u@127.0.0.1:9/nowhere"))
    payload = {"settings": settings, "organization": "o", "environment": "paper", "request": {}}
    with pytest.raises(StorageFailed) as failed:
        run_child(COMMAND, "backtest", payload, lambda *_: False)
    assert "127.0.0.1:9/nowhere" not in failed.value.message
    assert "127.0.0.1:9/nowhere" in str(failed.value)


def test_a_child_reports_and_returns() -> None:
    said: list[Any] = []
    result = run_child(
        [sys.executable, "-c", CHILD], "task", {"mode": "result"}, lambda f, m: bool(said.append((f, m)))
    )
    assert result == {"mode": "result"}
    assert said == [(0.5, "half")]


def test_a_job_whose_child_was_interrupted_goes_back_to_the_queue(database: Database) -> None:
    modes = ["interrupt", "result"]

    def handler(_: dict[str, Any], report: Any) -> Any:
        return run_child([sys.executable, "-c", CHILD], "task", {"mode": modes.pop(0)}, report)

    job = database.write(jobs.enqueue, *ORG, "x", {}, 1)
    worker, thread = _worker(database, handler)
    assert _wait(database, job, "succeeded")["result"] == {"mode": "result"}
    worker.stop()
    thread.join()


# --- lanes ------------------------------------------------------------------------------------------------------------


def test_jobs_of_one_lane_are_done_one_after_the_other_and_hold_up_no_others(database: Database) -> None:
    waiting, most, done = threading.Event(), [0], []
    now_on: list[str] = []
    guard = threading.Lock()

    def handler(job: dict[str, Any], report: Any) -> None:
        with guard:
            assert job["lane"] not in now_on, "two jobs of a lane at once"
            now_on.append(job["lane"])
            most[0] = max(most[0], len(now_on))
        if job["payload"]["n"] == 0:
            assert waiting.wait(60), "the others never came past the slow one"
        time.sleep(0.01)
        with guard:
            now_on.remove(job["lane"])
            done.append(job["payload"]["n"])
            if len(done) == 17:  # all but those of the slow lane
                waiting.set()

    for n in range(21):
        lane = "slow" if n in (0, 7, 14, 20) else f"lane {n % 3}"
        database.write(jobs.enqueue, *ORG, "x", {"n": n}, n, lane=lane)
    lanes = Lanes()
    workers = [Worker(database, WallClock(), {"x": handler}, lanes=lanes) for _ in range(4)]
    threads = [threading.Thread(target=worker.run) for worker in workers]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + 60
    while len(done) < 21 and time.monotonic() < deadline:
        time.sleep(0.01)
    for worker in workers:
        worker.stop()
    for thread in threads:
        thread.join()
    assert sorted(done) == list(range(21))
    assert [n for n in done if n in (0, 7, 14, 20)] == [0, 7, 14, 20]
    assert most[0] > 1


def test_a_busy_lane_hides_a_job_whose_lease_ran_out_and_shows_the_next_organization(database: Database) -> None:
    for organization, lane in (("a", "l"), ("a", "l"), ("b", "other"), ("c", None)):
        database.write(jobs.enqueue, organization, "paper", "x", {}, 1, lane=lane)

    def claim(now_us: int, *busy: str) -> str | None:
        job = database.write(jobs.claim, "w", now_us, 1_000, ("x",), busy)
        return None if job is None else job["organization"]

    assert claim(1, "other", "l") == "c"
    assert claim(2, "other") == "a"
    assert claim(3, "l", "other") is None
    assert claim(5_000, "l", "other") == "c", "its lease ran out"
    assert claim(5_001, "l") == "b"
    assert claim(5_002) == "a"


def test_a_lane_is_free_again_when_its_job_could_not_be_ended() -> None:
    lanes = Lanes()
    job = {"lane": "l"}
    assert lanes.take(lambda busy: job if not busy else None) is job
    assert lanes.take(lambda busy: job if not busy else None) is None
    lanes.leave(job)
    assert lanes.take(lambda busy: job if not busy else None) is job
    lanes.leave({"lane": None})


def test_those_who_work_go_on_after_an_error_that_nobody_thought_of(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_module, "_POLL_S", 0.05)
    monkeypatch.setattr(upkeep_module, "_AFTER_FAILURE_S", 0.05)
    clock = FixedClock()
    database.write(outbox.append, *ORG, [("a.b", "s", None, {})], 1)
    key = database.write(jobs.enqueue, *ORG, "backtest", {}, 1)
    worker = Worker(database, clock, {"backtest": lambda job, report: "done"})
    numbers = (partial(number_events, database), 0.05, "numberer")
    upkeep = Upkeep(database, clock, Authenticator(database, clock), [numbers])

    def rename(tx: Any, of: str, to: str) -> None:
        for table in ("jobs", "outbox"):
            tx.exec_driver_sql(f"ALTER TABLE {table}{of} RENAME TO {table}{to}")

    def done() -> dict[str, Any]:
        row = database.read(jobs.get, *ORG, key)
        assert row is not None
        return row

    database.write(rename, "", "_away")
    working = threading.Thread(target=worker.run)
    working.start()
    upkeep.start()
    time.sleep(0.3)
    database.write(rename, "_away", "")
    try:
        until = time.monotonic() + 20
        while time.monotonic() < until and not database.read(outbox.list_events, *ORG):
            time.sleep(0.05)
        assert [event["sequence"] for event in database.read(outbox.list_events, *ORG)] == [1]
        while time.monotonic() < until and done()["status"] != "succeeded":
            time.sleep(0.05)
        assert done()["result"] == "done"
    finally:
        worker.stop()
        upkeep.stop()
        working.join()
