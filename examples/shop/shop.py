"""The application ``shop``: it takes orders, from its last start phase until it is to stop.

``python -m examples.shop.shop`` runs both applications until Ctrl-C, and stops the shop first.
"""

import logging
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from examples.shop.stock import Left, Stock, Take
from otpy import (
    Application,
    GenServer,
    Node,
    Ok,
    Pid,
    Reply,
    Request,
    StartError,
    application,
    gen_server,
    supervisor,
)

LOG = logging.getLogger("shop")
PROJECT = Path(__file__).with_name("pyproject.toml")


@dataclass(frozen=True)
class Order(Request[str]):
    """An order: "sold", "sold out", "too many" or "closed"."""

    good: str
    count: int


@dataclass(frozen=True)
class Door(Request[int]):
    """Open or close; how many orders have been filled."""

    is_open: bool


@dataclass(frozen=True)
class Counter:
    """The state of the counter."""

    is_open: bool = False
    filled: int = 0


class Orders(GenServer[Counter], green=True):
    """The counter of the shop."""

    @classmethod
    def start_link(cls, arg: None, /) -> Pid:
        return gen_server.start_link(cls, arg, name=cls)

    def init(self, arg: None, /) -> Ok[Counter]:
        return Ok(Counter())

    def handle_call(
        self, request: Order | Door, from_: object, counter: Counter, /
    ) -> Reply[Counter]:
        match request:
            case Door(is_open):
                return Reply(counter.filled, replace(counter, is_open=is_open))
            case Order() if not counter.is_open:
                return Reply("closed")
            case Order(_, count) if count > application.get_env("shop", "largest_order"):
                return Reply("too many")
            case Order(good, count):
                if not gen_server.call(Stock, Take(good, count)):
                    return Reply("sold out")
                return Reply("sold", replace(counter, filled=counter.filled + 1))


class ShopApp(Application):
    """Its state is the name of the shop, from the specification's ``mod``."""

    def start(self, type: str, args: dict[str, str], /) -> tuple[Pid, str]:
        boss = supervisor.start_link([(Orders, None)], strategy="one_for_one")
        return boss, args["name"]

    def start_phase(self, phase: str, type: str, args: None, /) -> None:
        match phase:
            case "check":
                if not any(gen_server.call(Stock, Left()).values()):
                    raise StartError("nothing_to_sell")
            case _:
                gen_server.call(Orders, Door(is_open=True))

    def prep_stop(self, state: str, /) -> tuple[str, int]:
        # The tree still runs: what comes from now on is refused, not lost.
        return state, gen_server.call(Orders, Door(is_open=False))

    def stop(self, state: tuple[str, int], /) -> None:
        LOG.info("%s closed after %d orders", *state)

    def config_change(
        self, changed: dict[str, Any], new: dict[str, Any], removed: list[str], /
    ) -> None:
        LOG.info("changed: %s", changed)


def main() -> None:
    """Run until Ctrl-C, or until the shop ends by itself: it is permanent."""
    logging.basicConfig(level=logging.INFO)
    with Node("shop@127.0.0.1") as node:
        node.run(lambda: application.load("shop", path=PROJECT))
        node.run(application.ensure_all_started, "shop", "permanent")
        try:
            LOG.info("running")
            LOG.info("the node stopped: %s", node.wait())
        except KeyboardInterrupt:
            LOG.info("closing")


if __name__ == "__main__":
    main()
