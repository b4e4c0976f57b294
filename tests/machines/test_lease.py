"""The machines of leases, in every history that a seed gives, and step by step.

Never two valid leases at one true instant; tokens grow; of each version of the members one is
chosen; and when nothing is wrong somebody holds.
``OTPY_LEASE_SEEDS=20000 pytest tests/machines/test_lease.py`` searches further.
"""

import os
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otpy.machines.lease import Candidate, Changed, Lost, Mistake, Refusals, Won
from otpy.machines.lease_granter import AT_ONCE, EPSILON, FEW, Drop, Granter, Record, Send, Write
from otpy.machines.lease_messages import (
    Accepted,
    Ask,
    Free,
    Granted,
    Pending,
    Propose,
    Quorum,
    Refused,
    Release,
    read,
)
from otpy.terms.pid import Pid
from tests.machines import lease_mistakes as mistakes
from tests.machines.leases import CHANGES, LEASE, OFTEN, RESTARTS, TORN, World, play

SEEDS = int(os.environ.get("OTPY_LEASE_SEEDS", "1600"))
BATCHES = 8
ABC = Quorum.of(("a", "b", "c"))
P, Q = Pid(0, "a", 0, 1), Pid(1, "b", 0, 1)
LENGTH = (1 + EPSILON) / (1 - EPSILON)  # of a promise, for a lease of 1
PAUSES: dict[str, Any] = {"kinds": [*OFTEN, "pause_holder", "resume"], "slow": (0.0001,)}


@pytest.mark.parametrize("batch", range(BATCHES))
def test_never_two_valid_leases_whatever_happened(batch: int) -> None:
    terms = changes = carried = drops = 0
    for seed in range(batch, SEEDS, BATCHES):
        options = ({}, {"durable": True}, {"sized": True}, {"durable": True})[seed // BATCHES % 4]
        try:
            world = play(seed, rest=seed // BATCHES % 5 == 0, **options)
        except AssertionError as error:
            raise AssertionError(f"seed {seed}, {options}: {error}") from error
        terms += len(world.terms)
        changes += world.changes
        carried += world.carried
        drops += world.drops
    assert terms > SEEDS / BATCHES, "hardly anybody ever held it: the search shows nothing"
    assert changes > SEEDS / BATCHES / 4, "the members hardly ever changed"
    assert carried > 0, "no change was ever brought to its end by a later holder"
    assert drops > SEEDS / BATCHES / 16, "granters hardly ever dropped the name"


WRONG = "both have a valid lease|token .* after|has the members"


def search(**options: Any) -> None:
    for seed in range(3000):
        play(seed, rest=False, **options)


@pytest.mark.parametrize(
    ("broken", "options"),
    [
        (mistakes.GrantsAtOnceAfterARestart, {"kinds": RESTARTS}),
        (mistakes.PromisesNoLongerThanTheLease, {"kinds": OFTEN}),
        (mistakes.CountsFromReceipt, {"kinds": OFTEN, "slow": (0.0005, 0.1)}),
        (mistakes.CountsAnotherEpoch, {}),
        (mistakes.KeepsTheLeaseItReleases, {}),
        (mistakes.NeedsAHalfOnly, {}),
        (mistakes.ForgetsWhoIsOutOfReach, {}),
        (mistakes.TakesAnyRelease, {}),
        (mistakes.GivesATokenTwice, {"durable": True, "kinds": RESTARTS}),
        (mistakes.WritesNothing, {"durable": True, "kinds": RESTARTS}),
        (mistakes.ChangesByAMinority, {"durable": True, "kinds": CHANGES}),
        (mistakes.ChangesAnyNumber, {"durable": True, "kinds": CHANGES}),
        (mistakes.ProposesItsOwnWish, {"durable": True, "kinds": TORN}),
        (mistakes.ProposesWhatIsOlder, {"durable": True, "kinds": TORN}),
        (mistakes.ForgetsWhatItAccepted, {"durable": True, "kinds": TORN}),
        (mistakes.AcceptsWithoutWriting, {"durable": True, "kinds": TORN}),
        (mistakes.DropsTheToken, {"durable": True, "kinds": RESTARTS}),
        (mistakes.DropsWhatIsNotOver, {"kinds": RESTARTS}),
        (mistakes.DropsOtherMembers, {"durable": True, "kinds": CHANGES}),
    ],
)
def test_a_seeded_mistake_is_found(broken: type[Any], options: dict[str, Any]) -> None:
    role: dict[str, Any] = {"candidate" if issubclass(broken, Candidate) else "granter": broken}
    if broken is mistakes.ChangesAnyNumber:
        role["granter"] = mistakes.AcceptsAnyNumber
    with pytest.raises(AssertionError, match=WRONG):
        search(**role, **options)


@pytest.mark.parametrize(
    "broken", [mistakes.PromisesNoLongerThanTheLease, mistakes.TrustsTheHoldersClock]
)
def test_clocks_that_run_at_different_rates_find_what_others_do_not(broken: type[Granter]) -> None:
    for seed in range(150):
        play(seed, rest=False, granter=broken, skew=0.0, **PAUSES)
    with pytest.raises(AssertionError, match="both have a valid lease"):
        search(granter=broken, **PAUSES)


def failovers(harm: str, candidate: type[Candidate] = Candidate) -> list[float]:
    """How long it takes, sorted, until another holds when the holder's node is harmed."""
    took: list[float] = []
    for seed in range(300):
        world = World(seed, slow=(0.005,), candidate=candidate)
        if world.quorum.size % 2 == 0:
            continue  # without the holder there is not one node more than must agree
        world.mend()
        world.run(3 * LEASE)
        (holder,) = world.valid()
        getattr(world, harm)(holder.node)
        before = len(world.terms)
        while len(world.terms) == before and world.now < 20 * LEASE:
            world.run(world.now + LEASE / 100)
        took.append(world.now - 3 * LEASE)
    return sorted(took)


@pytest.mark.parametrize(("harm", "most"), [("kill", 1.25), ("pause", 2.0)])
def test_another_holds_soon_after_the_holder_is_gone(harm: str, most: float) -> None:
    """Also if it is silent, and the candidates must find out that they need not wait for it."""
    assert failovers(harm)[-1] < most * LEASE


def test_candidates_that_do_not_ask_again_take_several_leases_to_agree() -> None:
    assert failovers("pause", mistakes.AsksOnlyOnce)[-1] > 3 * LEASE


# Step by step.


def ask(pid: Pid = P, token: int = 1, quorum: Quorum = ABC, sent: float = 0.0) -> Ask:
    return Ask("x", pid, token, quorum, 1.0, sent)


def granter(durable: bool = False, records: tuple[Record, ...] = (), now: float = 0.0) -> Granter:
    return Granter("a", 1.0, now, durable, records)


def answer(effects: list[Any]) -> Any:
    (sent,) = [effect for effect in effects if isinstance(effect, Send)]
    return sent.message


def holder(durable: bool = True, quorum: Quorum = ABC, **pending: Pending) -> Candidate:
    """A candidate that a and b have granted the name at 0."""
    one = Candidate("a", "x", P, quorum, 1.0, ("b", "c", "d"))
    one.tick(0.0, 0.5)
    for node in "ab":
        granted = Granted("x", P, 1, quorum.version, 0.0, durable, pending.get(node))
        one.message(node, granted, 0.0, 0.5)
    return one


def test_a_lease_ends_before_any_of_its_promises() -> None:
    one = holder()
    assert one.until == 1.0
    it = granter()
    assert isinstance(answer(it.message("b", ask(), 2.0)), Granted)
    assert it.promises["x"].until == 2.0 + LENGTH
    refused = answer(it.message("b", ask(Q, 2), 3.0))
    assert (refused.why, round(refused.wait, 6)) == ("held", round(LENGTH - 1, 6))
    assert isinstance(answer(it.message("b", ask(Q, 2), 2.0 + LENGTH)), Granted)


def test_a_promise_of_the_fastest_clock_lasts_longer_than_a_lease_of_the_slowest() -> None:
    off = EPSILON * 0.999
    assert granter().length(1.0) / (1 + off) > 1.0 / (1 - off)


def test_a_granter_that_starts_grants_nothing_for_one_lease() -> None:
    it = granter(now=10.0)
    assert answer(it.message("b", ask(), 11.0)).why == "held"
    assert isinstance(answer(it.message("b", ask(), 10.0 + LENGTH)), Granted)


def test_a_granter_with_a_disk_knows_after_a_restart_whom_it_promised() -> None:
    """Who has the promise need not wait; for everybody else it is as without a disk."""
    it = granter(durable=True)
    (write, _) = it.message("b", ask(token=7), 2.0)
    assert isinstance(write, Write)
    assert write.record == Record("x", ABC, 7, P, None, 1.0)
    again = granter(True, (write.record,), now=50.0)
    assert answer(again.message("b", ask(Q, 8), 51.0)).why == "held"
    assert isinstance(answer(again.message("b", ask(token=7), 50.0)), Granted)
    later = granter(True, (write.record,), now=50.0)
    assert answer(later.message("b", ask(Q, 7), 52.0)) == Refused(
        "x", Q, 7, "behind", 7, 0.0, ABC, 1.0, 1
    )


def test_what_is_promised_is_on_the_disk_before_it_is_said_and_a_renewal_writes_nothing() -> None:
    it = granter(durable=True)
    assert [type(effect) for effect in it.message("b", ask(), 2.0)] == [Write, Send]
    assert [type(effect) for effect in it.message("b", ask(sent=2.1), 2.1)] == [Send]


def test_who_was_refused_hears_when_the_promise_is_given_back() -> None:
    it = granter()
    it.message("a", ask(), 2.0)
    it.message("b", ask(Q, 2), 2.0)
    assert it.message("a", Release("x", P, 1), 2.1) == [Send("b", Free("x"))]
    assert isinstance(answer(it.message("b", ask(Q, 2), 2.1)), Granted)
    assert it.message("a", Release("x", P, 1), 2.2) == []  # doubled: not P's any more
    assert answer(it.message("a", ask(), 2.2)).why == "held"


def test_a_granter_that_has_what_it_refused_is_asked_again_in_the_same_attempt() -> None:
    one = Candidate("a", "x", P, ABC, 1.0, ("b", "c"))
    one.tick(0.0, 0.5)
    assert one.message("b", Free("x"), 0.1, 0.5) == [], "it has not refused"
    one.message("a", Granted("x", P, 1, 0, 0.0, False, None), 0.1, 0.5)
    assert one.message("b", Refused("x", P, 1, "held", 0, 1.0, ABC, 1.0, 3), 0.1, 0.5) == []
    assert one.message("b", Free("x"), 0.2, 0.5) == [Send("b", ask(sent=0.2))]
    assert one.message("b", Free("x"), 0.2, 0.5) == []
    assert one.message("b", Granted("x", P, 1, 0, 0.2, False, None), 0.2, 0.5) == [Won(None)]
    assert one.until == 1.0


def test_a_request_that_its_release_overtook_promises_nothing() -> None:
    it = granter()
    it.message("a", ask(token=3), 2.0)
    it.message("a", Release("x", P, 5), 2.1)
    assert answer(it.message("a", ask(token=5), 2.2)).why == "behind"


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        (ask(quorum=Quorum.of(("a", "b"))), "other_quorum"),
        (ask(quorum=Quorum.of(2)), "other_quorum"),
        (ask()._replace(lease=2.0), "other_lease"),
    ],
)
def test_a_request_with_another_configuration_is_refused(asked: Ask, why: str) -> None:
    it = granter()
    it.message("a", ask(), 2.0)
    refused = answer(it.message("a", asked._replace(token=9), 9.0))
    assert (refused.why, refused.quorum, refused.lease) == (why, ABC, 1.0)


def test_a_node_that_is_no_member_and_one_too_many_grant_nothing() -> None:
    it = granter()
    assert answer(it.message("b", ask(quorum=Quorum.of(("b", "c"))), 2.0)).why == "no_member"
    for peer in "bcd":
        it.node_up(peer)
    crowded = answer(it.message("b", ask(quorum=Quorum.of(3)), 2.0))
    assert (crowded.why, crowded.nodes) == ("crowded", 4)


def fill(it: Granter, now: float, sent: str = "n", count: int = FEW) -> list[Any]:
    """Ask for so many other names; what the last of them brings with it."""
    effects: list[Any] = []
    for number in range(count):
        effects = it.message("b", ask()._replace(name=f"{sent}{number}"), now)
    return effects


def test_what_is_over_is_dropped_when_there_are_many_names_and_tokens_grow_all_the_same() -> None:
    it = granter(durable=True)
    it.message("b", ask(token=7), 2.0)
    fill(it, 2.0, count=FEW - 1)
    drop, refused = it.message("b", ask()._replace(name="y"), 2.0 + LENGTH)
    assert isinstance(drop, Drop)
    assert (drop.names[0], len(drop.names), drop.floor) == ("x", FEW, 7)
    assert list(it.promises) == ["y"]
    assert answer([refused]).highest == 7
    assert answer(it.message("b", ask(Q, 7), 9.0)) == Refused(
        "x", Q, 7, "behind", 7, 0.0, ABC, 1.0, 1
    )
    assert isinstance(answer(it.message("b", ask(Q, 8), 9.0)), Granted)


def test_a_granter_that_drops_holds_few_names_whatever_it_is_asked() -> None:
    it = granter()
    for turn in range(40):
        fill(it, 2.0 + 2 * turn, f"{turn}-")
    assert len(it.promises) <= 2 * FEW


def test_a_granter_drops_so_many_at_once_and_the_rest_with_the_next_names() -> None:
    it = granter(durable=True)
    fill(it, 2.0, count=2 * AT_ONCE)
    drops = [it.message("b", ask()._replace(name=name), 4.0)[0] for name in "xyz"]
    assert [len(one.names) if isinstance(one, Drop) else 0 for one in drops] == [
        AT_ONCE,
        AT_ONCE,
        0,
    ]
    assert list(it.promises) == ["z"], "x and y were promised to nobody"


def test_a_granter_drops_no_promise_that_lasts_and_no_members_that_were_changed() -> None:
    it = granter(durable=True)
    newer = Quorum(1, 2, ("a", "b"))
    it.message("b", ask(quorum=newer)._replace(name="changed"), 2.0)
    it.message("b", ask(), 2.0)
    it.message("b", Propose("x", P, 1, 0, ("a", "b")), 2.0)
    it.message("b", ask()._replace(name="lasts"), 3.0)
    fill(it, 2.0, count=FEW - 3)
    it.message("b", ask()._replace(name="y"), 2.0 + LENGTH)
    assert list(it.promises) == ["changed", "x", "lasts", "y"]


def test_after_a_restart_the_floor_counts_for_names_that_were_dropped() -> None:
    it = Granter("a", 1.0, 0.0, True, (), 7)
    assert answer(it.message("b", ask(token=7), 2.0)).highest == 7
    other = ask(token=8, quorum=Quorum.of(("a", "b")))
    assert isinstance(answer(it.message("b", other, 2.0)), Granted), "nothing was given here"


def test_of_records_of_equal_names_the_one_with_the_greatest_token_counts() -> None:
    records = [Record(name, ABC, token, P, None, 1.0) for name, token in ((1, 9), (True, 4))]
    for order in (records, records[::-1]):
        it = granter(True, tuple(order))
        assert answer(it.message("b", ask(Q, 9)._replace(name=1), 2.0)).why == "behind"


def test_a_mistake_is_told_once_for_each_node() -> None:
    one = Candidate("a", "x", P, ABC, 1.0, ("b", "c"))
    one.tick(0.0, 0.5)
    other = Refused("x", P, 1, "other_quorum", 0, 0.0, Quorum.of(5), 1.0, 3)
    assert one.message("b", other, 0.0, 0.5) == [Mistake("b", other)]
    assert one.message("b", other, 0.0, 0.5) == []


def test_a_holder_renews_well_before_the_end_and_steps_down_before_it() -> None:
    one = holder()
    assert one.wake == 0.25
    assert {type(effect.message) for effect in one.tick(0.25, 0.5)} == {Ask}  # type: ignore[union-attr]
    one.message("b", Granted("x", P, 1, 0, 0.25, True, None), 0.3, 0.5)
    assert one.until == 1.0  # one of three is no majority
    one.message("c", Granted("x", P, 1, 0, 0.25, True, None), 0.3, 0.5)
    assert one.until == 1.25
    lost, *releases = one.tick(1.15, 0.5)
    assert isinstance(lost, Lost)
    assert one.until < 0
    assert [effect.message for effect in releases] == [Release("x", P, 1)] * 3  # type: ignore[union-attr]


def test_a_holder_that_slept_loses_it_though_an_answer_waits() -> None:
    one = holder()
    one.tick(0.25, 0.5)
    answers = [
        one.message(node, Granted("x", P, 1, 0, 0.25, True, None), 9.0, 0.5) for node in "bc"
    ]
    assert isinstance(answers[0][0], Lost)
    assert answers[1] == []


def test_there_is_a_token_only_if_a_majority_of_members_has_a_disk() -> None:
    for durable, quorum, token in ((True, ABC, 1), (False, ABC, None), (True, Quorum.of(3), None)):
        one = Candidate("a", "x", P, quorum, 1.0, ("b", "c"))
        one.tick(0.0, 0.5)
        granted = Granted("x", P, 1, 0, 0.0, durable, None)
        assert one.message("a", granted, 0.0, 0.5) == []
        assert one.message("b", granted, 0.0, 0.5) == [Won(token)]


def test_without_a_majority_in_reach_nobody_is_asked() -> None:
    one = Candidate("a", "x", P, ABC, 1.0)
    assert one.tick(0.0, 0.5) == [Refusals({})]
    one.node_up("b", 0.0, 0.0)
    assert [effect.node for effect in one.tick(0.0, 0.5)] == ["a", "b"]  # type: ignore[union-attr]


def test_members_change_when_a_majority_of_the_old_ones_has_accepted() -> None:
    one = holder()
    more = ("a", "b", "c", "d")
    propose = Propose("x", P, 1, 0, more)
    assert one.change(more, 0.1) == [Send(node, propose) for node in "abc"]
    assert one.message("a", Accepted("x", P, 1, 0), 0.1, 0.5) == []
    assert one.message("d", Accepted("x", P, 1, 0), 0.1, 0.5) == []  # not asked
    changed, *asks = one.message("b", Accepted("x", P, 1, 0), 0.1, 0.5)
    assert changed == Changed(Quorum(1, 4, more))
    assert [effect.node for effect in asks] == [*more]  # type: ignore[union-attr]
    assert one.until == 1.0
    one.message("a", Granted("x", P, 1, 0, 0.05, True, None), 0.2, 0.5)
    assert one.granted == {}, "granted under the old members"


def test_what_was_accepted_before_is_proposed_first() -> None:
    """It may have been chosen. Of several it is that of the greatest token."""
    old, older = Pending(0, ("a", "b")), Pending(-1, ("b", "c"))
    one = holder(a=older, b=old)
    assert one.proposal == ("a", "b")
    assert one.change(("a", "b", "c", "d"), 0.1) == "busy"


@pytest.mark.parametrize(
    ("one", "members", "why"),
    [
        (Candidate("a", "x", P, ABC, 1.0), ("a", "b"), "not_holder"),
        (holder(quorum=Quorum.of(3)), ("a", "b"), "no_members"),
        (holder(), ("a",), "not_one"),
        (holder(), ("a", "b", "c"), "not_one"),
        (holder(), ("a", "b", "d"), "not_one"),
        (holder(durable=False), ("a", "b"), "no_token"),
    ],
)
def test_a_change_that_cannot_be_is_refused(one: Candidate, members: Any, why: str) -> None:
    assert one.change(members, 0.1) == why


def test_newer_members_are_taken_over_and_older_ones_refused() -> None:
    it = granter(durable=True)
    it.message("b", ask(), 2.0)
    newer = Quorum(1, 4, ("a", "b", "c", "d"))
    (write, _) = it.message("b", ask(quorum=newer), 2.0)
    assert isinstance(write, Write)
    assert write.record.quorum == newer
    assert answer(it.message("b", ask(), 2.0)) == Refused("x", P, 1, "stale", 1, 0.0, newer, 1.0, 1)
    one = Candidate("a", "x", P, ABC, 1.0, ("b", "c", "d"))
    one.tick(0.0, 0.5)
    changed, *asks = one.message("b", Refused("x", P, 1, "stale", 1, 0.0, newer, 1.0, 1), 0.0, 0.5)
    assert changed == Changed(newer)
    assert [effect.message.quorum for effect in asks] == [newer] * 4  # type: ignore[union-attr]


JUNK = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-1, 3),
    st.floats(),
    st.sampled_from(("x", "held", "stale", "behind", P, ABC, Pending(1, ("a", "b")))),
    st.lists(st.sampled_from(("a", "b")), max_size=3).map(tuple),
    st.builds(Quorum, st.integers(-1, 2), st.integers(-1, 3), st.just(("a", "b"))),
)
KINDS: tuple[Any, ...] = (Ask, Granted, Refused, Release, Free, Propose, Accepted)
MESSAGES = JUNK | st.sampled_from(KINDS).flatmap(
    lambda kind: st.builds(kind, *[JUNK] * len(kind._fields))
)


@given(st.lists(MESSAGES, max_size=8))
def test_no_message_makes_a_machine_raise(messages: list[Any]) -> None:
    it, one = granter(True), holder()
    for message in map(read, messages):
        if isinstance(message, Ask | Release | Propose):
            it.message("b", message, 2.0)
        elif message is not None:
            one.message("b", message, 0.1, 0.5)


def test_what_is_no_message_is_not_read() -> None:
    good = Granted("x", P, 1, 0, 0.0, True, None)
    assert read(good) is good
    for bad in (
        tuple(good),
        good._replace(name=[]),
        good._replace(token=True),
        good._replace(sent=float("nan")),
        good._replace(pending=Pending(1, ("a", "a"))),
        ask(quorum=Quorum(0, 2, ("a", "b", "c"))),
        ask(quorum=Quorum(0, 0)),
    ):
        assert read(bad) is None
