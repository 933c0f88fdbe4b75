"""A Valkey in cluster mode: one node with all slots.

It refuses a function that touches keys of two slots, even where both are its own. That makes it the
proof that no function of ours does: whatever passes here passes on a cluster of many nodes.
"""

import socket
import time

from tests.support.valkey import START_S, Valkey


class ClusterValkey(Valkey):
    def _command(self) -> list[str]:
        return [
            *super()._command(),
            *("--bind", "127.0.0.1", "--port", str(_free_port())),
            *("--cluster-enabled", "yes", "--cluster-port", str(_free_port())),
        ]

    def start(self) -> None:
        super().start()
        with self.client() as client:
            client.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
            deadline = time.monotonic() + START_S
            while b"cluster_state:ok" not in client.execute_command("CLUSTER", "INFO"):
                assert time.monotonic() < deadline, "the cluster does not come up"
                time.sleep(0.01)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
