"""The work queue, in virtual time: work that takes seconds takes none."""

from collections.abc import Callable

import pytest

from examples.work_queue.work_queue import (
    Closed,
    Failed,
    Finished,
    Options,
    Work,
    WorkQueue,
    drain,
    submit,
)
from otpy import Crash, Pid, process, self_pid, supervisor
from otpy.testing import Simulation


def beside(options: Options, body: Callable[[], None]) -> None:
    """Run ``body`` beside a queue, under a few seeds: the order of what happens is drawn."""

    def run() -> None:
        boss = supervisor.start_link(WorkQueue, options)
        body()
        supervisor.stop(boss)

    for seed in range(10):
        Simulation(seed=seed).run(run)


def taking(seconds: float, value: object = None) -> Work:
    def work() -> object:
        process.sleep(seconds)
        return value

    return work


def results(count: int) -> dict[int, object]:
    found = [process.receive(Finished, timeout=60) for _ in range(count)]
    return {one.job: one.value for one in found}


def test_who_submitted_hears_the_result() -> None:
    def body() -> None:
        first, second = submit(lambda: "a"), submit(lambda: "b")
        assert results(2) == {first: "a", second: "b"}

    beside(Options(limit=2, workers=2), body)


def test_a_full_queue_makes_producers_wait() -> None:
    def body() -> None:
        submitted: list[int] = []

        def produce() -> None:
            for _ in range(4):
                submitted.append(submit(taking(10)))

        process.spawn_link(produce)
        process.sleep(5)
        assert submitted == [1, 2, 3]  # one at work, two wait, and the fourth has no room
        process.sleep(10)
        assert submitted == [1, 2, 3, 4]

    beside(Options(limit=2, workers=1), body)


def test_as_many_jobs_are_done_at_a_time_as_there_are_workers() -> None:
    def body() -> None:
        now: list[int] = []
        most: list[int] = []

        def work() -> None:
            now.append(1)
            most.append(len(now))
            process.sleep(1)
            now.pop()

        for _ in range(9):
            submit(work)
        drain()
        assert max(most) == 3

    beside(Options(limit=2, workers=3), body)


def test_a_job_whose_worker_crashes_is_done_once_more() -> None:
    def body() -> None:
        tries: list[int] = []

        def work() -> str:
            tries.append(1)
            if len(tries) == 1:
                raise OSError("the line is down")
            return "sent"

        job = submit(work)
        assert results(1) == {job: "sent"}
        assert len(tries) == 2

    beside(Options(limit=2, workers=1), body)


def test_a_job_that_ends_two_workers_has_failed() -> None:
    def body() -> None:
        tries: list[int] = []

        def work() -> None:
            tries.append(1)
            raise OSError("the line is down")

        job = submit(work)
        after = submit(lambda: "after")
        failed = process.receive(Failed, timeout=60)
        assert failed == Failed(job, Crash("OSError", "the line is down"))
        assert len(tries) == 2
        assert results(1) == {after: "after"}

    beside(Options(limit=2, workers=1), body)


def test_a_job_whose_worker_is_killed_is_done_by_another() -> None:
    def body() -> None:
        tries: list[Pid] = []

        def work() -> str:
            tries.append(self_pid())
            process.sleep(10)
            return "done"

        job = submit(work)
        process.sleep(1)
        process.exit(tries[0], "kill")
        assert results(1) == {job: "done"}
        assert len(set(tries)) == 2
        submit(taking(10))
        submit(taking(10))
        before = process.monotonic_time()
        drain()
        assert process.monotonic_time() - before == pytest.approx(10, abs=0.1)  # two work again

    beside(Options(limit=2, workers=2), body)


def test_no_job_is_given_to_a_worker_that_was_killed_while_it_had_nothing_to_do() -> None:
    def body() -> None:
        first = submit(self_pid)
        [worker] = results(1).values()
        assert isinstance(worker, Pid)
        process.sleep(1)
        process.exit(worker, "kill")
        process.sleep(1)
        job = submit(lambda: "done")
        assert (first, results(1)) == (1, {job: "done"})

    beside(Options(limit=2, workers=1), body)


def test_a_job_that_ends_with_its_workers_killed_tells_so() -> None:
    def body() -> None:
        tries: list[Pid] = []

        def work() -> None:
            tries.append(self_pid())
            process.sleep(10)

        job = submit(work)
        for number in (1, 2):
            process.sleep(1)
            assert len(tries) == number
            process.exit(tries[-1], "kill")
        assert process.receive(Failed, timeout=60) == Failed(job, "killed")

    beside(Options(limit=2, workers=1), body)


def test_a_producer_that_ends_in_line_holds_up_nobody_behind_it() -> None:
    def body() -> None:
        first, second = submit(taking(10, "a")), submit(taking(10, "b"))
        dead = process.spawn(lambda: submit(taking(10)))
        process.sleep(1)
        me = self_pid()
        process.spawn(lambda: process.send(me, ("in line", submit(taking(10)))))
        process.sleep(1)
        process.exit(dead, "kill")
        process.sleep(9)  # the first job is over, and made room
        assert process.receive(tuple, timeout=0) == ("in line", second + 1)
        assert results(2) == {first: "a", second: "b"}

    beside(Options(limit=1, workers=1), body)


def test_a_producer_that_ends_while_it_waits_leaves_no_job() -> None:
    def body() -> None:
        done: list[str] = []
        submit(taking(10))
        submit(taking(10))
        late = process.spawn(lambda: submit(lambda: done.append("late")))
        process.sleep(1)
        process.exit(late, "kill")
        process.sleep(60)
        assert done == []

    beside(Options(limit=1, workers=1), body)


def test_a_drain_finishes_what_was_taken_and_refuses_the_rest() -> None:
    def body() -> None:
        refused: list[str] = []

        def late() -> None:
            try:
                submit(taking(0))
            except Closed:
                refused.append("late")

        submit(taking(10, "a"))
        submit(taking(10, "b"))
        process.spawn_link(late)
        process.sleep(1)
        drain()
        assert refused == ["late"]
        assert results(2) == {1: "a", 2: "b"}
        with pytest.raises(Closed):
            submit(taking(0))

    beside(Options(limit=1, workers=1), body)
