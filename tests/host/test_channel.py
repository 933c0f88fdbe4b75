import asyncio
import json
import socket

import pytest

from service.host.channel import LINE_BYTES, Channel, say_once


class Heard:
    """One end of a channel, and all that came in at it."""

    def __init__(self, end):
        self.messages = []
        self.sockets = []
        self.gone = asyncio.Event()
        self.channel = Channel(end, self._said, self.gone.set)

    def _said(self, message, listening):
        self.messages.append(message)
        if listening is not None:
            self.sockets.append(listening)


@pytest.fixture
async def pair():
    one, other = socket.socketpair()
    ends = Heard(one), Heard(other)
    yield ends
    for end in ends:
        end.channel.close()
        for listening in end.sockets:
            listening.close()


@pytest.fixture
async def half():
    """Our end of a channel, and the bare socket at its other end."""
    one, other = socket.socketpair()
    end = Heard(one)
    yield end, other
    end.channel.close()
    other.close()


async def test_each_end_hears_what_the_other_says_in_order(pair, eventually):
    worker, supervisor = pair
    worker.channel.say({"beat": True})
    worker.channel.say({"state": "ready"})
    supervisor.channel.say({"drain": 1.5})
    await eventually(lambda: len(supervisor.messages) == 2 and worker.messages)
    assert supervisor.messages == [{"beat": True}, {"state": "ready"}]
    assert worker.messages == [{"drain": 1.5}]


async def test_lines_are_heard_whole_however_they_are_cut(half, eventually):
    end, other = half
    said = [{"failed": "größer \N{SNOWMAN}"}, {"beat": True}, {"state": "unready"}]
    for byte in b"".join(json.dumps(one).encode() + b"\n" for one in said):
        other.send(bytes([byte]))
        await asyncio.sleep(0)
    await eventually(lambda: end.messages == said)


async def test_a_listening_socket_arrives_and_works_on_the_other_side(pair, eventually):
    supervisor, worker = pair
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        supervisor.channel.say({"listen": True}, listening)
        address = listening.getsockname()
        await eventually(lambda: worker.sockets)
    assert worker.messages == [{"listen": True}]
    assert worker.sockets[0].getsockname() == address
    assert not worker.sockets[0].get_inheritable()
    worker.sockets[0].listen()
    socket.create_connection(address).close()


async def test_the_end_of_the_peer_is_heard_once(half, eventually):
    end, other = half
    other.sendall(b'{"state": "ready"}\n')
    other.close()
    await eventually(end.gone.is_set)
    assert end.messages == [{"state": "ready"}]


async def test_finish_hears_the_last_words_of_a_dead_peer(half):
    end, other = half
    say_once(other, {"failed": "no widget"})
    other.close()
    end.channel.finish()
    assert end.messages == [{"failed": "no widget"}]


async def test_finish_does_not_wait_for_a_peer_that_lives(half):
    end, _ = half
    end.channel.finish()
    assert end.messages == []


async def test_a_peer_that_says_too_much_in_one_line_is_as_good_as_gone(half, eventually):
    end, other = half
    other.setblocking(False)
    sent = 0
    while sent <= LINE_BYTES + 1 and not end.gone.is_set():
        try:
            sent += other.send(b"x" * 4096)
        except BlockingIOError:
            await asyncio.sleep(0)
    await eventually(end.gone.is_set)
    assert end.messages == []


async def test_saying_something_to_a_peer_that_is_gone_or_full_is_no_error(half):
    end, other = half
    for _ in range(20_000):  # more than a socket holds
        end.channel.say({"beat": True})
    other.close()
    end.channel.say({"beat": True})
    end.channel.close()
    end.channel.say({"beat": True})
