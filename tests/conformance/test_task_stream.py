"""Tasks (TASK): async_stream."""

# pyright: reportUnknownLambdaType=false, reportUnknownArgumentType=false
# pyright: reportUnknownVariableType=false
# The lambdas are work of any kind: their parameters have no type.

from collections.abc import Callable, Iterator
from itertools import count, islice
from typing import Any

import pytest

from otpy import (
    BadArgument,
    CallTimeout,
    Crash,
    Done,
    Down,
    Exit,
    Exited,
    Pid,
    ReceiveTimeout,
    Ref,
    process,
    self_pid,
    task,
)
from tests.conformance.conftest import Runner, until
from tests.conformance.tasks import clean, raises, reason_of, stuck, trapping
from tests.conformance.waiting import gone


def stream(run: Runner, inputs: Any, fn: Callable[..., Any], *args: Any, **options: Any) -> Any:
    return task.async_stream(inputs, fn, *args, green=run.green, **options)


def tells(me: Pid) -> Callable[[Any], Any]:
    """Work that tells who it is and waits to be told its result."""

    def work(item: Any) -> Any:
        process.send(me, (item, self_pid()))
        return process.receive()

    return work


def next_worker() -> tuple[Any, Pid]:
    item, pid = process.receive(tuple, timeout=5)
    return item, pid


def fails_on(bad: Any) -> Callable[[Any], Any]:
    return lambda item: process.exit("bad") if item == bad else item


def test_task_21_results_come_in_the_order_of_the_items(run: Runner) -> None:
    """ordered results by default; ordered:false completion order."""

    def last_first(ordered: bool) -> list[Any]:
        me = self_pid()
        come: dict[int, Pid] = {}

        def director() -> None:
            for _ in range(3):
                item, pid = next_worker()
                come[item] = pid
            for item in (2, 0, 1):
                process.send(come[item], f"result {item}")
                gone(come[item])

        boss = process.spawn(director, green=run.green)
        taken = stream(run, range(3), tells(boss), max_concurrency=3, ordered=ordered)
        results = list(taken)
        assert process.self_pid() == me
        return results

    def body() -> None:
        three = [Done("result 0"), Done("result 1"), Done("result 2")]
        assert last_first(ordered=True) == three
        assert last_first(ordered=False) == [three[2], three[0], three[1]]
        assert list(stream(run, [], raises)) == []
        assert list(stream(run, "ab", lambda a, b: a + b, "x")) == [Done("ax"), Done("bx")]
        clean()

    run(body)


def test_task_22_so_many_run_at_once_and_no_more_items_are_taken(run: Runner) -> None:
    """max_concurrency bound, lazily pulled; 0 raises."""

    def body() -> None:
        me = self_pid()
        taken: list[int] = []

        def items() -> Iterator[int]:
            for n in count():
                taken.append(n)
                yield n

        results = stream(run, items(), tells(me), max_concurrency=3, ordered=False)
        assert taken == []

        def consume() -> None:
            for result in results:
                process.send(me, ("result", result))

        consumer = process.spawn(consume, green=run.green)
        workers = dict(process.receive(tuple, timeout=5) for _ in range(3))
        assert sorted(workers) == [0, 1, 2] == taken
        process.send(workers[1], "one")
        assert process.receive(tuple, where=lambda m: m[0] == "result", timeout=5)[1] == Done("one")
        assert process.receive(tuple, where=lambda m: m[0] == 3, timeout=5)
        assert taken == [0, 1, 2, 3]
        process.exit(consumer, "kill")
        until(lambda: not any(process.alive(pid) for pid in workers.values()))

    run(body)


def test_task_22_by_default_as_many_run_as_there_are_cpus(run: Runner, cpus: int) -> None:
    """max_concurrency defaults to schedulers_online."""

    def body() -> None:
        me = self_pid()
        consumer = process.spawn(lambda: list(stream(run, count(), tells(me))), green=run.green)
        workers = [next_worker() for _ in range(cpus)]
        assert sorted(item for item, _ in workers) == list(range(cpus))
        # The next one comes when there is room for it, and no other.
        process.send(dict(workers)[0], "result")
        assert next_worker()[0] == cpus
        assert process.info(self_pid(), "message_queue_len") == {"message_queue_len": 0}
        process.exit(consumer, "kill")
        until(lambda: not any(process.alive(pid) for _, pid in workers))

    run(body)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"max_concurrency": 0}, "max_concurrency=0; expected a whole number of at least 1"),
        ({"max_concurrency": True}, "max_concurrency=True; expected a whole number"),
        ({"timeout": -1}, "timeout=-1; expected seconds"),
        ({"on_timeout": "die"}, "on_timeout='die'; expected 'exit' or 'kill_task'"),
        ({"ordered": None}, "ordered=None; expected True or False"),
        ({"zip_input_on_exit": 1}, "zip_input_on_exit=1; expected True or False"),
    ],
)
def test_task_22_a_bad_option_is_named(run: Runner, options: Any, text: str) -> None:
    with pytest.raises(BadArgument, match=text):
        stream(run, [1], stuck, **options)
    with pytest.raises(BadArgument, match="'int' object is not iterable"):
        stream(run, 5, stuck)
    with pytest.raises(BadArgument, match="expected a function"):
        stream(run, [1], 5)  # type: ignore[arg-type]


def test_task_23_a_task_that_takes_too_long_ends_the_stream_or_itself(run: Runner) -> None:
    """timeout exits caller; on_timeout kill_task -> {:exit,:timeout}."""

    def body() -> None:
        me = self_pid()
        with pytest.raises(CallTimeout) as late:
            list(stream(run, [1], tells(me), timeout=0.05))
        assert late.value.exit_reason == ("timeout", ("task", "async_stream", (0.05,)))
        _, worker = next_worker()
        assert not process.alive(worker)
        work = lambda n: stuck() if n == 1 else n  # noqa: E731 - short
        results = stream(run, range(3), work, timeout=0.2, on_timeout="kill_task")
        assert list(results) == [Done(0), Exited("timeout"), Done(2)]
        assert list(stream(run, range(3), lambda n: n, timeout=None)) == [Done(0), Done(1), Done(2)]
        clean()

    run(body)


def test_task_23_a_late_task_is_killed_while_the_consumer_is_elsewhere(run: Runner) -> None:
    def body() -> None:
        me = self_pid()

        def work(item: int) -> Any:
            return tells(me)(item) if item else item

        results = stream(
            run, range(2), work, max_concurrency=2, timeout=0.05, on_timeout="kill_task"
        )
        assert next(results) == Done(0)
        _, worker = next_worker()
        until(lambda: not process.alive(worker))
        assert list(results) == [Exited("timeout")]

    run(body)


def test_task_24_a_task_that_fails_ends_a_consumer_that_does_not_trap_exits(run: Runner) -> None:
    """task exit: trapping caller gets {:exit,r} element; non-trapping caller dies."""

    def body() -> None:
        def consume() -> None:
            list(stream(run, range(3), fails_on(1)))

        assert reason_of(run, consume) == "bad"
        assert reason_of(run, lambda: list(stream(run, range(3), raises))) == Crash(
            "RuntimeError", "oops"
        )

        def traps() -> None:
            assert list(stream(run, range(3), fails_on(1))) == [Done(0), Exited("bad"), Done(2)]
            clean()

        trapping(traps)()

    run(body)


@pytest.mark.parametrize("how", ["break", "islice", "with", "close", "raise", "next"])
def test_task_25_who_stops_early_leaves_nothing(run: Runner, how: str) -> None:
    """early halt (take) shuts down remaining tasks, leaves no links or messages."""

    def stop_early(inputs: Iterator[int], work: Callable[[Any], Any]) -> None:
        taken = stream(run, inputs, work, max_concurrency=4, ordered=False)
        match how:
            case "break":
                for result in taken:
                    assert result == Done(0)
                    del taken
                    break
            case "islice":
                assert list(islice(taken, 1)) == [Done(0)]
            case "with":
                with taken, pytest.raises(KeyError):  # noqa: PT012 - what stops it
                    next(taken)
                    raise KeyError
            case "close":
                next(taken)
                taken.close()
                taken.close()
                assert list(taken) == []
            case "raise":
                with pytest.raises(ZeroDivisionError):
                    list(taken)
            case _:
                next(taken)

    def body() -> None:
        me = self_pid()

        def work(item: int) -> Any:
            return tells(me)(item) if item else item

        def inputs() -> Iterator[int]:
            for item in count():
                if how == "raise" and item == 4:
                    raise ZeroDivisionError
                yield item

        stop_early(inputs(), work)
        left = process.info(me, "links", "monitors")
        assert left == {"links": [], "monitors": []}
        workers: list[Pid] = []
        while process.info(me, "message_queue_len") != {"message_queue_len": 0}:
            workers.append(next_worker()[1])
        assert not any(process.alive(pid) for pid in workers)

    run(body)


def test_task_26_the_item_of_a_failed_task_is_told_if_asked_for(run: Runner) -> None:
    """zip_input_on_exit -> {:exit,{input,r}}."""

    def body() -> None:
        results = stream(run, ["a", "b"], fails_on("b"), zip_input_on_exit=True)
        assert list(results) == [Done("a"), Exited(("b", "bad"))]
        late = stream(
            run, ["a"], stuck, zip_input_on_exit=True, timeout=0.05, on_timeout="kill_task"
        )
        assert list(late) == [Exited(("a", "timeout"))]

    run(trapping(body))


def test_task_27_the_consumers_messages_stay_its_own(run: Runner) -> None:
    """unrelated DOWN messages in inbox are preserved/ignored."""

    def body() -> None:
        me = self_pid()
        ref = Ref(1, me.node, 2, 3)
        mine = [Down(ref, me, "mine"), Exit(me, "mine"), (ref, "mine"), "mine"]
        for message in mine:
            process.send(me, message)
        assert list(stream(run, range(3), lambda n: n)) == [Done(0), Done(1), Done(2)]
        assert [process.receive() for _ in mine] == mine
        clean()

    run(body)


def test_task_28_a_stream_is_consumed_by_whoever_begins(run: Runner) -> None:
    """stream can be consumed from another process; zippable; effects terminated."""

    def body() -> None:
        me = self_pid()
        results = stream(run, range(3), lambda n: n)
        inside = task.async_(lambda: (self_pid(), next(results)), green=run.green)
        assert task.await_(inside)[1] == Done(0)
        with pytest.raises(BadArgument, match="is being consumed by"):
            next(results)
        both = zip(stream(run, range(3), str), stream(run, "abc", str), strict=True)
        assert [(a.value, b.value) for a, b in both] == [("0", "a"), ("1", "b"), ("2", "c")]
        ended: list[bool] = []

        def inputs() -> Iterator[int]:
            try:
                yield from count()
            finally:
                ended.append(True)

        assert list(islice(stream(run, inputs(), lambda n: n), 2)) == [Done(0), Done(1)]
        assert ended == [True]
        assert process.self_pid() == me

    run(body)


def test_task_29_tasks_of_a_stream_name_the_consumer_as_their_caller(run: Runner) -> None:
    def body() -> None:
        work = lambda _: process.info(self_pid(), "callers")  # noqa: E731 - short
        (result,) = stream(run, [1], work)
        assert result.value == {"callers": (self_pid(),)}

    run(body)


@pytest.mark.parametrize("traps", [False, True])
def test_task_25_a_consumer_that_ends_takes_its_tasks_along(run: Runner, traps: bool) -> None:
    def body() -> None:
        me = self_pid()
        kept: list[Any] = []

        def consume() -> None:
            process.flag(trap_exit=traps)
            taken = stream(run, count(), lambda n: tells(me)(n) if n else n, max_concurrency=2)
            kept.append(taken)  # so that only the consumer's end can stop it
            next(taken)

        assert reason_of(run, consume) == "normal"
        _, worker = next_worker()
        until(lambda: not process.alive(worker))

    run(body)


def test_task_25_a_stream_dropped_elsewhere_is_stopped(run: Runner) -> None:
    """As by the garbage collector, which may work in any process."""

    def body() -> None:
        me = self_pid()
        taken = stream(run, count(), lambda n: tells(me)(n) if n else n, max_concurrency=2)
        next(taken)
        _, worker = next_worker()
        box = [taken]
        del taken
        boss = process.spawn(box.clear, green=run.green)
        gone(boss)
        until(lambda: not process.alive(worker))
        until(lambda: process.info(me, "links") == {"links": []})
        with pytest.raises(ReceiveTimeout):
            process.receive(Exit, timeout=0)

    run(trapping(body))
