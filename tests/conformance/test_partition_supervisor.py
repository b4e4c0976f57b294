"""Partition supervisors (PSUP): where keys lead, and how partitions are kept."""

from typing import Any

import pytest

from otpy import (
    BadArgument,
    CallExit,
    ChildSpec,
    Exit,
    GenServer,
    NotRegistered,
    Ok,
    PartitionSupervisor,
    Pid,
    Reply,
    Stop,
    Via,
    dynamic_supervisor,
    gen_server,
    partition_supervisor,
    process,
    self_pid,
    supervisor,
)
from otpy.machines.partition import partition_of
from otpy.testing.plugin import Reports
from tests.conformance.children import down, specs, told
from tests.conformance.conftest import Runner, until
from tests.conformance.servers import Book


class Part(GenServer[Any]):
    """Tells what it was started with."""

    @classmethod
    def start_link(cls, *args: Any) -> Pid:
        return gen_server.start_link(cls, args)

    def init(self, arg: Any) -> Any:
        return Ok(arg)

    def handle_call(self, request: Any, from_: Any, state: Any) -> Any:
        return Reply((request, state))

    def handle_cast(self, request: Any, state: Any) -> Any:
        process.send(request, ("cast", self_pid()))

    def handle_info(self, message: Any, state: Any) -> Any:
        process.send(message, ("info", self_pid()))


class GreenPart(Part, green=True):
    """The same, green."""


def part(run: Runner) -> type[Part]:
    return GreenPart if run.green else Part


def start(run: Runner, partitions: int | None = 3, **options: Any) -> Pid:
    given: dict[str, Any] = {"child_spec": (part(run), "x"), "name": "parts", **options}
    return partition_supervisor.start_link(partitions=partitions, **given)


def to(key: Any, name: Any = "parts") -> Via:
    return Via(partition_supervisor, (name, key))


def pids(name: Any = "parts") -> dict[int, Any]:
    return {row.id: row.pid for row in partition_supervisor.which_children(name)}


def test_psup_01_a_key_leads_to_its_partition(run: Runner) -> None:
    """integer key routes rem(abs(key), partitions); other terms by a hash."""

    def body() -> None:
        start(run)
        pid = pids()
        for key, partition in ((0, 0), (4, 1), (-4, 1), (5, 2), (True, 1), (-3, 0), (4.0, 1)):
            assert gen_server.whereis(to(key)) == pid[partition]
        others: list[Any] = ["user", ("user", 7), None, b"x", 1.5, self_pid(), Part]
        for key in others:
            assert gen_server.whereis(to(key)) == pid[partition_of(key, 3)]
        assert {gen_server.whereis(to(f"user {number}")) for number in range(50)} == set(
            pid.values()
        )
        with pytest.raises(BadArgument, match="a list, which has no hash"):
            gen_server.call(to([1]), "x")
        partition_supervisor.stop("parts")

    run(body)


def test_psup_02_as_many_partitions_as_cpus(run: Runner, cpus: int) -> None:
    """partitions default = schedulers_online; stored per supervisor."""

    def body() -> None:
        start(run, None)
        start(run, 2, name="two")
        assert partition_supervisor.partitions("parts") == cpus
        assert partition_supervisor.partitions("two") == 2
        for name in ("parts", "two"):
            partition_supervisor.stop(name)

    run(body)


def test_psup_03_an_address_for_every_function(run: Runner) -> None:
    """address via {:via, PartitionSupervisor, {name, key}} in any GenServer/Agent/
    DynamicSupervisor API."""

    def body() -> None:
        start(run)
        pid = pids()[1]
        assert gen_server.call(to(1), "what") == ("what", ("x",))
        gen_server.cast(to(1), self_pid())
        assert told(1) == [("cast", pid)]
        process.send(to(1), self_pid())
        assert told(1) == [("info", pid)]
        assert partition_supervisor.send(("parts", 1), self_pid()) == pid
        assert told(1) == [("info", pid)]
        ref = process.monitor(to(1))
        gen_server.stop(to(1))
        assert down(ref) == "normal"
        partition_supervisor.stop("parts")

    run(body)


def test_psup_03_dynamic_supervisors_by_key(run: Runner) -> None:
    """{:via, PartitionSupervisor, ...} with DynamicSupervisor, as Elixir's page shows it."""

    def body() -> None:
        partition_supervisor.start_link(
            child_spec=dynamic_supervisor.DynamicSupervisor, name="jobs", partitions=2
        )
        first = dynamic_supervisor.start_child(to(1, "jobs"), specs(run, "a")[0])
        assert dynamic_supervisor.count_children(to(3, "jobs")).active == 1
        assert dynamic_supervisor.count_children(to(2, "jobs")).active == 0
        dynamic_supervisor.terminate_child(to(1, "jobs"), first)
        assert dynamic_supervisor.which_children(to(1, "jobs")) == []
        partition_supervisor.stop("jobs")

    run(body)


def test_psup_04_arguments_of_one_partition(run: Runner, capture_reports: Reports) -> None:
    """with_arguments(args, partition) customises each partition's start args."""

    def with_partition(args: list[Any], partition: int) -> list[Any]:
        return [*args, partition]

    def body() -> None:
        start(run, with_arguments=with_partition)
        for key in range(3):
            assert gen_server.call(to(key), "?") == ("?", ("x", key))
        process.exit(pids()[1], "kill")
        until(lambda: len({pid for pid in pids().values() if isinstance(pid, Pid)}) == 3)
        assert gen_server.call(to(1), "?") == ("?", ("x", 1))
        partition_supervisor.stop("parts")

    run(body)


def test_psup_05_partitions_as_children(run: Runner) -> None:
    """which_children ids are partition numbers; count_children counts them."""

    def body() -> None:
        start(run)
        rows = partition_supervisor.which_children("parts")
        assert [(row.id, row.type, row.modules) for row in rows] == [
            (number, "worker", (part(run),)) for number in (2, 1, 0)
        ]
        assert partition_supervisor.count_children("parts") == (3, 3, 0, 3)
        partition_supervisor.stop("parts")

    run(body)


def test_psup_06_a_partition_that_crashed_is_found_again(
    run: Runner, capture_reports: Reports
) -> None:
    """crashed partition restarted and re-resolvable at the same key; never its dead pid."""

    def body() -> None:
        start(run)
        before = pids()
        ref = process.monitor(before[1])
        process.exit(before[1], "kill")
        assert down(ref) == "killed"
        assert gen_server.whereis(to(1)) != before[1]
        until(lambda: gen_server.whereis(to(1)))
        assert gen_server.whereis(to(1)) == pids()[1]
        assert gen_server.call(to(1), "again") == ("again", ("x",))
        assert {**pids(), 1: before[1]} == before
        partition_supervisor.stop("parts")

    run(body)


def test_psup_06_partitions_may_find_one_another_while_they_start(run: Runner) -> None:
    """A partition is registered by its supervisor as soon as it has started."""

    class Second(part(run)):  # type: ignore[misc]
        def init(self, arg: Any) -> Any:
            return Ok([gen_server.whereis(to(key)) is not None for key in range(3)])

    def body() -> None:
        start(run, child_spec=(Second, 0))
        found = [gen_server.call(to(key), "?")[1] for key in range(3)]
        assert found == [[False] * 3, [True, False, False], [True, True, False]]
        partition_supervisor.stop("parts")

    run(body)


def test_psup_07_stop_frees_the_name(run: Runner) -> None:
    """stop is synchronous and frees the name."""

    def body() -> None:
        for _ in range(2):
            boss = start(run)
            partitions = pids()
            partition_supervisor.stop("parts")
            assert not any(map(process.alive, [boss, *partitions.values()]))
            assert process.whereis("parts") is None

    run(body)


def test_psup_08_a_supervisor_that_is_not_there(run: Runner) -> None:
    """unknown supervisor -> exit {:noproc, _}."""

    def body() -> None:
        process.register(self_pid(), "no partitions")
        for name in ("nobody", "no partitions"):
            for ask in (
                lambda name=name: partition_supervisor.partitions(name),
                lambda name=name: partition_supervisor.send((name, 1), "x"),
                lambda name=name: gen_server.call(to(1, name), "x"),
            ):
                with pytest.raises(CallExit) as ended:
                    ask()
                assert ended.value.reason == "noproc"
            gen_server.cast(to(1, name), "x")
            assert gen_server.whereis(to(1, name)) is None
            with pytest.raises(NotRegistered):
                process.send(to(1, name), "x")
        for function in (partition_supervisor.which_children, partition_supervisor.stop):
            with pytest.raises(CallExit) as ended:
                function("nobody")
            assert ended.value.reason == "noproc"

    run(body)


def no_list(args: list[Any], partition: int) -> Any:
    return "no"


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"name": None}, "name=None; expected a str"),
        ({"partitions": 0}, "partitions=0; expected an int of at least 1"),
        ({"partitions": "2"}, "partitions='2'; expected an int"),
        ({"with_arguments": 1}, "with_arguments=1; expected a function of two arguments"),
        ({"with_arguments": no_list}, "returned 'no'; expected a list"),
        ({"child_spec": 3}, "3 is not a child"),
        ({"strategy": "foo"}, "'foo': expected one of one_for_one"),
    ],
)
def test_psup_09_wrong_options_are_named(options: dict[str, Any], text: str) -> None:
    """missing :name/:child_spec, partitions 0, bad with_arguments raise exact ArgumentErrors."""
    given: dict[str, Any] = {"name": "parts", "child_spec": (Part, 0), **options}
    with pytest.raises(BadArgument, match=text):
        partition_supervisor.start_link(**given)


@pytest.mark.parametrize("missing", ["name", "child_spec"])
def test_psup_09_missing_options_are_named(missing: str) -> None:
    """missing :name/:child_spec."""
    given: dict[str, Any] = {"name": "parts", "child_spec": (Part, 0)}
    del given[missing]
    with pytest.raises(TypeError, match=missing):
        partition_supervisor.start_link(**given)
    with pytest.raises(BadArgument, match=f"{missing}= must be given"):
        PartitionSupervisor.child_spec(given)
    with pytest.raises(BadArgument, match="expected a dict"):
        PartitionSupervisor.child_spec("parts")


def test_psup_09_an_address_is_no_name_to_take(run: Runner) -> None:
    """A process cannot be registered as a partition; the key is (name, key)."""

    def body() -> None:
        start(run)
        with pytest.raises(BadArgument, match="cannot be the name"):
            partition_supervisor.register_name(("parts", 1), self_pid())
        with pytest.raises(BadArgument, match="cannot be given up"):
            partition_supervisor.unregister_name(("parts", 1))
        with pytest.raises(BadArgument, match=r"expected \(name, key\)"):
            gen_server.call(Via(partition_supervisor, "parts"), "x")
        partition_supervisor.stop("parts")

    run(body)


def test_psup_10_its_own_name_may_be_a_via(run: Runner) -> None:
    """name may be a via tuple; child_spec id is the via term."""

    def body() -> None:
        book = Book()
        via = Via(book, "parts")
        options = {"name": via, "child_spec": (part(run), "x"), "partitions": 2}
        assert PartitionSupervisor.child_spec(options).id == via
        boss = supervisor.start_link([(PartitionSupervisor, options)], strategy="one_for_one")
        [row] = supervisor.which_children(boss)
        assert (row.id, row.type) == (via, "supervisor")
        assert partition_supervisor.partitions(via) == 2
        assert gen_server.call(to(1, via), "?") == ("?", ("x",))
        assert gen_server.whereis(to(1, via)) == pids(via)[1]
        supervisor.stop(boss)
        assert gen_server.whereis(to(1, via)) is None

    run(body)


def test_psup_11_it_may_have_fewer_partitions_for_a_while(run: Runner) -> None:
    """resize! between 0 and max returns the old value; lookup on zero partitions raises."""

    def body() -> None:
        start(run)
        before = pids()
        assert partition_supervisor.resize("parts", 1) == 3
        assert partition_supervisor.partitions("parts") == 1
        assert [gen_server.whereis(to(key)) for key in range(3)] == [before[0]] * 3
        assert not process.alive(before[2])
        assert partition_supervisor.resize("parts", 3) == 1
        assert gen_server.whereis(to(0)) == before[0]
        assert gen_server.whereis(to(2)) == pids()[2] != before[2]
        assert partition_supervisor.resize("parts", 0) == 3
        with pytest.raises(BadArgument, match="there are no partitions"):
            gen_server.call(to(0), "x")
        assert partition_supervisor.resize("parts", 0) == 0
        for wrong in (-1, True, "1", 4):
            with pytest.raises(BadArgument, match="resize to"):
                partition_supervisor.resize("parts", wrong)  # type: ignore[arg-type]
        partition_supervisor.stop("parts")

    run(body)


def test_psup_11_a_partition_that_does_not_start_again(
    run: Runner, capture_reports: Reports
) -> None:
    """resize! gives the reason; the partitions before it are there."""
    door: list[Any] = [None]

    class Gated(part(run)):  # type: ignore[misc]
        def init(self, arg: Any) -> Any:
            return door[0] or Ok(arg)

    def body() -> None:
        door[0] = None
        start(run, child_spec=(Gated, 0))
        partition_supervisor.resize("parts", 1)
        door[0] = Stop("shut")
        with pytest.raises(Exception, match="shut"):
            partition_supervisor.resize("parts", 3)
        assert partition_supervisor.partitions("parts") == 1
        partition_supervisor.stop("parts")

    run(body)


def test_psup_06_too_many_restarts_end_it(run: Runner, capture_reports: Reports) -> None:
    """It is a supervisor: max_restarts, strategy and max_seconds are as there."""

    def body() -> None:
        process.flag(trap_exit=True)
        boss = start(run, max_restarts=0)
        process.exit(pids()[0], "kill")
        assert process.receive(Exit, timeout=5) == Exit(boss, "shutdown")
        assert gen_server.whereis(to(0)) is None

    run(body)


def test_psup_04_a_child_in_any_form(run: Runner) -> None:
    """child_spec: a class, (class, arg), a ChildSpec or a dict; its id is not used."""

    def body() -> None:
        forms: list[Any] = [
            part(run),
            (part(run), None),
            ChildSpec("id", (part(run).start_link, (None,))),
            {"id": "id", "start": (part(run).start_link, (None,))},
        ]
        for form in forms:
            start(run, 1, child_spec=form)
            assert gen_server.call(to("any"), "?") == ("?", (None,))
            assert list(pids()) == [0]
            partition_supervisor.stop("parts")

    run(body)
