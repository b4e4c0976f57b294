"""``gen_statem`` (STATEM): time-outs at instants, and those that end together."""

from typing import Any

import pytest

from otpy import Down, gen_statem, process
from otpy.behaviours.gen_statem import (
    Action,
    CancelTimeout,
    SetEventTimeout,
    SetStateTimeout,
    SetTimeout,
)
from tests.conformance.conftest import Runner
from tests.conformance.machines import LATE, at_once, begin, contents, goes, keeps, kind

SHORT = 0.02


def named(seconds: float | None, content: Any, absolute: bool) -> Action:
    """``SetTimeout`` for one name."""
    return SetTimeout("x", seconds, content, absolute)


ABSOLUTE: dict[str, Any] = {"state": SetStateTimeout, "event": SetEventTimeout, "named": named}


@pytest.mark.parametrize("which", ["state", "event", "named"])
def test_statem_14_a_time_out_may_be_an_instant(run: Runner, which: str) -> None:
    """{abs,true} absolute times."""
    made = ABSOLUTE[which]

    def body() -> None:
        pid = begin(run)
        soon = process.monotonic_time() + SHORT
        gen_statem.cast(pid, keeps(made(soon, "soon", True)))
        assert contents(1) == ["soon"]
        assert process.monotonic_time() >= soon
        for later in (process.monotonic_time() + LATE, float("inf"), None):
            again = made(later, "never", True)
            at_once(pid, keeps(made(SHORT, "lost", False), again), "x")
            assert contents(1) == ["x"]
            gen_statem.cast(pid, keeps(SetTimeout("end", 2 * SHORT, "end")))
            assert contents(1) == ["end"]
        gen_statem.stop(pid)

    run(body)


def test_statem_14_an_instant_that_is_over_is_due_behind_the_mailbox(run: Runner) -> None:
    """{abs,true}: a time that is over comes at once, behind what is in the mailbox, and can be
    cancelled until then; a time of 0 is no time-out of 0 seconds."""

    def body() -> None:
        pid = begin(run)
        over = [SetTimeout(n, t, n, abs=True) for n, t in (("n", 0), ("m", -5.0), ("o", -1.0))]
        at_once(pid, keeps(*over, SetTimeout("z", 0, "z")), "mailbox", keeps(CancelTimeout("m")))
        gen_statem.cast(pid, "later")
        assert contents(5) == ["z", "mailbox", "o", "n", "later"]
        at_once(pid, keeps(SetStateTimeout(0, "lost", abs=True)), goes("b"), "x")
        assert contents(1) == ["x"]
        gen_statem.stop(pid)

    run(body)


@pytest.mark.parametrize(
    "wrong",
    [
        SetStateTimeout("soon", abs=True),  # type: ignore[arg-type]  # wrong on purpose
        SetEventTimeout(float("nan"), abs=True),
        SetTimeout("x", True, abs=True),
        SetTimeout("x", 5, abs=1),  # type: ignore[arg-type]  # wrong on purpose
        SetTimeout("x", None, abs=1),  # type: ignore[arg-type]  # wrong on purpose
        SetTimeout("x", -1, abs=False),
    ],
)
def test_statem_14_what_is_no_instant_is_a_bad_action(run: Runner, wrong: Action) -> None:
    """{abs,true}: anything but a number or infinity is a bad action."""

    def body() -> None:
        pid, _ = gen_statem.start_monitor(kind(run), None)
        gen_statem.cast(pid, keeps(wrong))
        reason = process.receive(Down, timeout=5).reason
        assert reason == ("bad_action_from_state_function", wrong)

    run(body)


def test_statem_10_timers_of_one_list_that_end_together_come_in_reverse(run: Runner) -> None:
    """timeout order of start: OTP starts those of more than 0 from the list's end."""

    def body() -> None:
        pid = begin(run)
        gen_statem.cast(pid, keeps(*(SetTimeout(n, SHORT, n) for n in "abc")))
        assert contents(3) == ["c", "b", "a"]
        gen_statem.stop(pid)

    run(body)
