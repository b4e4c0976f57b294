"""The command ``otpy``."""

import argparse
import sys


def main(argv: list[str] | None = None) -> int:
    """Run one command; the exit code."""
    parser = argparse.ArgumentParser(
        prog="otpy", description="Erlang/OTP's way of building systems, in Python."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    demo = commands.add_parser(
        "demo", help="three nodes, one leader: kill it, split the network, heal it"
    )
    demo.add_argument("--keep", action="store_true", help="leave the cluster up until Ctrl-C")
    demo.add_argument("--plain", action="store_true", help="print plain lines, for logs and CI")
    options = parser.parse_args(argv)
    from otpy.tools.demo import run

    return run(keep=options.keep, plain=options.plain)


if __name__ == "__main__":
    sys.exit(main())
