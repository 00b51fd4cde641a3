from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcpmux_tui.model import jsonrpc, rawjson
from mcpmux_tui.model.params import (
    parse_call,
    progress_token,
    token_in,
    with_progress_token,
    with_token,
)
from mcpmux_tui.model.rawjson import Malformed


@pytest.mark.parametrize(
    "params",
    [
        '{"name":"s__echo","arguments":{}}',
        '{"name":"é","arguments":{"name":"x","arguments":{"a":[1,2]},"_meta":{}}}',
        '{"name":"n","arguments":{"t":",\\"_meta\\":{}"},"_meta":{"progressToken":7}}',
        '{"name":"n","arguments":{"_meta":{}},"_meta":{"a":{"_meta":{}}}}',
        '{"_meta":{},"name":"n","arguments":{}}',
        '{"_meta":{"progressToken":7},"name":"é","arguments":{"name":"x","_meta":{}}}',
        '{"_meta":{"a":{"b":{}},"c":{"a":{},"name":"x"}},"name":"n","arguments":{"t":1}}',
        '{"_meta":{"a":{},"name":"x","arguments":{"b":{}}},"name":"n","arguments":{}}',
        '{"_meta":{"a":"},\\"name\\":"},"name":"n","arguments":{"a":"},\\"name\\":{"}}',
    ],
)
def test_a_call_in_the_usual_order_is_read_as_any_object_is(params: str) -> None:
    assert_read_alike(params.encode())


def assert_read_alike(params: bytes) -> None:
    found = parse_call(params)
    expected = rawjson.parse_object(params)
    assert found is not None
    assert [(key, each.raw) for key, each in found.items()] == [
        (key, each.raw) for key, each in expected.items()
    ]
    assert found["name"].text == expected["name"].text
    assert all(isinstance(each.value, type(expected[key].value)) for key, each in found.items())


TRAPS = st.sampled_from(
    [
        '"}"', '"},"', r'"},\"_meta\":{"', r'"}},\"_meta\":{}}"', '"_meta"', r'"\\"',
        r'"\ud83d"', "1e400", "{}", '{"_meta":{}}', '{"a":{},"_meta":{}}',
        '{"a":[{},{"_meta":{}}]}', "{ }", '{"a":{} }',
    ]
)  # fmt: skip
KEYS = st.sampled_from(["_meta", "_meta", "arguments", "name", "x", r"\u005fmeta", r"\u006eame"])
SPACES = st.sampled_from(["", "", "", " ", "\n"])


@st.composite
def objects(draw: st.DrawFn, depth: int = 2) -> str:
    members = [
        f'"{draw(KEYS)}":{draw(SPACES)}{draw(values(depth))}'
        for _ in range(draw(st.integers(0, 3)))
    ]
    return "{" + f"{draw(SPACES)},".join(members) + draw(SPACES) + "}"


def values(depth: int) -> st.SearchStrategy[str]:
    return TRAPS if not depth else TRAPS | objects(depth - 1)


@given(
    st.none() | objects(),
    objects(),
    st.lists(st.tuples(KEYS, values(2)), max_size=3),
    SPACES,
    SPACES,
)
def test_two_readers_of_a_call_never_disagree(
    meta: str | None, arguments: str, others: list[tuple[str, str]], before: str, after: str
) -> None:
    first = "" if meta is None else f'"_meta":{meta},'
    rest = "".join(f'{before},"{key}":{value}' for key, value in others)
    params = ("{" + first + '"name":"n","arguments":' + arguments + rest + after + "}").encode()
    try:
        received = jsonrpc.parse_message(jsonrpc.request(b"1", "tools/call", params)).params
    except Malformed:
        return
    assert received == params
    if parse_call(params) is not None:
        assert_read_alike(params)


@pytest.mark.parametrize(
    "params",
    [
        '{"name":"a","arguments":{},"name":"b"}',
        '{"name":"a","arguments":{},"arguments":{}}',
        '{"name":"a","arguments":{},"\\u006eame":"b"}',
        '{"name":"a","arguments":{},"_meta":{},"_meta":{}}',
        '{"name":"a","arguments":{},"_meta":{},"x":{}}',
        '{"_meta":{},"name":"a","arguments":{},"_meta":{}}',
        '{"_meta":{},"x":{},"name":"a","arguments":{}}',
        '{"_meta":{"a":1},"_meta":{},"name":"a","arguments":{}}',
        '{"_meta":null,"name":"a","arguments":{}}',
        '{"name":"a\\"","arguments":{}}',
        '{"name":"a","arguments":null}',
        '{"arguments":{},"name":"a"}',
    ],
)
def test_what_is_not_plainly_one_call_is_left_to_the_long_way(params: str) -> None:
    assert parse_call(params.encode()) is None


@pytest.mark.parametrize(
    ("meta", "token"),
    [
        ('{"progressToken":7}', "7"),
        ('{"a":{"b":1},"progressToken" : "p"}', '"p"'),
        ('{"progressToken":-1.50,"a":[]}', "-1.50"),
        ('{"progressToken":"\\u0070"}', '"\\u0070"'),
        ('{"a":{"progressToken":7}}', None),
        ('{"a":{"progressToken":7},"progressToken":8}', "8"),
        ('{"a":"progressToken","b":[":7,"]}', None),
        ('{"a":["progressToken",7]}', None),
        ('{"a":"\\"progressToken\\":7,"}', None),
        ('{"progressToken":7,"progressToken":8}', None),
        ("{}", None),
    ],
)
@pytest.mark.parametrize(
    "params",
    [
        '{"name":"n","arguments":{"progressToken":9},"_meta":%s}',
        '{"_meta":%s,"name":"n","arguments":{"progressToken":9}}',
        '{"arguments":{"_meta":{"progressToken":9}},"_meta":%s,"name":"n"}',
    ],
)
def test_a_progress_token_is_the_one_of_the_meta_itself(
    params: str, meta: str, token: str | None
) -> None:
    text = (params % meta).encode()
    assert progress_token(text) == (None if token is None else token.encode())
    if token is not None:
        (rest := rawjson.parse_object(meta.encode())).pop("progressToken")
        changed = rawjson.parse_object(with_progress_token(text, b'"mine"'))
        own = rawjson.parse_object(changed.pop("_meta").raw)
        assert own.pop("progressToken").raw == b'"mine"'
        assert own == rest
        others = rawjson.parse_object(text)
        others.pop("_meta")
        assert changed == others


HOLDER_TRAPS = st.sampled_from(
    ['"progressToken"', "7", "-0.5", '{"progressToken":1}', '["progressToken",2]', '"\\":3,"', "[]"]
)


@given(
    st.dictionaries(
        st.sampled_from(["progressToken", "a", "progress", r"progress\u0054oken"]),
        HOLDER_TRAPS,
        max_size=3,
    )
)
def test_a_token_is_found_and_set_as_by_a_reader_of_the_whole(members: dict[str, str]) -> None:
    holder = ("{" + ",".join(f'"{key}": {raw} ' for key, raw in members.items()) + "}").encode()
    expected = rawjson.member(holder, "progressToken")
    assert token_in(holder) == (None if expected is None else expected.raw)
    try:
        spliced = rawjson.splice(holder, {"progressToken": b"1"})
    except Malformed:
        return
    assert json.loads(with_token(holder, b"1")) == json.loads(spliced)


@pytest.mark.parametrize(
    "params",
    [
        b'{"args9":{"progressToken":9}}',
        b'{"name":"n","arguments":{"k":1,"_meta":{"progressToken":9}}}',
        b'{"arguments":{"k":1,"_meta":{"progressToken":9}},"name":"n"}',
    ],
)
def test_a_token_elsewhere_is_no_request_for_progress(params: bytes) -> None:
    assert progress_token(params) is None


HOLDERS = st.dictionaries(
    st.sampled_from(["progressToken", "a", "_meta"]),
    HOLDER_TRAPS,
    max_size=2,
).map(lambda members: "{" + ",".join(f'"{key}":{raw}' for key, raw in members.items()) + "}")


@given(
    st.lists(
        st.tuples(st.sampled_from(["_meta", r"\u005fmeta", "x"]), HOLDERS | HOLDER_TRAPS),
        max_size=3,
    ),
    HOLDERS,
    st.booleans(),
)
def test_the_token_of_any_params_is_found_as_by_a_reader_of_the_whole(
    members: list[tuple[str, str]], inner: str, nested: bool
) -> None:
    rest = "".join(f',"{key}":{raw}' for key, raw in members)
    arguments = f'{{"k":1,"_meta":{inner}}}' if nested else inner
    params = ('{"name":"n","arguments":' + arguments + rest + "}").encode()
    try:
        expected = rawjson.member(params, "_meta", "progressToken")
        rawjson.parse_object(params)
    except Malformed:
        return
    assert progress_token(params) == (None if expected is None else expected.raw)
    if expected is not None:
        wanted = json.loads(params)
        wanted["_meta"]["progressToken"] = "mine"
        assert json.loads(with_progress_token(params, b'"mine"')) == wanted
