from __future__ import annotations

import pytest

from mcpmux_tui.model.events import Event, EventReader, TooLarge

STREAM = (
    b": hello\r\n\r\n"
    b'event: message\r\nid: 1\r\ndata: {"a":1}\r\n\r\n'
    b"data:{\n data: not this\ndata: }\nretry: 250\n\n"
    b"event: endpoint\ndata: /else\n\n"
    b"id: 2\ndata:\n\n"
    b"data: last\n\n"
    b"data: never ended"
)


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_events_come_out_however_the_stream_is_cut(size: int) -> None:
    reader = EventReader(100)
    found = [
        event
        for start in range(0, len(STREAM), size)
        for event in reader.feed(STREAM[start : start + size])
    ]
    assert found == [
        Event("message", b'{"a":1}'),
        Event("message", b"{\n}"),
        Event("endpoint", b"/else"),
        Event("message", b"last"),
    ]
    assert (reader.last_id, reader.retry) == ("2", 0.25)


def test_of_a_cut_event_nothing_is_kept_but_the_id_before_it_is() -> None:
    reader = EventReader(100)
    reader.feed(b"id: 7\ndata: whole\n\nid: 8\ndata: cut")
    reader.restart()
    assert reader.feed(b"data: next\n\n") == [Event("message", b"next")]
    assert reader.last_id == "7"


@pytest.mark.parametrize("value", [b"a\0b", b"x" * 2000, "ü".encode(), b"a\x1bb"])
def test_an_id_that_no_header_can_carry_is_as_none(value: bytes) -> None:
    reader = EventReader(10_000)
    reader.feed(b"id: " + value + b"\ndata: x\n\n")
    assert reader.last_id == ""


@pytest.mark.parametrize("data", [b"data: " + b"x" * 200 + b"\n", b"data: 123456789\n" * 12])
def test_one_event_is_bounded(data: bytes) -> None:
    with pytest.raises(TooLarge):
        EventReader(100).feed(data)
