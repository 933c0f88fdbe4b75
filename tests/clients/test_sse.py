"""Server-sent events: the same events however the bytes are cut, and whatever ends the lines."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.clients.sse import LINE_BYTES, EventStream, EventTooLong

STREAM = (
    b"\xef\xbb\xbf: hello\n\n"
    b'data: {"a": "\xe5\xa5\xbd \xf0\x9f\x98\x80"}\n\n'
    b"id: 7\nretry: 5\ndata:{}\n\n"
    b"event: error\ndata: one\ndata: two\n\n"
    b"event: forgotten\n\n"
    b": keep-alive\n\n"
    b"data\n\n"
    b"datax: nobody's\n\n"
    b"data: [DONE]\n\n"
)
EVENTS = [
    (b"", '{"a": "好 😀"}'.encode()),
    (b"", b"{}"),
    (b"error", b"one\ntwo"),
    (b"", b""),
    (b"", b"[DONE]"),
]


def read(*pieces: bytes) -> list[tuple[bytes, bytes]]:
    stream = EventStream()
    return [event for piece in pieces for event in stream.feed(piece)] + stream.close()


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_events_are_the_same_when_cut_at_every_position(end: bytes) -> None:
    stream = STREAM.replace(b"\n", end)
    assert read(stream) == EVENTS
    for at in range(len(stream) + 1):
        assert read(stream[:at], stream[at:]) == EVENTS, at
    assert read(*(stream[at : at + 1] for at in range(len(stream)))) == EVENTS


@given(st.data())
def test_events_are_the_same_however_the_bytes_are_cut_and_the_lines_end(
    data: st.DataObject,
) -> None:
    lines = STREAM.split(b"\n")
    ends = data.draw(
        st.lists(st.sampled_from([b"\n", b"\r\n", b"\r"]), min_size=len(lines), max_size=len(lines))
    )
    # A CR alone before an LF alone would be one line end, as the standard has it.
    for at in range(1, len(ends)):
        if ends[at - 1] == b"\r" and lines[at] == b"" and ends[at] == b"\n":
            ends[at] = b"\r"
    stream = b"".join(line + end for line, end in zip(lines[:-1], ends, strict=False))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=12)))
    pieces = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    assert read(*pieces) == EVENTS


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n", b"\r"])
def test_a_last_event_without_its_blank_line_is_given_at_the_end(end: bytes) -> None:
    stream = EventStream()
    assert stream.feed(b"data: {}\n\ndata: [DONE]" + end) == [(b"", b"{}")]
    assert stream.close() == [(b"", b"[DONE]")]
    assert stream.close() == []


def test_an_event_is_given_as_soon_as_its_blank_line_is_there() -> None:
    stream = EventStream()
    assert stream.feed(b"data: {}\r\n\r") == [(b"", b"{}")]
    assert stream.feed(b"\ndata: 2\n\n") == [(b"", b"2")]


def test_a_line_without_an_end_is_not_read_for_ever() -> None:
    stream = EventStream()
    with pytest.raises(EventTooLong):
        for _ in range(LINE_BYTES // 1000 + 1):
            stream.feed(b"data: " + b"x" * 1000)


def test_an_event_of_endless_lines_is_not_read_for_ever() -> None:
    stream = EventStream()
    with pytest.raises(EventTooLong):
        for _ in range(LINE_BYTES // 1000 + 1):
            stream.feed(b"data: " + b"x" * 1000 + b"\n")
