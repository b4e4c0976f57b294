"""The engine of ``gen_statem`` against a second implementation, and against what OTP says."""

import itertools
from typing import Any, cast

from hypothesis import given, settings
from hypothesis import strategies as st

from otpy.machines import statem_types as t
from otpy.machines.statem import Invoke, Statem
from otpy.machines.statem_types import Event
from otpy.terms.calls import From
from tests.machines.statems import Plain, Step, traces

FROM = From(cast("Any", "caller"), 1, cast("Any", "machine"))
SECONDS = st.sampled_from([0, 0, 1, 2, 3, None])
ABS = st.sampled_from([False, False, True])  # the clock begins at 0 and gets to 12 at most
CONTENTS = st.integers(0, 9)
NAMES = st.sampled_from(["x", "y"])
INSERTED = st.sampled_from(
    [t.Internal(), t.Cast(), t.Info(), t.StateTimeout(), t.EventTimeout(), t.NamedTimeout("x")]
)
ACTION: st.SearchStrategy[Any] = st.one_of(
    st.builds(t.Reply, st.just(FROM), CONTENTS),
    st.builds(t.Postpone, st.sampled_from([True, True, False])),
    st.builds(t.NextEvent, INSERTED, CONTENTS),
    st.builds(t.SetStateTimeout, SECONDS, CONTENTS, ABS),
    st.builds(t.SetEventTimeout, SECONDS, CONTENTS, ABS),
    st.builds(t.SetTimeout, NAMES, SECONDS, CONTENTS, ABS),
    st.just(t.CancelStateTimeout()),
    st.just(t.CancelEventTimeout()),
    st.builds(t.CancelTimeout, NAMES),
    st.builds(t.UpdateStateTimeout, CONTENTS),
    st.builds(t.UpdateEventTimeout, CONTENTS),
    st.builds(t.UpdateTimeout, NAMES, CONTENTS),
    st.just(t.Hibernate()),
)
ACTIONS = st.lists(ACTION, max_size=4)
GOING_ON: st.SearchStrategy[Any] = st.one_of(
    st.builds(t.NextState, st.sampled_from("abc"), CONTENTS, ACTIONS),
    st.builds(t.KeepState, CONTENTS, ACTIONS),
    st.builds(t.KeepStateAndData, ACTIONS),
    st.builds(t.RepeatState, CONTENTS, ACTIONS),
    st.builds(t.RepeatStateAndData, ACTIONS),
)
ENDING: st.SearchStrategy[Any] = st.one_of(
    st.builds(t.Stop, st.just("why")),
    st.builds(t.Stop, st.just("why"), CONTENTS),
    st.builds(t.StopAndReply, st.just("why"), st.just([t.Reply(FROM, 1)]), CONTENTS),
    st.builds(t.KeepStateAndData, ACTIONS.map(lambda actions: [*actions, "wrong"])),
    st.just("nothing that a callback may return"),
)
RESULTS = st.tuples(
    st.lists(GOING_ON, max_size=12), st.lists(ENDING, max_size=1)
).map(lambda both: [*both[0], *both[1]])  # fmt: skip
STEPS: st.SearchStrategy[list[Step]] = st.lists(
    st.tuples(st.lists(CONTENTS, max_size=3), st.sampled_from([0, 1, 2])), max_size=6
)


@settings(max_examples=600, deadline=None)
@given(RESULTS, STEPS, st.booleans(), st.builds(t.Ok, st.just("a"), st.just(0), ACTIONS))
def test_the_engine_does_as_the_second_implementation(
    results: list[Any], steps: list[Step], enters: bool, ok: t.Ok[str, int]
) -> None:
    engine, dumb = traces(results, steps, enters, ok)
    assert engine == dumb


MOVES: tuple[Any, ...] = (
    t.NextState("b", 1),
    t.NextState("b", 1, [t.Postpone()]),
    t.NextState("a", 2, [t.NextEvent(t.Internal(), 1), t.NextEvent(t.Internal(), 2)]),
    t.KeepStateAndData([t.Postpone()]),
    t.KeepStateAndData([t.NextEvent(t.Internal(), 3), t.Postpone()]),
    t.KeepStateAndData([t.SetStateTimeout(0, "s"), t.SetEventTimeout(0, "e")]),
    t.KeepStateAndData([t.SetEventTimeout(0, "e"), t.SetTimeout("x", 0, "x")]),
    t.KeepStateAndData([t.SetStateTimeout(1, "s"), t.SetEventTimeout(1, "e")]),
    t.KeepStateAndData([t.SetTimeout("x", 1, "x"), t.NextEvent(t.Internal(), 4)]),
    t.KeepStateAndData([t.SetTimeout("x", 0, "x", abs=True), t.SetEventTimeout(1, "e", abs=True)]),
    t.KeepStateAndData([t.UpdateStateTimeout("u"), t.CancelTimeout("x")]),
    t.RepeatStateAndData(),
    t.Stop("why"),
)


def test_every_sequence_of_three_results_is_as_the_second_implementation() -> None:
    steps: list[Step] = [([1, 2], 0), ([], 1), ([3], 1), ([], 2)]
    for enters in (False, True):
        for results in itertools.product(MOVES, repeat=3):
            engine, dumb = traces(list(results), steps, enters)
            assert engine == dumb, (enters, results)


def calls(results: list[Any], steps: list[Step], enters: bool = False) -> list[Any]:
    """The events of the callbacks' calls, each with its content."""
    trace, _ = traces(results, steps, enters)
    return [(entry[1].type, entry[1].content) for entry in trace if entry[0] == "call"]


def test_inserted_events_come_before_postponed_and_those_before_the_mailbox() -> None:
    go = t.NextState("b", 0, [t.NextEvent(t.Internal(), "i1"), t.NextEvent(t.Internal(), "i2")])
    postpone = t.KeepStateAndData([t.Postpone()])
    got = calls([postpone, postpone, go], [(["p1", "p2", "go", "m"], 0)])
    assert [content for _, content in got] == ["p1", "p2", "go", "i1", "i2", "p1", "p2", "m"]


def test_a_time_out_set_anew_does_not_come_even_when_its_message_is_there() -> None:
    set_, again = t.SetTimeout("x", 1, "old"), t.SetTimeout("x", 1, "new")
    results = [t.KeepStateAndData([set_]), t.KeepStateAndData([again])]
    got = calls(results, [(["first"], 0), (["second"], 1), ([], 1)])
    assert [content for _, content in got] == ["first", "second", "new"]


def test_a_single_action_is_taken_as_a_list_of_one() -> None:
    machine = Statem("a", 0, Plain)
    assert machine.start((), 0.0) == []
    machine.event(Event(t.Cast(), 1))
    effects = machine.returned(t.KeepStateAndData(t.NextEvent(t.Internal(), 2)), 0.0)
    assert effects == [Invoke(Event(t.Internal(), 2))]
