"""The periodic job, in simulated time: minutes pass at once."""

from collections.abc import Callable

from examples.periodic_job.periodic_job import Job, PeriodicJob
from otpy import minutes, process, supervisor
from otpy.testing import Simulation


def beside(work: Callable[[], object], body: Callable[[], None]) -> None:
    """Run ``body`` beside a job that does ``work`` every minute."""

    def run() -> None:
        boss = supervisor.start_link(
            [(PeriodicJob, Job("minutely", minutes(1), work))], strategy="one_for_one"
        )
        body()
        supervisor.stop(boss)

    Simulation(seed=1).run(run)


def test_the_work_is_done_every_minute() -> None:
    done: list[str] = []

    def body() -> None:
        assert done == []
        process.sleep(minutes(3.5))
        assert done == ["work"] * 3

    beside(lambda: done.append("work"), body)


def test_the_pause_counts_from_the_end_of_the_work() -> None:
    begun: list[str] = []

    def work() -> None:
        begun.append("work")
        process.sleep(minutes(2))

    def body() -> None:
        process.sleep(minutes(3.5))
        assert len(begun) == 1  # from 1 to 3, and then a pause
        process.sleep(minutes(1))
        assert len(begun) == 2

    beside(work, body)


def test_a_job_that_fails_is_begun_anew() -> None:
    runs: list[int] = []

    def work() -> None:
        runs.append(len(runs))
        if len(runs) == 1:
            raise OSError("the disk is full")

    def body() -> None:
        process.sleep(minutes(2.5))
        assert runs == [0, 1]

    beside(work, body)
