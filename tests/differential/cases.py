"""Cases: a supervision tree and a script, drawn from a seed, as JSON data.

Nothing in a case depends on how fast it is played. A worker that never stops has a time-out of
300 ms and no slower neighbours race with it; restarts are far within the period, or more than two
periods apart; a supervisor is asked and its children end in an order that it sees. Children of a
dynamic supervisor have no id in it: who is terminated is the latest that was started from a node.
"""

import random
from typing import Any

Case = dict[str, Any]
Node = dict[str, Any]

STRATEGIES = ("one_for_one", "one_for_all", "rest_for_one")
RESTARTS = ("permanent", "transient", "temporary")
AUTO = ("never", "never", "any_significant", "all_significant")
SHORT = 300  # ms until a child that never stops is killed
LONG = 5000  # ms: nobody takes that long
NO_RESTART_COUNTS = 2200  # ms: with OTP's whole seconds, more than a period of 1 s
WORKER_STARTS = (
    "error",
    "ignore",
    "raise",
    "exit",
    "bad",
    "start_error",
    "start_raise",
    "start_bad",
)
EXTRA: tuple[list[str], ...] = ([], [], ["x"], ["x", "y"])  # before a child's own arguments
BOSS_STARTS = ("ignore", "raise", "bad", "start_error", "start_raise", "start_bad")
REASONS = ("normal", "shutdown", "shutdown_x", "boom", "raise")
SIGNALS = ("kill", "kill", "shutdown", "boom", "normal")


class Maker:
    """Draws one case."""

    def __init__(self, seed: int, dynamic: bool) -> None:
        self.draw = random.Random(seed)
        self.made = 0
        self.nodes: list[Node] = []
        self.known: dict[str, list[Node]] = {}  # the children a supervisor has or may get
        self.timed = self.chance(0.1)  # the period counts, and nothing else takes time
        self.stuck = not self.timed and self.chance(0.06)  # one supervisor cannot stop by itself
        self.dynamic = dynamic  # some supervisors are

    def chance(self, share: float) -> bool:
        """True in this share of the cases."""
        return self.draw.random() < share

    def case(self) -> Case:
        """The case."""
        tree = self.root()
        # It has no supervisor that deals with a start function that raises.
        tree["starts"] = [
            self.draw.choice(["ignore", "raise", "bad"]) if self.chance(0.02) else "ok"
        ]
        if self.stuck:
            tree["children"].append(self.stuck_boss(tree["auto"]))
            self.known[tree["id"]] = [*tree["children"]]
        script: list[Any] = []
        for boss in [node for node in self.nodes if node["kind"] == "dynamic"]:
            script += self.youth(boss)
        before = len(script)
        for number in range(self.draw.randint(1, 6)):
            again = self.timed and number and self.chance(0.8)
            script.append(script[before] if again else self.event())
            if script[-1].get("what") == "terminate_child" and self.chance(0.5):
                script.append(self.start_again(script[-1]))
            if self.timed and number in (0, 2):
                script.append({"do": "wait", "ms": NO_RESTART_COUNTS})
        return {"tree": tree, "script": script}

    # The tree.

    def root(self) -> Node:
        """The tree; at least one of its supervisors is dynamic if any may be."""
        if self.dynamic and not self.stuck and self.chance(0.3):
            return self.dynamic_boss("never")
        tree = self.boss(0, "never")
        if self.dynamic and all(node["kind"] != "dynamic" for node in self.nodes):
            tree["children"].append(self.dynamic_boss(tree["auto"]))
            self.known[tree["id"]] = [*tree["children"]]
        return tree

    def node(self, kind: str, auto: str) -> Node:
        """What workers and supervisors have in common."""
        self.made += 1
        restart = self.draw.choice(RESTARTS)
        might = auto != "never" and restart != "permanent"
        node = {
            "id": f"{kind[0]}{self.made}",
            "kind": kind,
            "restart": restart,
            "significant": might and self.chance(0.7),
            "starts": self.starts(outcomes(kind)),
        }
        self.nodes.append(node)
        return node

    def starts(self, failures: tuple[str, ...]) -> list[str]:
        """How its first few starts go."""
        first = [self.draw.choice(failures)] if self.chance(0.02) else ["ok"]
        if self.chance(0.1):
            first = ["ignore"]
        later = [
            self.draw.choice(failures) if self.chance(0.5) else "ok"
            for _ in range(self.draw.randint(0, 5) if self.chance(0.4) else 0)
        ]
        return first + later

    def worker(self, auto: str) -> Node:
        """A worker."""
        node = self.node("worker", auto)
        stops = ["prompt", "prompt", "prompt", "raise", "other"]
        if not self.timed:
            stops += ["slow", "never"]
        node["traps"] = self.chance(0.6)
        node["unlinks"] = self.chance(0.03)  # its supervisor has to monitor it
        node["stop"] = self.draw.choice(stops)
        waits: list[Any] = ["brutal_kill", "infinity", LONG]
        node["shutdown"] = self.draw.choice(
            ["brutal_kill", SHORT] if node["stop"] == "never" else waits
        )
        return node

    def boss(self, depth: int, auto: str) -> Node:
        """A supervisor with its children."""
        node = self.keeper("supervisor", auto)
        node["strategy"] = self.draw.choice(STRATEGIES)
        self.limit(node)
        node["auto"] = self.draw.choice(AUTO)
        node["children"] = [
            self.child(depth, node["auto"]) for _ in range(self.draw.randint(0 if depth else 1, 4))
        ]
        self.known[node["id"]] = [*node["children"]]
        return node

    def child(self, depth: int, auto: str) -> Node:
        """A supervisor, where one may be, or a worker."""
        if depth < 2 and self.made < 9 and self.chance(0.4):
            if self.dynamic and self.chance(0.5):
                return self.dynamic_boss(auto)
            return self.boss(depth + 1, auto)
        return self.worker(auto)

    def dynamic_boss(self, auto: str) -> Node:
        """A dynamic supervisor; the script starts its children."""
        node = self.keeper("dynamic", auto)
        self.limit(node)
        node["max_children"] = self.draw.choice(["infinity", "infinity", "infinity", 1, 2, 2, 3])
        node["extra"] = self.draw.choice(EXTRA)
        self.known[node["id"]] = []
        return node

    def keeper(self, kind: str, auto: str) -> Node:
        """What all supervisors have in common."""
        node = self.node(kind, auto)
        shutdown = self.draw.choice(["infinity", "infinity", LONG, "brutal_kill"])
        node["shutdown"] = "infinity" if self.stuck else shutdown
        return node

    def limit(self, node: Node) -> None:
        """How many restarts a supervisor bears."""
        node["intensity"] = self.draw.choice([1, 1, 2] if self.timed else [0, 1, 1, 2, 3, 5])
        node["period"] = 1 if self.timed else 600

    def stuck_boss(self, auto: str) -> Node:
        """A supervisor that is killed in the middle of its own shutdown: a child never stops."""
        node = self.boss(2, auto)
        stuck = self.worker("never")
        stuck |= {
            "unlinks": False,
            "traps": True,
            "stop": "never",
            "shutdown": "infinity",
            "starts": [],
        }
        node |= {"shutdown": 2 * SHORT, "strategy": "one_for_one", "intensity": 1000}
        node |= {"auto": "never", "children": [*node["children"][:1], stuck]}
        for child in node["children"]:
            child["significant"] = False
        self.known[node["id"]] = [*node["children"]]
        return node

    # The script.

    def youth(self, boss: Node) -> list[Any]:
        """A dynamic supervisor gets its first children, and some of them end."""
        if self.chance(0.25):
            boss["max_children"] = 1  # full, also while its one child is being restarted
            only = self.start(boss)
            only["node"] |= {"restart": "permanent"}
            return [only, self.loop(boss, only["node"]), self.start(boss)]
        starts = [self.start(boss) for _ in range(self.draw.randint(2, 5))]
        exits = [self.exit(self.draw.choice(self.known[boss["id"]])) for _ in range(2)]
        latest = starts[-1]["node"]
        return [*starts, self.loop(boss, latest) if self.chance(0.6) else exits[0], exits[1]]

    def event(self) -> Any:
        """One event."""
        kind = self.draw.random()
        if kind < 0.5:
            started = [node for name in self.known if name[0] == "d" for node in self.known[name]]
            of_dynamic = started and self.chance(0.4)
            return self.exit(self.draw.choice(started if of_dynamic else self.nodes))
        dynamic = [node for node in self.nodes if node["kind"] == "dynamic"]
        bosses = [node for node in self.nodes if node["kind"] != "worker"]
        boss = self.draw.choice(dynamic if dynamic and self.chance(0.5) else bosses)
        if kind < 0.7:
            return self.ask(boss)
        known = self.known[boss["id"]]
        if known and self.chance(0.6 if self.dynamic else 0.4):
            return self.loop(boss, self.draw.choice(known))
        acts = [
            self.exit(self.draw.choice(known))
            if known and self.chance(0.6)
            else self.ask(boss, everything=True)
            for _ in range(self.draw.randint(2, 5))
        ]
        return self.burst(boss, acts)

    def burst(self, boss: Node, acts: list[Any]) -> Any:
        """All of it waits for a suspended supervisor; which may then be stopped instead."""
        event: dict[str, Any] = {"do": "burst", "sup": boss["id"], "acts": acts}
        above = [name for name, known in self.known.items() if boss in known]
        if above and self.chance(0.15):
            event["then"] = {"do": "ask", "sup": above[0], "what": "terminate_child"}
            event["then"]["child"] = boss["id"]
        return event

    def loop(self, boss: Node, node: Node) -> Any:
        """A child is asked for between two attempts to start it again, if its next start fails."""
        if node["starts"][:1] in ([], ["ok"]):
            node["starts"] = ["ok", self.draw.choice(outcomes(node["kind"])), *node["starts"][2:]]
        asks: list[Any] = [self.ask(boss, everything=True) for _ in range(self.draw.randint(1, 4))]
        for one in asks:
            if one["what"] == "start_child" and self.chance(0.7):
                one |= {"node": node, "child": node["id"]}
            if one["what"] in ("terminate_child", "restart_child", "delete_child"):
                one["child"] = node["id"]
                one["what"] = "delete_child" if self.endless(node["id"]) else one["what"]
        return self.burst(boss, [self.exit(node), *asks])

    def exit(self, node: Node) -> Any:
        """A process ends by itself or gets a signal."""
        boss = node["kind"] != "worker"
        if boss and self.stuck:
            how, reason = "signal", "boom"  # nobody's business: not from its parent
        elif not boss and node["stop"] == "never":
            how, reason = "signal", "kill"
        elif self.chance(0.4):
            how, reason = "signal", self.draw.choice(SIGNALS)
        else:
            how, reason = "stop", self.draw.choice(REASONS[:4] if boss else REASONS)
        return {"do": "exit", "who": node["id"], "how": how, "reason": reason}

    def ask(self, boss: Node, everything: bool = False) -> Any:
        """A request to a supervisor."""
        if boss["kind"] == "dynamic":
            asked = ["terminate_child", "start_child", "start_child"]
        else:
            asked = ["terminate_child", "terminate_child", "restart_child", "delete_child"]
            asked.append("start_child")
        if everything:
            asked += ["which_children", "count_children"]
        what = self.draw.choice(asked)
        children = self.known[boss["id"]]
        child = self.draw.choice(children)["id"] if children else "w0"
        if what == "start_child":
            return self.start(boss)
        event = {"do": "ask", "sup": boss["id"], "what": what, "child": child}
        if what == "terminate_child" and self.endless(child):
            event["what"] = "restart_child"
        return event

    def start(self, boss: Node) -> Any:
        """A supervisor is asked to start a child: a new one, or one that it may know."""
        children = self.known[boss["id"]]
        dynamic = boss["kind"] == "dynamic"
        if children and self.chance(0.3 if dynamic else 0.6):
            node = self.draw.choice(children)
        else:
            auto = boss["auto"] if not dynamic and self.chance(0.7) else "any_significant"
            # Significant children of dynamic ones: ignored before Elixir 1.15, refused since.
            node = self.newcomer("never" if dynamic else auto)
            children.append(node)
            if self.chance(0.25):
                failure = self.draw.choice(outcomes(node["kind"]))
                # Of a dynamic supervisor's child the second start says more than the first.
                node["starts"] = ["ok", failure] if dynamic and self.chance(0.7) else [failure]
        asked = {"do": "ask", "sup": boss["id"], "what": "start_child", "child": node["id"]}
        return {**asked, "node": node}

    def newcomer(self, auto: str) -> Node:
        """A child that its supervisor has not from the beginning."""
        if not self.chance(0.2):
            return self.worker(auto)
        if self.dynamic and self.chance(0.5):
            return self.dynamic_boss(auto)
        return self.boss(2, auto)

    def start_again(self, terminated: Any) -> Any:
        """A child that was terminated is asked to start as if it were new."""
        node = next((one for one in self.nodes if one["id"] == terminated["child"]), None)
        if node is None and terminated["sup"].startswith("d"):
            return terminated
        what = "restart_child" if node is None else "start_child"
        return {**terminated, "what": what, "node": node or {}}

    def endless(self, child: str) -> bool:
        """Whether a child would never stop when asked to, not even after a time."""
        return any(
            node["id"] == child
            and node["kind"] == "worker"
            and node["shutdown"] == "infinity"
            and node["stop"] == "never"
            for node in self.nodes
        )


def outcomes(kind: str) -> tuple[str, ...]:
    """What a start of such a node may come to instead of a process."""
    return WORKER_STARTS if kind == "worker" else BOSS_STARTS


def make(seed: int, dynamic: bool = False) -> Case:
    """The case of a seed: some of its supervisors are dynamic, or none is."""
    return Maker(seed, dynamic).case()


def draw(first: int, count: int) -> list[Case]:
    """The cases of so many seeds, and for every second one more, with dynamic supervisors."""
    seeds = range(first, first + count)
    return [make(seed) for seed in seeds] + [make(seed, True) for seed in seeds[::2]]
