import os
import socket
from collections import Counter

import pytest

from service.core.errors import SettingError
from service.host.port import Port


@pytest.fixture
def port():
    taken = Port.take("127.0.0.1", 0, "demo")
    yield taken
    taken.close()


def test_port_zero_takes_a_free_one_for_all_slots(port):
    assert port.number > 0
    with port.open() as one, port.open() as other:
        assert one.getsockname() == other.getsockname() == ("127.0.0.1", port.number)


def test_a_port_that_another_program_has_is_refused_with_a_line_that_works(free_port):
    with socket.socket() as other:
        other.bind(("127.0.0.1", free_port))
        other.listen()
        with pytest.raises(SettingError) as refused:
            Port.take("127.0.0.1", free_port, "demo")
    line = str(refused.value)
    assert line.startswith(f"PORT={free_port} is in use on 127.0.0.1: try `PORT=")
    assert line.endswith(" parley demo`")
    suggested = int(line.rpartition("PORT=")[2].split()[0])
    Port.take("127.0.0.1", suggested, "demo").close()


@pytest.mark.parametrize("listening", [False, True], ids=["before it listens", "while it listens"])
def test_a_second_supervisor_of_the_same_account_does_not_share_the_port(port, listening):
    with port.open() as slot:
        if listening:
            slot.listen()
        with pytest.raises(SettingError, match=f"PORT={port.number} is in use"):
            Port.take("127.0.0.1", port.number, "serve")


def test_the_port_is_free_again_at_once_after_the_end(port):
    """Also while connections that we closed first are still in TIME_WAIT."""
    with port.open() as slot:
        slot.listen()
        with socket.create_connection(("127.0.0.1", port.number)) as client:
            served, _ = slot.accept()
            served.close()
            assert client.recv(1) == b""
    port.close()
    Port.take("127.0.0.1", port.number, "serve").close()


def test_connections_are_spread_over_the_slots(port):
    with port.open() as one, port.open() as other:
        clients = []
        for slot in (one, other):
            slot.listen(200)
            slot.setblocking(False)
        for _ in range(100):
            clients.append(socket.create_connection(("127.0.0.1", port.number)))
        reached = Counter()
        for slot in (one, other):
            while True:
                try:
                    slot.accept()[0].close()
                except BlockingIOError:
                    break
                reached[slot.fileno()] += 1
        for client in clients:
            client.close()
    assert sum(reached.values()) == 100
    assert min(reached.values()) > 20


def test_an_address_of_another_machine_is_refused():
    with pytest.raises(SettingError, match=r"PARLEY_HOST=192\.0\.2\.1: no address of this machine"):
        Port.take("192.0.2.1", 0, "serve")


def test_a_host_that_is_no_address_is_refused():
    with pytest.raises(SettingError, match=r"PARLEY_HOST=nowhere\.invalid: no such address"):
        Port.take("nowhere.invalid", 0, "serve")


@pytest.mark.skipif(os.getuid() == 0, reason="root may take every port")
def test_a_low_port_is_refused_with_one_that_works():
    with pytest.raises(SettingError, match="PORT=8000 parley serve"):
        Port.take("127.0.0.1", 80, "serve")


def test_localhost_is_reached_where_others_expect_it():
    taken = Port.take("localhost", 0, "demo")
    with taken.open() as slot:
        slot.listen()
        socket.create_connection(("127.0.0.1", taken.number)).close()
    taken.close()


def test_every_address_means_both_families():
    if not socket.has_dualstack_ipv6():
        pytest.skip("no IPv6 on this machine")
    taken = Port.take("::", 0, "serve")
    with taken.open() as slot:
        slot.listen()
        socket.create_connection(("127.0.0.1", taken.number)).close()
    taken.close()
