"""To whom a node connects by itself."""

import pytest

from otpy.machines.auto_connect import AutoConnect, AutoConnecting

B, C = "b@127.0.0.1", "c@127.0.0.1"


@pytest.mark.parametrize(
    ("how", "new", "lost", "asked"),
    [("always", True, True, True), ("once", True, False, True), ("never", False, False, True)],
)
def test_a_node_may_be_dialed(how: AutoConnect, new: bool, lost: bool, asked: bool) -> None:
    rule = AutoConnecting(how)
    assert rule.may(B) is new
    rule.down(B)
    assert rule.may(B) is lost
    assert rule.may(C) is new
    rule.ask(B)
    assert rule.may(B) is asked


@pytest.mark.parametrize("how", ["once", "never"])
def test_being_asked_counts_until_it_is_given_up_or_the_session_ends(how: AutoConnect) -> None:
    rule = AutoConnecting(how)
    rule.down(B)
    for end in (rule.give_up, rule.down):
        rule.ask(B)
        assert rule.may(B)
        end(B)
        assert not rule.may(B)
