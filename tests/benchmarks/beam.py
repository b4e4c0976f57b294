"""The real BEAM, where Elixir is installed: one node alone, or two with distribution."""

import os
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from tests.benchmarks.plan import Plan
from tests.benchmarks.worker import Talker, at_once

SCRIPT = str(Path(__file__).with_name("beam.exs"))
LOOPBACK = "-kernel inet_dist_use_interface {127,0,0,1}"


def missing() -> str:
    """Why the BEAM cannot be measured here; empty if it can."""
    for program in ("erl", "elixir", "epmd"):
        if shutil.which(program) is None:
            return f"{program} is not installed"
    return ""


def absent(plan: Plan) -> str:
    """Why a run leaves the BEAM out; empty if it does not."""
    return missing() if plan.beam else "these sizes are too small for it"


def version() -> str:
    """What is measured, or why nothing is."""
    if missing():
        return missing()
    with alone() as node:
        return f"Elixir {node.ask('ready')}"


@contextmanager
def alone() -> Generator[Talker, None, None]:
    """A BEAM without distribution."""
    node = Talker([shutil.which("elixir") or "elixir", SCRIPT])
    try:
        yield node
    finally:
        node.close()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def _epmd() -> Generator[dict[str, str], None, None]:
    """An epmd of our own on the loopback interface, gone afterwards; the nodes' environment."""
    port = _free_port()
    env = {**os.environ, "ERL_EPMD_PORT": str(port), "ERL_EPMD_ADDRESS": "127.0.0.1"}
    command = [shutil.which("epmd") or "epmd"]
    with subprocess.Popen(command, env=env, stderr=subprocess.DEVNULL) as child:
        try:
            limit = time.monotonic() + 10
            while True:
                try:
                    socket.create_connection(("127.0.0.1", port), 1).close()
                    break
                except OSError:
                    if time.monotonic() > limit:
                        raise
                    time.sleep(0.01)
            yield env
        finally:
            child.terminate()


@contextmanager
def nodes(count: int, *flags: str) -> Generator[dict[str, Talker], None, None]:
    """So many nodes by name, each alone yet; ``flags`` are for ``erl``."""
    cookie = secrets.token_hex(16)
    names = [f"bench_{number}@127.0.0.1" for number in range(count)]
    with _epmd() as env:
        made: dict[str, Talker] = {}
        try:
            for name in names:
                options = [
                    "--name",
                    name,
                    "--cookie",
                    cookie,
                    "--erl",
                    " ".join([LOOPBACK, *flags]),
                ]
                made[name] = Talker([shutil.which("elixir") or "", *options, SCRIPT], env)
            for node in made.values():
                node.ask("ready")
            yield made
        finally:
            for node in made.values():
                node.close()


def meet(nodes: Mapping[str, Talker]) -> float:
    """Have all connect to the first; seconds until each sees all others, and names are settled."""
    first, began = next(iter(nodes)), time.monotonic()
    at_once(partial(node.ask, f"join {len(nodes)} {first}") for node in nodes.values())
    return time.monotonic() - began


@contextmanager
def pair() -> Generator[tuple[Talker, str], None, None]:
    """Two nodes: one to ask, and the name of the other, which serves."""
    with nodes(2) as made:
        (_, here), (name, there) = made.items()
        there.ask("serve")
        yield here, name
