"""Every key is born here, with its type, its time to live and its owner.

A conversation's keys carry one of 256 fixed partition tags, so that all of them, the index of
leases and the channel share one slot of a Redis Cluster, and one function may touch them together.

| key | type | lives | written by |
|---|---|---|---|
| `parley:{pNN}:meta:<c>` | hash | the site's retention | the conversation functions |
| `parley:{pNN}:log:<c>` | stream | a day; 2 minutes after the last `done` | the same |
| `parley:{pNN}:text:<c>` | string | a day | the same |
| `parley:{pNN}:ids:<c>` | hash | the site's retention | `accept` |
| `parley:{pNN}:messages:<c>` | hash | the site's retention | the conversation functions |
| `parley:{pNN}:handles:<c>` | hash | the session's idle days | `redeem` |
| `parley:{pNN}:leases` | sorted set | 30 days after the last turn | the conversation functions |
| `parley:token:<sha256>` | string | the session's idle days | sessions |
| `parley:handle:<sha256>` | string | the session's idle days | sessions |
| `parley:worker:<session>` | string | 3 seconds | the supervisor |
"""

from typing import NamedTuple
from zlib import crc32

PARTITIONS = 256  # fixed for ever: it decides where a conversation's keys are

DAY_S = 86_400
LOG_OPEN_S = DAY_S  # while a turn is open
LOG_IDLE_S = 120  # after the last `done`: who was away for longer gets a snapshot
LEASE_INDEX_S = 30 * DAY_S
WORKER_CARD_S = 3

# Keys that may live without an end: each is bounded in number by the account, not by traffic.
PERMANENT: tuple[str, ...] = ()


class ConversationKeys(NamedTuple):
    meta: str
    log: str
    text: str
    ids: str
    messages: str
    handles: str
    leases: str
    channel: str


def partition(conversation: str) -> int:
    return crc32(conversation.encode()) % PARTITIONS


def leases(number: int) -> str:
    """Sorted set: conversation with an open turn -> end of its lease (ms, the server's clock)."""
    return f"parley:{{p{number:02x}}}:leases"


def meta_prefix(number: int) -> str:
    """What the meta hashes of a partition's conversations are called, up to the conversation."""
    return f"parley:{{p{number:02x}}}:meta:"


def conversation(name: str) -> ConversationKeys:
    """All keys of one conversation, and its shard channel."""
    number = partition(name)
    tag = f"parley:{{p{number:02x}}}"
    return ConversationKeys(
        meta=meta_prefix(number) + name,
        log=f"{tag}:log:{name}",
        text=f"{tag}:text:{name}",
        ids=f"{tag}:ids:{name}",
        messages=f"{tag}:messages:{name}",
        handles=f"{tag}:handles:{name}",
        leases=leases(number),
        channel=f"{tag}:channel:{name}",
    )


def token(digest: str) -> str:
    return f"parley:token:{digest}"


def handle(digest: str) -> str:
    return f"parley:handle:{digest}"


def worker_card(session: str) -> str:
    """What `parley workers` lists, renewed each second by its supervisor."""
    return f"parley:worker:{session}"


WORKER_CARDS = "parley:worker:*"

# -- permits ------------------------------------------------------------------------------
# One semaphore per account and model. Its keys share one hash tag; `{a:m}` below is
# `{glm:<account>:<model>}`. What each of them holds: lua/permits_state.lua.
#
# | key | type | lives | written by |
# |---|---|---|---|
# | `parley:{a:m}:meta`, `:sessions`, `:permits`, `:live`, `:background`, | | | permits |
# | `:finish_live`, `:finish_background`, `:alarms`, `:absent`, `:fenced` | | | permits |
# | `:schemas` | hash | for ever, as those above | permits |
# | `parley:{a:m}:waits` | list | an hour | permits |
# | `parley:{a:m}:waiters:<session>` | hash | a day; as long as it waits | permits |
# | `parley:{a:m}:inbox:<session>` | stream | a day; as long as the session | permits |


class PermitKeys(NamedTuple):
    """What every permit function is given as KEYS, in this order."""

    meta: str
    sessions: str
    permits: str
    live: str
    background: str
    finish_live: str
    finish_background: str
    alarms: str
    absent: str
    fenced: str
    schemas: str
    waits: str


def _permits_prefix(account: str, model: str) -> str:
    return f"parley:{{glm:{account}:{model}}}"


def permits(account: str, model: str) -> PermitKeys:
    """``account`` and ``model`` must have no braces: they are part of a hash tag."""
    prefix = _permits_prefix(account, model)
    return PermitKeys(*(f"{prefix}:{name}" for name in PermitKeys._fields))


def permits_inbox(account: str, model: str, session: str) -> str:
    """Stream: the grants that other workers' steps made for this session's waiters."""
    return f"{_permits_prefix(account, model)}:inbox:{session}"


# Bounded by the tier, the workers and the flows that wait; a lease that Redis forgets by itself
# would be a permit too many.
PERMANENT += permits("*", "*")[:-1]
