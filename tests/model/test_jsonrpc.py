from __future__ import annotations

import json
import time
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcpmux_tui.model import jsonrpc
from mcpmux_tui.model.jsonrpc import Message
from mcpmux_tui.model.rawjson import Malformed

HARD_RESULT = (
    b'{"content":[{"type":"text","text":"\\ud83d"},{"type":"hologram","x":1.0}],'
    b'"_meta":{"a":1180591620717411303424},"unknown": [1e400, 1.10]}'
)

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@pytest.mark.parametrize(
    "line",
    [
        b'{"jsonrpc":"2.0","id":7,"result":%b}',
        b'{"result":%b,"jsonrpc":"2.0","id":7}',
        b'{"result":%b\n , "jsonrpc" : "2.0" , "id" : 7 } \n',
        b'{"id":7,"jsonrpc":"2.0","result":%b}',
        b' { "jsonrpc" : "2.0" , "id" : 7 , "result" :%b } \r\n',
        b'{"jsonrpc":"2.0","id":7,"result":%b,"extra":{"result":{}}}',
    ],
)
@pytest.mark.parametrize("result", [HARD_RESULT, b"{}", b'{"a":"},\\"id\\":8}"}'])
def test_the_bytes_of_a_result_stay_as_received(line: bytes, result: bytes) -> None:
    assert jsonrpc.parse_message(line % result) == Message(id=b"7", result=result)


@given(st.dictionaries(st.text(), json_values, max_size=5), st.booleans())
def test_any_result_is_found_in_either_order(value: dict[str, object], last: bool) -> None:
    raw = json.dumps(value).encode()
    line = (
        b'{"jsonrpc":"2.0","id":"a\\"b","result":' + raw + b"}"
        if last
        else b'{"result":' + raw + b',"jsonrpc":"2.0","id":"a\\"b"}'
    )
    assert jsonrpc.parse_message(line) == Message(id=b'"a\\"b"', result=raw)


@pytest.mark.parametrize(
    "line",
    [
        b"[]",
        b'[{"jsonrpc":"2.0","id":1,"method":"ping"}]',
        b'{"jsonrpc":"2.0","id":1.0,"method":"ping"}',
        b'{"jsonrpc":"2.0","id":1e400,"method":"ping"}',
        b'{"jsonrpc":"2.0","id":{},"method":"ping"}',
        b'{"jsonrpc":"2.0","id":null,"method":"ping"}',
        b'{"jsonrpc":"2.0","id":true,"method":"ping"}',
        b'{"jsonrpc":"2.0","id":01,"method":"ping"}',
        b'{"jsonrpc":2.0,"id":1,"method":"ping"}',
        b'{"jsonrpc":"1.0","id":1,"method":"ping"}',
        b'{"jsonrpc":"2.0","id":1,"method":5}',
        b'{"jsonrpc":"2.0","id":1,"method":"ping","params":[]}',
        b'{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}',
        b'{"jsonrpc":"2.0","id":1,"method":"ping"}{}',
        b'{"jsonrpc":"2.0","id":1,"result":{"a":NaN}}',
        b'{"jsonrpc":"2.0","id":1,"result":{},"result":{"a":1}}',
        b'{"jsonrpc":"2.0","id":1,"result":[]}',
        b'{"jsonrpc":"2.0","id":1,"result":{},"error":{}}',
        b'{"jsonrpc":"2.0","result":{}}',
        b'{"jsonrpc":"2.0","id":1,"result":' + b'{"a":' * 20_000 + b"1" + b"}" * 20_001,
        b'{"jsonrpc":"2.0","id":1,"result":{}',
        b"",
        "{}".encode("utf-16"),
        b'{"jsonrpc":"2.0","id":"\xff","method":"ping"}',
    ],
)
def test_what_is_not_one_message_is_refused(line: bytes) -> None:
    with pytest.raises(Malformed):
        jsonrpc.parse_message(line)


def test_an_id_keeps_its_type_and_digits() -> None:
    big = b'{"jsonrpc":"2.0","id":1180591620717411303424,"method":"ping"}'
    text = b'{"jsonrpc":"2.0","id":"1","method":"ping"}'
    assert jsonrpc.parse_message(big).id == b"1180591620717411303424"
    assert jsonrpc.parse_message(text).id == b'"1"'


def test_params_stay_as_received() -> None:
    line = b'{"jsonrpc":"2.0","id":1,"method":"m","params":{"a": [1.0, "\\ud83d"] } }'
    assert jsonrpc.parse_message(line).params == b'{"a": [1.0, "\\ud83d"] }'


@pytest.mark.parametrize(
    "line",
    [
        b'{"jsonrpc":"2.0","id":12,"result":{"a":NaN}}',
        b'{"result":{"a":"\x01"},"jsonrpc":"2.0","id":12}',
    ],
)
def test_an_unreadable_answer_still_names_its_call(line: bytes) -> None:
    assert jsonrpc.salvage_id(line) == b"12"
    assert jsonrpc.salvage_id(b"hello") is None


SIZE = 16_000_000


@pytest.mark.parametrize(
    "line",
    [
        b'{"jsonrpc":"2.0","method":"n","params":{"a":[%b1]}}' % (b"1," * (SIZE // 2)),
        b'{"jsonrpc":"2.0","method":"n","params":{"a":[%b""]}}' % (b'"",' * (SIZE // 3)),
        b'{"jsonrpc":"2.0","id":1,"result":{"a":[%b[]]}}' % (b"[]," * (SIZE // 3)),
        b'{"result":{"a":[%b[]]},"jsonrpc":"2.0","id":1}' % (b"[]," * (SIZE // 3)),
        b'{"jsonrpc":"2.0","id":"%b"}' % (b"x" * SIZE),
        b'{"id":1,%b"jsonrpc":"2.0","method":[]}' % (b" " * SIZE),
    ],
    ids=["numbers", "strings", "result", "result-first", "id", "spaces"],
)
def test_a_costly_message_is_refused_in_little_time_and_memory(line: bytes) -> None:
    tracemalloc.start()
    try:
        started = time.process_time()
        with pytest.raises(Malformed):
            jsonrpc.parse_message(line)
        assert time.process_time() - started < 1.0
        assert tracemalloc.get_traced_memory()[1] < 12 * SIZE
    finally:
        tracemalloc.stop()


def test_a_large_text_is_no_costly_message() -> None:
    for text in (b"a,[{" * 500_000, b'\\",' * 500_000, b"\\\\" * 500_000, b"\\ud83d" * 500_000):
        params = b'{"a":"\\\\","text":"%b"}' % text
        line = jsonrpc.notification("n", params)
        assert jsonrpc.parse_message(line) == Message(method="n", params=params)
        answer = jsonrpc.result(b"1", params)
        assert jsonrpc.parse_message(answer) == Message(id=b"1", result=params)


def test_as_many_values_as_can_be_read_are_taken() -> None:
    for count, taken in ((249_000, True), (251_000, False)):
        params = b'{"a":[%b]}' % b",".join([b"1"] * (count - 2))
        line = jsonrpc.notification("n", params)
        if taken:
            assert jsonrpc.parse_message(line).params == params
        else:
            with pytest.raises(Malformed):
                jsonrpc.parse_message(line)
