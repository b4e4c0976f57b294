"""One program, started as many pods that find each other: no list of nodes, and none to keep.

By the DNS name of a headless service, each of whose addresses is a pod; this needs the extra
``otpy-actors[dns]``::

    python -m examples.headless_service.pod app@$POD_IP --dns app --port 9100

or, where nobody keeps a DNS, by datagrams on the local network::

    python -m examples.headless_service.pod app@192.0.2.7 --gossip 233.252.1.32

``kubernetes.yaml`` beside this file is the service. All pods have the same ``$COOKIE``, at least
20 characters. On SIGTERM a pod drains: what it has begun goes on, and nobody connects to it any
more, for as long as DNS still names it and after that.
"""

import argparse
import logging
import os
import signal

from otpy import (
    Dns,
    GenServer,
    Gossip,
    InitResult,
    Next,
    Node,
    NodeDown,
    NodeUp,
    NoReply,
    Ok,
    node,
    process,
    start_node,
    supervisor,
)

LOG = logging.getLogger("pod")


class Roster(GenServer[None]):
    """``(Roster, None)`` logs which pods come and go: a place for what they do together."""

    def init(self, arg: None) -> InitResult[None]:
        node.monitor_nodes(True)
        LOG.info("%s runs, with %s", node.self_(), ", ".join(node.list_()) or "nobody")
        return Ok(None)

    def handle_info(self, message: object, state: None) -> Next[None]:
        match message:
            case NodeUp(name):
                LOG.info("%s has come", name)
            case NodeDown(name):
                LOG.info("%s has gone", name)
        return NoReply(state)


def options() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(prog="pod", description="Be one pod of a cluster.")
    parser.add_argument("name", help="its node's name, app@ADDRESS")
    parser.add_argument("--port", type=int, default=0, help="where it listens; with --dns, all do")
    ways = parser.add_mutually_exclusive_group(required=True)
    ways.add_argument("--dns", metavar="NAME", help="the name of the headless service")
    ways.add_argument("--gossip", metavar="ADDRESS", help="a multicast or broadcast address")
    parser.add_argument("--gossip-port", type=int, default=45892)
    parser.add_argument("--nameserver", help="its address, if not the machine's own")
    parser.add_argument("--nameserver-port", type=int, default=53)
    return parser


def way(args: argparse.Namespace) -> Dns | Gossip:
    """How the pods find each other."""
    if args.gossip is not None:
        return Gossip(args.gossip, args.gossip_port)
    return Dns(
        args.dns, args.port, nameserver=args.nameserver, nameserver_port=args.nameserver_port
    )


def start(args: argparse.Namespace) -> Node:
    """Start the pod's node; it has met the pods that it found at first."""
    cookie = os.environ["COOKIE"]
    return start_node(args.name, cookie=cookie, port=args.port, discovery=[way(args)])


def serve(running: Node) -> None:
    """Run the tree until it ends by itself, or until the program is told to stop."""
    tree = supervisor.start_link([(Roster, None)], strategy="one_for_one")
    try:
        LOG.info("%s is ready", running.name)
        process.sleep(float("inf"))
    except KeyboardInterrupt:
        running.drain()
        LOG.info("%s drains", running.name)
        supervisor.stop(tree)
        raise


def main(arguments: list[str] | None = None) -> None:
    """Be a pod until SIGTERM or Ctrl-C."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # raises KeyboardInterrupt here
    try:
        with start(options().parse_args(arguments)) as running, running.attached():
            serve(running)
    except KeyboardInterrupt:
        LOG.info("stopped")


if __name__ == "__main__":
    main()
