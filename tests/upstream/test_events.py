from __future__ import annotations

import pytest

from mcpmux_tui.upstream.events import EventReader, TooLarge

STREAM = (
    b": hello\r\n\r\n"
    b'event: message\r\nid: 1\r\ndata: {"a":1}\r\n\r\n'
    b"data:{\n data: not this\ndata: }\nretry: 0\n\n"
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
    assert found == [b'{"a":1}', b"{\n}", b"last"]


@pytest.mark.parametrize("data", [b"data: " + b"x" * 200 + b"\n", b"data: 123456789\n" * 12])
def test_one_event_is_bounded(data: bytes) -> None:
    with pytest.raises(TooLarge):
        EventReader(100).feed(data)
