"""The traffic light, in virtual time: minutes pass in no time, and always the same way."""

from examples.state_machines import traffic_light
from examples.state_machines.traffic_light import TrafficLight
from otpy import gen_statem, process, sys
from otpy.testing import Simulation


def colour() -> str:
    state: str = sys.get_state("light")[0]
    return state


def test_a_light_stays_green_until_somebody_presses_the_button() -> None:
    def scenario() -> None:
        traffic_light.start_link("light")
        process.sleep(3600)
        assert colour() == "green"
        gen_statem.cast("light", "button")
        process.sleep(4.9)
        assert colour() == "green"
        process.sleep(0.2)
        assert colour() == "yellow"
        process.sleep(TrafficLight.YELLOW)
        assert colour() == "red"
        process.sleep(TrafficLight.RED)
        assert colour() == "green"

    Simulation(1).run(scenario, limit=7200)


def test_all_who_wait_cross_when_it_turns_red() -> None:
    def scenario() -> None:
        traffic_light.start_link("light")
        walkers = gen_statem.reqids_new()
        for name in ("ann", "bob"):
            gen_statem.send_request("light", "cross", name, walkers)
        assert gen_statem.wait_response(walkers, 60) == "timeout"  # nobody has pressed the button
        gen_statem.cast("light", "button")
        for number, name in enumerate(("ann", "bob"), 1):
            assert gen_statem.wait_response(walkers, 60) == (("reply", number), name, walkers)
        assert colour() == "red"

    Simulation(1).run(scenario)


def test_who_wants_to_cross_waits_for_red() -> None:
    def scenario() -> None:
        traffic_light.start_link("light")
        gen_statem.cast("light", "button")
        assert gen_statem.call("light", "cross") == 1
        assert colour() == "red"
        assert gen_statem.call("light", "cross") == 2

    Simulation(1).run(scenario)
