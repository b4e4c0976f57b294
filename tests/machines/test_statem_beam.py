"""The engine of ``gen_statem`` against OTP's own, where Erlang is installed.

Random scripts of results are played on both; the order of the callbacks, with their arguments,
and of the replies must be the same. Time-outs are of 0 seconds, at an instant that is over, or too
long to come: then nothing depends on how fast they play.
"""

import random
import shutil
import subprocess
from pathlib import Path
from typing import Any, cast

import pytest

from otpy.machines import statem_types as t
from otpy.terms.calls import From
from tests.machines.statems import Entering, Plain, Played, World, type_of

SEED = 20
SCRIPTS = 1500
PAST, FUTURE = -1.0, 1000.0  # instants: the clock of the scripts stands at 0
FROM = From(cast("Any", "from"), 1, cast("Any", "machine"))
ERL = Path(__file__).with_name("statem_beam.erl")
Script = tuple[bool, list[Any], list[Any], list[list[int]]]
INSTANTS: dict[float | None, str] = {None: "infinity", PAST: "past", FUTURE: "future"}
TYPES: dict[type, str] = {
    t.Cast: "cast",
    t.Info: "info",
    t.Internal: "internal",
    t.StateTimeout: "state_timeout",
    t.EventTimeout: "timeout",
    t.Enter: "enter",
}
MODULES: dict[type, str] = {Plain: "statem_plain", Entering: "statem_entering"}
CALLBACKS = """
-module({name}).
-export([init/1, callback_mode/0, handle_event/4, terminate/3]).
callback_mode() -> {mode}.
init(Arg) -> statem_beam:init(Arg).
handle_event(Type, Content, State, Data) -> statem_beam:handle_event(Type, Content, State, Data).
terminate(Reason, State, Data) -> statem_beam:terminate(Reason, State, Data).
"""
INSERTED = (
    t.Internal(), t.Cast(), t.Info(), t.StateTimeout(), t.EventTimeout(), t.NamedTimeout("x")
)  # fmt: skip


class Author:
    """Writes scripts."""

    def __init__(self, seed: int) -> None:
        self.draw = random.Random(seed)

    def action(self) -> Any:
        draw = self.draw
        number, name = draw.randrange(10), draw.choice("xy")
        seconds, instant = draw.choice([0, 0, None, 1000]), draw.choice([PAST, PAST, FUTURE, None])
        absolute = draw.random() < 0.4
        time = instant if absolute else seconds
        return draw.choice(
            [
                t.Postpone(),
                t.Postpone(),
                t.Postpone(False),
                t.NextEvent(draw.choice(INSERTED), number),
                t.Reply(FROM, number),
                t.SetStateTimeout(time, number, absolute),
                t.SetEventTimeout(time, number, absolute),
                t.SetTimeout(name, time, number, absolute),
                t.SetTimeout(name, time, number, absolute),
                t.PushCallbackModule(draw.choice([Plain, Entering])),
                t.ChangeCallbackModule(draw.choice([Plain, Entering])),
                t.PopCallbackModule() if draw.random() < 0.2 else t.Hibernate(),
                t.CancelStateTimeout(),
                t.CancelEventTimeout(),
                t.CancelTimeout(name),
                t.UpdateStateTimeout(number),
                t.UpdateEventTimeout(number),
                t.UpdateTimeout(name, number),
            ]
        )

    def actions(self) -> list[Any]:
        return [self.action() for _ in range(self.draw.randrange(4))]

    def result(self) -> Any:
        draw, data, actions = self.draw, self.draw.randrange(10), self.actions()
        kinds: list[Any] = [
            t.NextState(draw.choice("abc"), data, actions),
            t.KeepState(data, actions),
            t.KeepStateAndData(actions),
            t.RepeatState(data, actions),
            t.RepeatStateAndData(actions),
            t.Stop("why", data),
            t.StopAndReply("why", [t.Reply(FROM, data), t.Reply(FROM, data + 1)], data),
            "nonsense",
        ]
        return draw.choices(kinds, [35, 20, 25, 8, 8, 1, 1, 2])[0]

    def scripts(self, count: int) -> list[tuple[Script, str]]:
        """Scripts, each with the engine's trace of it.

        None in which a time-out of 0 seconds is set anew before its turn: OTP 25 loses that.
        """
        found: list[tuple[Script, str]] = []
        while len(found) < count:
            script = self.script()
            trace = played(script)
            if trace is not None:
                found.append((script, trace))
        return found

    def script(self) -> Script:
        draw = self.draw
        results = [self.result() for _ in range(draw.randrange(12))]
        steps = [
            [draw.randrange(10) for _ in range(draw.randrange(1, 4))]
            for _ in range(draw.randrange(1, 5))
        ]
        return draw.random() < 0.5, self.actions(), results, steps


def type_term(event_type: Any) -> str:
    if isinstance(event_type, t.NamedTimeout):
        return f"{{timeout,{event_type.name}}}"
    return TYPES[event_type.__class__]


def action_term(action: Any) -> str:
    match action:
        case t.Postpone(on):
            return "postpone" if on else "{postpone,false}"
        case t.NextEvent(type_, content):
            return f"{{next_event,{type_term(type_)},{content}}}"
        case t.Reply(_, value):
            return f"{{reply,from,{value}}}"
        case t.PushCallbackModule(module):
            return f"{{push_callback_module,{MODULES[module]}}}"
        case t.ChangeCallbackModule(module):
            return f"{{change_callback_module,{MODULES[module]}}}"
        case t.PopCallbackModule():
            return "pop_callback_module"
        case t.Hibernate():
            return "hibernate"
        case _:
            key = type_term(type_of(action))
    if hasattr(action, "seconds"):
        given = action.seconds
        time = INSTANTS[given] if action.abs or given is None else given * 1000
        return f"{{{key},{time},{action.content}{',{abs,true}' if action.abs else ''}}}"
    if hasattr(action, "content"):
        return f"{{{key},update,{action.content}}}"
    return f"{{{key},cancel}}"


def list_term(terms: list[str]) -> str:
    return f"[{','.join(terms)}]"


def result_term(result: Any) -> str:
    actions = list_term([action_term(a) for a in getattr(result, "actions", [])])
    match result.__class__.__name__:
        case "NextState":
            return f"{{next_state,{result.state},{result.data},{actions}}}"
        case "KeepState":
            return f"{{keep_state,{result.data},{actions}}}"
        case "KeepStateAndData":
            return f"{{keep_state_and_data,{actions}}}"
        case "RepeatState":
            return f"{{repeat_state,{result.data},{actions}}}"
        case "RepeatStateAndData":
            return f"{{repeat_state_and_data,{actions}}}"
        case "Stop":
            return f"{{stop,{result.reason},{result.data}}}"
        case "StopAndReply":
            replies = list_term([action_term(reply) for reply in result.replies])
            return f"{{stop_and_reply,{result.reason},{replies},{result.data}}}"
        case _:
            return str(result)


def reason_term(reason: Any) -> str:
    if isinstance(reason, str):
        return reason
    kind, what = reason
    return f"{{{kind},{action_term(what) if 'action' in kind else result_term(what)}}}"


def script_term(script: Script) -> str:
    enters, actions, results, steps = script
    module = MODULES[Entering if enters else Plain]
    terms = list_term([action_term(a) for a in actions]), list_term(list(map(result_term, results)))
    return f"{{{module},{','.join(terms)},{steps}}}"


def played(script: Script) -> str | None:
    """The engine's trace as a term; None for what OTP 25 does not do well."""
    enters, actions, results, steps = script
    world = World(list(results), enters)
    machine = Played(world, t.Ok("a", 0, actions))
    world.trace = [entry for entry in world.trace if entry[0] != "rests"]  # before any message
    for contents in steps:
        if not world.over:
            machine.step((contents, 0))
    return None if machine.set_again else list_term([entry_term(x) for x in world.trace])


def entry_term(entry: Any) -> str:
    """One entry of a trace as a term."""
    match entry:
        case ("call", event, state, data):
            return f"{{call,{type_term(event.type)},{event.content},{state},{data}}}"
        case ("reply", value):
            return f"{{reply,{value}}}"
        case ("rests", state, data, _, _):
            return f"{{rests,{state},{data}}}"
        case (_, reason, state, data):
            return f"{{terminate,{reason_term(reason)},{state},{data}}}"
        case _:
            raise AssertionError(entry)


@pytest.mark.skipif(shutil.which("erl") is None, reason="Erlang is not installed")
def test_the_engine_does_as_the_gen_statem_of_otp(tmp_path: Path) -> None:
    author = Author(SEED)
    scripts = author.scripts(SCRIPTS)
    lines = [script_term(script) + "." for script, _ in scripts]
    (tmp_path / "in").write_text("\n".join(lines))
    for name, mode in (
        ("statem_plain", "handle_event_function"),
        ("statem_entering", "[handle_event_function, state_enter]"),
    ):
        (tmp_path / f"{name}.erl").write_text(CALLBACKS.format(name=name, mode=mode))
    files = [str(ERL), "statem_plain.erl", "statem_entering.erl"]
    subprocess.run(["erlc", *files], cwd=tmp_path, check=True, timeout=60)
    play = 'statem_beam:main("in", "out"), halt().'
    subprocess.run(["erl", "-noshell", "-eval", play], cwd=tmp_path, check=True, timeout=60)
    theirs = (tmp_path / "out").read_text().splitlines()
    assert len(theirs) == SCRIPTS
    for line, (_, ours), expected in zip(lines, scripts, theirs, strict=True):
        assert ours == expected, line
