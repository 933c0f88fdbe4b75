"""What stands behind the permits' address: one Valkey, or a primary with a replica.

Both have ``url``, which stays the same whatever happens, and can pause, resume and replace what
serves there. Nothing is written to disk: what dies comes back empty.
"""

from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager

from tests.chaos.permits.forwarder import Forwarder
from tests.support.eventually import eventually
from tests.support.valkey import Valkey

LOOPBACK = "127.0.0.1"
SYNCED_S = 10.0


class Replicated:
    """A primary and its replica; workers reach whichever is in office at the same address."""

    def __init__(self, primary: Valkey, replica: Valkey, front: Forwarder, link: Forwarder) -> None:
        self.url = f"redis://{LOOPBACK}:{front.port}/0"
        self._primary = primary
        self._replica = replica
        self._front = front
        self._link = link

    @classmethod
    @asynccontextmanager
    async def open(cls) -> "AsyncIterator[Replicated]":
        """Once the replica has what the primary has."""
        with ExitStack() as stack:
            primary, replica = stack.enter_context(Valkey()), stack.enter_context(Valkey())
            async with (
                Forwarder.open(primary.socket) as front,
                Forwarder.open(primary.socket) as link,
            ):
                with primary.client() as client:
                    client.config_set("repl-diskless-sync-delay", 0)  # no others will ask
                with replica.client() as client:
                    client.execute_command("REPLICAOF", LOOPBACK, link.port)
                    await eventually(
                        lambda: client.info("replication")["master_link_status"] == "up",
                        within=SYNCED_S, what="the replica follows its primary",
                    )  # fmt: skip
                yield cls(primary, replica, front, link)

    async def cut_link(self) -> int:
        """From now on the replica learns nothing. Returns how far it is (bytes of the stream)."""
        await self._link.switch(None)
        with self._replica.client() as client:
            return int(client.info("replication")["slave_repl_offset"])

    async def fail_over(self) -> int:
        """Kill the primary and promote the replica. Returns the bytes that it had missed."""
        with self._primary.client() as client:
            written = int(client.info("replication")["master_repl_offset"])
        self._primary.kill()
        with self._replica.client() as client:
            known = int(client.info("replication")["slave_repl_offset"])
            client.execute_command("REPLICAOF", "NO", "ONE")
        await self._front.switch(self._replica.socket)
        return written - known
