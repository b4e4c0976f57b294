"""GenServer (GS-01 to 15, 69, 70): starting, names, child specs."""

from typing import Any

import pytest

from otpy import (
    IGNORE,
    AlreadyStarted,
    At,
    BadArgument,
    Crash,
    Down,
    Ignored,
    NoReply,
    NotAName,
    Ok,
    StartError,
    Stop,
    gen_server,
    process,
    self_pid,
)
from tests.conformance.conftest import Runner
from tests.conformance.servers import (
    Server,
    cast,
    kind,
    names,
)
from tests.conformance.waiting import nothing_more


def test_gs_01_start_returns_after_init(run: Runner) -> None:
    """start_link returns {ok, pid} only after init has completed."""

    def body() -> None:
        me = self_pid()

        def init() -> Any:
            process.send(me, "init")
            return Ok(1)

        pid = gen_server.start_link(kind(run), init)
        assert process.receive(timeout=0) == "init"
        gen_server.stop(pid)

    run(body)


def test_gs_02_the_name_is_registered_when_init_runs(run: Runner) -> None:
    """The name is registered when init runs; ancestors are set."""

    def body() -> None:
        me = self_pid()

        def init() -> Any:
            process.send(me, (process.whereis("early"), self_pid()))
            return Ok(1)

        pid = gen_server.start_link(kind(run), init, name="early")
        assert process.receive(timeout=0) == (pid, pid)
        info = process.info(pid, "ancestors")
        assert info is not None
        assert info["ancestors"][0] == me
        gen_server.stop(pid)

    run(body)


def test_gs_03_init_stop_is_a_start_error(run: Runner) -> None:
    """init {stop, R} -> {error, R} (as OTP 26: no EXIT is left, GS-04)."""

    def body() -> None:
        process.flag(trap_exit=True)
        with pytest.raises(StartError) as failed:
            gen_server.start_link(kind(run), lambda: Stop("why"))
        assert failed.value.reason == "why"
        nothing_more()

    run(body)


def test_gs_05_init_ignore_leaves_no_name(run: Runner) -> None:
    """init ignore -> ignore; the name is unregistered before return."""

    def body() -> None:
        for _ in range(10):
            with pytest.raises(Ignored):
                gen_server.start_link(kind(run), lambda: IGNORE, name="ign")
            assert process.whereis("ign") is None

    run(body)


def test_gs_06_a_failed_init_leaves_no_name(run: Runner) -> None:
    """A failed init never leaves the name registered."""

    def body() -> None:
        for _ in range(10):
            with pytest.raises(StartError):
                gen_server.start(kind(run), lambda: Stop("no"), name="failing")
            assert process.whereis("failing") is None

    run(body)


def test_gs_07_init_raising_is_a_start_error_with_the_crash(run: Runner) -> None:
    """init raising -> {error, {Error, Stack}}; exit(R) in init -> {error, R}."""

    def body() -> None:
        def raising() -> Any:
            raise ValueError("no")

        with pytest.raises(StartError) as failed:
            gen_server.start(kind(run), raising)
        assert failed.value.reason == Crash("ValueError", "no")
        with pytest.raises(StartError) as failed:
            gen_server.start(kind(run), lambda: process.exit("out"))
        assert failed.value.reason == "out"

    run(body)


def test_gs_08_init_returning_garbage_is_named(run: Runner) -> None:
    """init returning garbage -> {error, {bad_return_value, V}}."""

    def body() -> None:
        with pytest.raises(StartError) as failed:
            gen_server.start(kind(run), lambda: 17)
        assert failed.value.reason == ("bad_return_value", 17)

    run(body)


def test_gs_10_a_start_timeout_kills_the_process(run: Runner) -> None:
    """start timeout -> {error, timeout}, process killed, no stray messages."""

    def body() -> None:
        process.flag(trap_exit=True)
        before = set(process.list_())

        def init() -> Any:
            process.receive(where=lambda _: False)

        with pytest.raises(StartError, match="longer than"):
            gen_server.start_link(kind(run), init, timeout=0.01)
        nothing_more()
        assert set(process.list_()) == before

    run(body)


def test_gs_11_a_taken_name_is_already_started(run: Runner) -> None:
    """Registered name -> {error, {already_started, pid}}; init is not run."""

    def body() -> None:
        me = self_pid()
        pid = gen_server.start(kind(run), 0, name="one")
        with pytest.raises(AlreadyStarted) as refused:
            gen_server.start_link(kind(run), lambda: process.send(me, "ran"), name="one")
        assert refused.value.pid == pid
        nothing_more()
        gen_server.stop(pid)

    run(body)


def test_gs_12_bad_names_are_refused_with_the_allowed_forms(run: Runner) -> None:
    """Other names raise and list the allowed forms; None means unnamed (GS-13)."""

    def body() -> None:
        for bad in (7, ("x",), At("x", "a@h")):
            with pytest.raises(NotAName, match="Global"):
                gen_server.start(kind(run), 0, name=bad)
        gen_server.stop(gen_server.start(kind(run), 0, name=None))

    run(body)


def test_gs_12_a_name_has_one_of_three_forms(run: Runner) -> None:
    """names: local atom, {global, n}, {via, mod, n}; a taken one is already_started (GS-11),
    calls and casts find it, whereis resolves it (GS-69)."""

    def body() -> None:
        for name in names(run):
            pid = gen_server.start(kind(run), 0, name=name)
            assert gen_server.whereis(name) == pid
            cast(name, lambda s: NoReply(s + 1))
            assert gen_server.call(name, "x") == ("x", 1)
            with pytest.raises(AlreadyStarted) as taken:
                gen_server.start(kind(run), 0, name=name)
            assert taken.value.pid == pid
            gen_server.stop(name)
            assert gen_server.whereis(name) is None

    run(body)


def test_gs_14_start_monitor_gives_the_exit_reason(run: Runner) -> None:
    """start_monitor returns {pid, ref}; the DOWN reason is the exit reason."""

    def body() -> None:
        pid, ref = gen_server.start_monitor(kind(run), 0)
        gen_server.stop(pid, "over")
        assert process.receive(Down, timeout=5) == Down(ref, pid, "over")

    run(body)


def test_gs_69_whereis_resolves_names(run: Runner) -> None:
    """whereis: pid -> pid, name -> pid or nil, {name, other node} -> as it is."""

    def body() -> None:
        pid = gen_server.start(kind(run), 0, name="here")
        assert gen_server.whereis(pid) == pid
        assert gen_server.whereis("here") == pid
        assert gen_server.whereis(At("here", self_pid().node)) == pid
        assert gen_server.whereis("nobody") is None
        assert gen_server.whereis(At("x", "b@h")) == At("x", "b@h")
        gen_server.stop(pid)

    run(body)


def test_gs_70_child_spec_has_defaults_and_class_options() -> None:
    """child_spec: id is the module; options of the class override."""

    class Custom(Server, restart="transient", shutdown=1.0, id="own"):
        pass

    spec = Server.child_spec(5)
    assert (spec.id, spec.start[1], spec.restart) == (Server, (5,), "permanent")
    own = Custom.child_spec(5)
    assert (own.id, own.restart, own.shutdown) == ("own", "transient", 1.0)
    with pytest.raises(BadArgument, match="restrat"):

        class Misspelt(Server, restrat="x"):  # type: ignore[call-arg]  # pyright: ignore[reportUnusedClass]
            pass


def test_gs_04_no_exit_is_left_of_a_failed_start(run: Runner) -> None:
    """OTP>=26 flushes that EXIT (nack path)."""
    failing: list[Any] = [lambda: Stop("why"), lambda: IGNORE, lambda: process.exit("out")]

    def body() -> None:
        process.flag(trap_exit=True)
        for _ in range(20):
            for init in failing:
                with pytest.raises(StartError):
                    gen_server.start_link(kind(run), init)
                nothing_more()
        assert process.info(self_pid(), "links") == {"links": []}

    run(body)


def test_gs_13_none_means_unnamed(run: Runner) -> None:
    """name: nil means unnamed."""

    def body() -> None:
        pid = gen_server.start(kind(run), 0, name=None)
        assert process.info(pid, "registered_name") == {"registered_name": None}
        assert pid not in map(process.whereis, process.registered())
        gen_server.stop(pid)

    run(body)
