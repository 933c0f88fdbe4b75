"""What `parley permits` draws: within the terminal's width, and the same without colour."""

import re

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.host.permits_report import Blocked, Circuit, Queue, Refused, Report, Session, Wait
from service.host.permits_screen import (
    ASCII,
    NARROWEST,
    Terminal,
    cells,
    draw,
    span,
)
from service.host.permits_table import Column, table

CALM = Report(
    account="5dadd2374acd",
    model="glm-4-flashx-250414",
    epoch="1a2097c4114-3afe",
    schema=1,
    tier=50,
    cap=50,
    limit=50,
    admissible=50,
    used=0,
    held=0,
    lingering=0,
    quarantined=0,
    background=0,
    waiting={"live": 0, "background": 0},
    recovering=False,
    absent=[],
    hold_ms=0,
    why=[],
    circuit=Circuit("closed", "", 0, 0),
    blocked=None,
    refused=None,
    waits={"live": None, "background": None},
    queues=[],
    sessions=[],
)
WORST = msgspec.structs.replace(
    CALM,
    cap=40,
    limit=38,
    admissible=30,
    used=45,
    held=30,
    lingering=5,
    quarantined=10,
    background=7,
    waiting={"live": 1200, "background": 31},
    recovering=True,
    absent=["0123456789abcdef"],
    hold_ms=12_400,
    why=["an operator's limit of 40", "recovering, waits for 0123456789abcdef"],
    circuit=Circuit("open", "1305", 12_000, 4),
    blocked=Blocked("1113", 65_000, 212, "the balance is used up: top it up"),
    refused=Refused(3, 190_000, 60),
    waits={"live": Wait(990, 812, 4_200, 11_000, 119_000), "background": Wait(10, 1, 2, 3, 4)},
    queues=[
        Queue("pk_a_shop_with_a_name_that_is_far_longer_than_a_column_should_be", "live", 1200, 1),
        Queue("pk_demo", "background", 31, 1201),
    ],
    sessions=[
        Session("fedcba9876543210", "live", 30, 1200, 2, 4_100, "worker-1", 4_711_000, "shop-1"),
        Session("0011223344556677", "quarantined", 10, 0, 0, 94_000, None, None, None),
        Session("0123456789abcdef", "awaited", 0, 0, 0, 0, "worker-2", 12, "shop-2"),
    ],
)


def plain(lines):
    return [re.sub(r"\x1b\[[0-9;]*m", "", line) for line in lines]


@pytest.mark.parametrize("report", [CALM, WORST], ids=["calm", "worst"])
@pytest.mark.parametrize("width", [NARROWEST, 50, 72, 80, 100, 200])
def test_no_line_is_wider_than_the_terminal(report, width):
    drawn = draw(report, Terminal(width))
    assert max(map(len, drawn)) <= width


@pytest.mark.parametrize("width", [NARROWEST, 80, 200])
def test_colour_adds_no_meaning_and_takes_none(width):
    coloured = draw(WORST, Terminal(width, colour=True))
    assert any("\x1b[" in line for line in coloured)
    assert plain(coloured) == draw(WORST, Terminal(width))


def test_what_is_out_of_the_ordinary_stands_in_words():
    drawn = " ".join(" ".join(draw(WORST, Terminal(100))).split())
    for part in (
        "45 of 30, tier 50",
        "15 above what is allowed now",
        "30 held", "5 lingering", "10 quarantined", "5 closed", "7 background",
        "an operator's limit of 40",
        "BLOCKED with 1113 for 65 s, 212 times: the balance is used up: top it up",
        "60 ms after each request",
        "12 s on average", "a place in the queue costs 326 ms",
        "1231", "119 s", "4.2 s",
        "silent: freed in 94 s",
        "not back yet",
    ):  # fmt: skip
        assert part in drawn, part


def test_a_calm_state_alarms_nobody():
    drawn = "\n".join(draw(CALM, Terminal(80, colour=True)))
    assert "account not blocked, circuit closed" in drawn
    assert "\x1b[1;31m" not in drawn and "Why" not in drawn
    assert "No worker is registered." in drawn and "Nobody waits." in drawn


def test_where_blocks_cannot_be_written_ascii_says_the_same():
    drawn = "\n".join(draw(WORST, Terminal(80, glyphs=ASCII)))
    drawn.encode("ascii")
    assert "#" * 30 + "~" * 5 + "x" * 10 + "." * 5 in drawn


@given(st.lists(st.integers(0, 100_000), min_size=5, max_size=5), st.integers(20, 110))
def test_the_bar_is_as_long_as_there_is_room_and_hides_no_kind(counts, room):
    bar = cells(counts, room)
    assert sum(bar) == min(sum(counts), room)
    assert [bool(count) for count in counts] == [bool(cell) for cell in bar]
    if sum(counts) <= room:
        assert bar == counts, "one character for each permit, where they fit"


def test_a_table_lets_its_spare_columns_go_first_and_cuts_only_names():
    columns = [Column("NAME", left=True), Column("A", spare=1), Column("B", spare=2), Column("C")]
    rows = [[("a-long-name", ""), ("11", ""), ("22", ""), ("33", "")]]

    def drawn(room):
        return table(columns, rows, room, lambda text, style: text)

    assert drawn(40) == ["NAME          A   B   C", "a-long-name  11  22  33"]
    assert drawn(19) == ["NAME          A   C", "a-long-name  11  33"]
    assert drawn(15) == ["NAME          C", "a-long-name  33"]
    assert drawn(12) == ["NAME       C", "a-long-~  33"]


@pytest.mark.parametrize(
    "ms, text",
    [
        (0, "0 ms"), (999.4, "999 ms"), (1000, "1.0 s"), (9_940, "9.9 s"), (12_400, "12 s"),
        (119_000, "119 s"), (120_000, "2 min"), (7_199_999, "120 min"), (7_200_000, "2 h"),
    ],
)  # fmt: skip
def test_durations_read_as_people_say_them(ms, text):
    assert span(ms) == text
