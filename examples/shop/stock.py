"""The application ``stock``: it knows how many there are of what."""

from dataclasses import dataclass

from otpy import (
    Application,
    GenServer,
    Ok,
    Pid,
    Reply,
    Request,
    application,
    gen_server,
    supervisor,
)


@dataclass(frozen=True)
class Take(Request[bool]):
    """Take so many, if they are there."""

    good: str
    count: int


@dataclass(frozen=True)
class Left(Request[dict[str, int]]):
    """What is left."""


class Stock(GenServer[dict[str, int]], green=True):
    """Counts the goods. One that is started again begins with those of the environment."""

    @classmethod
    def start_link(cls, arg: None, /) -> Pid:
        return gen_server.start_link(cls, arg, name=cls)

    def init(self, arg: None, /) -> Ok[dict[str, int]]:
        return Ok(dict(application.fetch_env_("stock", "goods")))

    def handle_call(
        self, request: Take | Left, from_: object, goods: dict[str, int], /
    ) -> Reply[dict[str, int]]:
        match request:
            case Take(good, count) if goods.get(good, 0) >= count:
                return Reply(True, {**goods, good: goods[good] - count})
            case Take():
                return Reply(False)
            case Left():
                return Reply(dict(goods))


class StockApp(Application):
    """Its tree is one supervisor with one child."""

    def start(self, type: str, args: None, /) -> Pid:
        return supervisor.start_link([(Stock, None)], strategy="one_for_one")
