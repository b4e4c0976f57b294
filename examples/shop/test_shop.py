"""The two applications of the shop."""

import logging
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from examples.shop.shop import PROJECT, Order, Orders
from examples.shop.stock import Left, Stock
from otpy import ApplicationError, Node, application, gen_server, process
from otpy.testing import capture_log, eventually

ROOT = Path(__file__).parents[2]


@pytest.fixture
def shop(node: Node) -> None:
    """Both applications run."""
    application.load("shop", path=PROJECT)
    assert application.ensure_all_started("shop") == ["stock", "shop"]


def test_orders_are_filled_until_the_stock_is_empty(shop: None) -> None:
    assert gen_server.call(Orders, Order("tea", 2)) == "sold"
    assert gen_server.call(Orders, Order("tea", 1)) == "sold out"
    assert gen_server.call(Stock, Left()) == {"tea": 0, "salt": 5}


def test_the_largest_order_is_a_matter_of_the_environment(shop: None) -> None:
    assert gen_server.call(Orders, Order("salt", 4)) == "too many"
    before = application.prep_config_change()
    application.put_env("shop", "largest_order", 4)
    with capture_log(logging.INFO, "shop") as log:
        application.config_change(before)
    assert "changed: {'largest_order': 4}" in log
    assert gen_server.call(Orders, Order("salt", 4)) == "sold"


def test_a_shop_without_goods_does_not_open(node: Node) -> None:
    application.load("shop", path=PROJECT)
    application.put_env("stock", "goods", {"tea": 0}, persistent=True)
    with pytest.raises(ApplicationError, match="nothing_to_sell"):
        application.ensure_all_started("shop")
    assert application.started_applications() == []


def test_the_shop_closes_before_the_stock_goes(shop: None, node: Node) -> None:
    gen_server.call(Orders, Order("salt", 1))
    with capture_log(logging.INFO) as log:
        application.stop("shop")
        assert process.whereis(Stock) is not None
        application.stop("stock")
    closed = log.text.index("corner shop closed after 1 orders")
    assert closed < log.text.index("Application shop exited: 'stopped'")
    assert log.text.index("shop exited") < log.text.index("stock exited")


def test_ctrl_c_stops_the_shop_and_then_the_stock() -> None:
    command = [sys.executable, "-m", "examples.shop.shop"]
    child = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)
    lines: list[str] = []
    assert child.stderr is not None
    for line in child.stderr:
        lines.append(line)
        if "running" in line:
            break
    os.kill(child.pid, signal.SIGINT)
    rest = child.stderr.read()
    eventually(lambda: child.poll() is not None)
    order = ["corner shop closed after 0 orders", "shop exited", "stock exited"]
    assert sorted(order, key=rest.index) == order
