"""TEST: what happens around a test, seen on test files that are run from here."""

from collections.abc import Callable

import pytest

Outcomes = Callable[..., pytest.RunResult]


def test_test_05_supervised_children_stop_in_reverse_before_on_exit(outcomes: Outcomes) -> None:
    """start_supervised children stop in reverse order before on_exit callbacks."""
    outcomes(
        """
def test_it(start_supervised, on_exit):
    on_exit(lambda: LOG.append("on_exit"))
    start_supervised((Worker, "a"), id="a")
    start_supervised((Worker, "b"), id="b")

def test_after():
    assert LOG == [("b", "shutdown"), ("a", "shutdown"), "on_exit"]
""",
        passed=2,
    )


def test_test_06_on_exit_runs_in_reverse_in_another_process(outcomes: Outcomes) -> None:
    """on_exit runs in reverse order after the test process died, in another process; same ref
    overrides in place."""
    outcomes(
        """
def test_it(on_exit):
    me = self_pid()
    on_exit(lambda: LOG.append("first"))
    on_exit(lambda: LOG.append("replaced"), "ref")
    on_exit(lambda: LOG.append((self_pid() != me, process.alive(me))))
    on_exit(lambda: LOG.append("second"), "ref")

def test_after():
    assert LOG == [(True, False), "second", "first"]
""",
        passed=2,
    )


def test_test_07_on_exit_runs_after_a_failure_and_its_crash_fails_the_test(
    outcomes: Outcomes,
) -> None:
    """on_exit runs on failure too; its crash fails the test."""
    result = outcomes(
        """
def test_fails(on_exit):
    on_exit(lambda: LOG.append("ran"))
    assert False

def test_its_crash(on_exit):
    assert LOG == ["ran"]
    on_exit(lambda: 1 / 0)
""",
        passed=1,
        failed=1,
        errors=1,
    )
    result.stdout.fnmatch_lines(["*on_exit callback * exited: (ZeroDivisionError)*"])


def test_test_08_what_is_linked_to_the_test_stops_with_shutdown(outcomes: Outcomes) -> None:
    """test process exits with shutdown so linked processes stop."""
    outcomes(
        """
def test_it(node):
    gen_server.start_link(Worker, "linked")

def test_after():
    assert LOG == [("linked", "shutdown")]
""",
        passed=2,
    )


def test_test_09_a_duplicate_id_and_a_start_that_fails_are_told(outcomes: Outcomes) -> None:
    """duplicate id {:error,{:duplicate_child_name,id}}; start_supervised! raises formatted
    reason."""
    outcomes(
        """
from otpy import BadChildSpec, StartError

class Fails(Worker):
    def init(self, arg):
        raise RuntimeError("no")

def test_it(start_supervised):
    start_supervised((Worker, 1))
    with pytest.raises(BadChildSpec, match="id .*Worker.* is there already") as failed:
        start_supervised((Worker, 2))
    assert failed.value.reason == ("duplicate_child_name", Worker)
    with pytest.raises(StartError, match="RuntimeError. no"):
        start_supervised((Fails, 1))
""",
        passed=1,
    )


def test_test_10_stop_supervised_stops_and_forgets(outcomes: Outcomes) -> None:
    """stop_supervised :ok / {:error,:not_found}."""
    outcomes(
        """
from otpy import ChildError

def test_it(start_supervised, stop_supervised):
    with pytest.raises(ChildError, match="was not started"):
        stop_supervised(Worker)
    pid = start_supervised((Worker, 1))
    stop_supervised(Worker)
    assert not process.alive(pid)
    assert start_supervised((Worker, 2)) != pid
    start_supervised((Worker, 3), id="brief", restart="temporary")
    stop_supervised("brief")
    with pytest.raises(ChildError, match="not_found"):
        stop_supervised("brief")
""",
        passed=1,
    )


def test_test_11_start_supervised_honours_the_restart(outcomes: Outcomes) -> None:
    """start_supervised honours restart permanent/temporary."""
    outcomes(
        """
class Named(Worker):
    @classmethod
    def start_link(cls, name):
        return gen_server.start_link(cls, name, name=name)

def test_it(start_supervised):
    stays = start_supervised((Named, "stays"), id=1)
    goes = start_supervised((Named, "goes"), id=2, restart="temporary")
    process.exit(stays, "kill")
    process.exit(goes, "kill")
    assert eventually(lambda: process.whereis("stays")) != stays
    assert process.whereis("goes") is None
""",
        passed=1,
    )


def test_test_12_only_the_test_itself_may_start_and_stop(outcomes: Outcomes) -> None:
    """only usable from the test process (ArgumentError)."""
    outcomes(
        """
from otpy import BadArgument

def test_it(start_supervised, stop_supervised, on_exit):
    def elsewhere():
        for work in (lambda: start_supervised((Worker, 1)), lambda: stop_supervised(Worker),
                     lambda: on_exit(print)):
            with pytest.raises(BadArgument, match="only be invoked from the test process"):
                work()
    _, ref = process.spawn_monitor(elsewhere)
    assert assert_receive(Down, timeout=5).reason == "normal"
""",
        passed=1,
    )


def test_test_13_a_supervisor_that_does_not_stop_is_told(outcomes: Outcomes) -> None:
    """supervisor that will not stop: "supervisor shutdown timed out after Nms"."""
    result = outcomes(
        """
class Slow(Worker, green=True):
    def terminate(self, reason, state):
        process.sleep(float("inf"))

def test_it(start_supervised):
    start_supervised((Slow, 1), shutdown="infinity")
""",
        "-o",
        "otpy_shutdown_timeout=0.05",
        passed=1,
        errors=1,
    )
    result.stdout.fnmatch_lines(["supervisor shutdown timed out after 0.05 s"])


def test_test_14_start_link_supervised_links_to_the_test(outcomes: Outcomes) -> None:
    """start_link_supervised! links to the test process."""
    outcomes(
        """
def test_it(start_link_supervised, start_supervised):
    process.flag(trap_exit=True)
    linked = start_link_supervised((Worker, 1), restart="temporary")
    not_linked = start_supervised((Worker, 2), id=2, restart="temporary")
    assert process.info(self_pid(), "links")["links"] == [linked]
    process.exit(not_linked, "kill")
    process.exit(linked, "kill")
    assert assert_receive(Exit, timeout=5) == Exit(linked, "killed")
""",
        passed=1,
    )


def test_test_15_a_test_killed_through_a_link_reports_the_exit(outcomes: Outcomes) -> None:
    """test killed through a link reports ** (EXIT from PID) reason."""
    result = outcomes(
        """
def test_waiting(node):
    process.spawn_link(lambda: process.exit("boom"))
    process.receive()

def test_not_waiting(otpy_case):
    process.spawn_link(lambda: process.exit("bang"))
    while otpy_case.test.alive:
        pass
""",
        passed=1,
        failed=1,
        errors=1,
    )
    result.stdout.fnmatch_lines(["*EXIT from <test@127.0.0.1.*>* (stop) 'boom'"])
    result.stdout.fnmatch_lines(["*EXIT from <test@127.0.0.1.*>* (stop) 'bang'"])


def test_test_08_threads_and_bodies_that_run_on_fail_the_test(outcomes: Outcomes) -> None:
    result = outcomes(
        """
import threading
gate = threading.Event()

def test_a_thread(node):
    threading.Thread(target=gate.wait, name="of the test", daemon=True).start()

def test_a_body(node):
    entered = threading.Event()
    def body():
        entered.set()
        gate.wait()
    process.spawn(body)
    entered.wait()

def test_let_go():
    gate.set()
""",
        passed=3,
        errors=2,
    )
    result.stdout.fnmatch_lines(["threads still running after the test: of the test"])
    result.stdout.fnmatch_lines(["bodies still running after the test:*"])
