from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcpmux_tui.config.placeholders import fill, strays
from mcpmux_tui.config.resolve import EnvironmentValues
from mcpmux_tui.model.errors import ConfigError, InputMissing
from mcpmux_tui.model.spec import HttpLaunch, StdioLaunch

ENVIRON = {
    "HOME": "/home/ada",
    "NAME": "value",
    "EMPTY": "",
    "NESTED": "${NAME}",
    "MCPMUX_SECRET_TOKEN": "s3cret",
    "MCPMUX_SECRET_NAME": "stored",
    "MCPMUX_SECRET_api_key": "k",
}


async def resolved(text: str) -> str:
    launch = await EnvironmentValues(ENVIRON).resolve(StdioLaunch("x", (text,)))
    assert isinstance(launch, StdioLaunch)
    return launch.args[0]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("plain", "plain"),
        ("${NAME}", "value"),
        ("a${NAME}b${NAME}", "avaluebvalue"),
        ("${env:NAME}", "value"),
        ("${TOKEN}", "s3cret"),
        ("${secret:TOKEN}", "s3cret"),
        ("${secret:NAME}", "stored"),
        ("${input:api-key}", "k"),
        ("${EMPTY}", ""),
        ("${EMPTY:-d}", "d"),
        ("${UNSET:-d}", "d"),
        ("${UNSET:-}", ""),
        ("${UNSET:-a:-b/c$}", "a:-b/c$"),
        ("${UNSET:-a$$b}", "a$b"),
        ("${env:TOKEN:-d}", "d"),
        ("${secret:UNSET:-d}", "d"),
        ("${NESTED}", "${NAME}"),
        ("$$", "$"),
        ("$${NAME}", "${NAME}"),
        ("$$${NAME}", "$value"),
        ("$NAME $ 5$", "$NAME $ 5$"),
        ("${a b} ${} ${", "${a b} ${} ${"),
        ("${UNSET:-${NAME}}", "${UNSET:-value}"),
    ],
)
async def test_placeholders(text: str, value: str) -> None:
    assert await resolved(text) == value


async def test_every_text_of_a_launch_is_filled() -> None:
    values = EnvironmentValues(ENVIRON)
    stdio = StdioLaunch("${NAME}", ("${NAME}",), {"${NAME}": "${NAME}"}, "/${NAME}", ("A_*",))
    assert await values.resolve(stdio) == StdioLaunch(
        "value", ("value",), {"${NAME}": "value"}, "/value", ("A_*",)
    )
    http = HttpLaunch("https://${NAME}.example", {"A": "Bearer ${secret:TOKEN}"})
    assert await values.resolve(http) == HttpLaunch("https://value.example", {"A": "Bearer s3cret"})


async def test_all_missing_names_come_together_in_order_once_and_bare() -> None:
    launch = StdioLaunch(
        "${B}", ("${A}", "${B}", "${C:-c}"), {"X": "${secret:D} ${env:TOKEN}"}, "${input:e-1}/${A}"
    )
    with pytest.raises(InputMissing) as caught:
        await EnvironmentValues(ENVIRON).resolve(launch)
    assert caught.value.names == ("B", "A", "D", "TOKEN", "e-1")
    for variable in ("B", "MCPMUX_SECRET_D", "TOKEN", "MCPMUX_SECRET_e_1"):
        assert variable in caught.value.hint


async def test_the_home_folder() -> None:
    values = EnvironmentValues(ENVIRON)
    launch = StdioLaunch("~/bin/x", ("~/a",), {"B": "~/b"}, "~")
    assert await values.resolve(launch) == StdioLaunch(
        "/home/ada/bin/x", ("~/a",), {"B": "~/b"}, "/home/ada"
    )
    launch = StdioLaunch("~other/x", cwd="a~")
    assert await values.resolve(launch) == launch


@pytest.mark.behaviour("A7")
@pytest.mark.parametrize(
    ("launch", "says"),
    [
        (HttpLaunch("${X}"), "user name or password"),
        (HttpLaunch("https://x.example", {"A": "${Y}"}), "`headers.A` holds a line break"),
        (HttpLaunch("${EMPTY}"), "`url` is empty"),
        (StdioLaunch("${EMPTY}"), "`command` is empty"),
    ],
)
async def test_values_that_make_no_launch_are_a_sentence_without_them(
    launch: HttpLaunch | StdioLaunch, says: str
) -> None:
    environ = {"X": "https://a:hunter2@x.example/", "Y": "hunter2\r\nB: c", "EMPTY": ""}
    with pytest.raises(ConfigError, match=says) as caught:
        await EnvironmentValues(environ).resolve(launch)
    assert "hunter2" not in str(caught.value)


async def test_bytes_of_the_environment_that_are_no_utf8_pass() -> None:
    values = EnvironmentValues({"RAW": "a\udcffb"})
    launch = await values.resolve(StdioLaunch("x", ("${RAW}",)))
    assert launch == StdioLaunch("x", ("a\udcffb",))


def test_the_environment_is_the_one_given() -> None:
    assert EnvironmentValues(ENVIRON).environment() is ENVIRON


@given(st.text())
def test_a_text_with_every_dollar_doubled_comes_back(text: str) -> None:
    assert fill(text.replace("$", "$$"), lambda source, name: "?") == (text, ())


@given(st.lists(st.sampled_from(["$", "{", "}", "${A}", ":-", "env:", "a", "${secret:B:-"])))
def test_whatever_is_written_is_filled_once_or_passed_on(parts: list[str]) -> None:
    text = "".join(parts)
    value, missing = fill(text, lambda source, name: None if source else "${A}")
    assert set(missing) <= {"A", "a", "env", "B"}
    if "$" not in text:
        assert (value, missing) == (text, ())


def test_strays_are_named_short() -> None:
    assert strays("${A} $${b c} ${d e} ${f:g}") == ("${d e}", "${f:g}")
    assert all(len(stray) < 50 for stray in strays("${" + "x" * 100_000))


def test_filling_takes_linear_time() -> None:
    for unit in ("${", "${A:-", "$$", "${A:-$", "${secret:"):
        fill(unit * 200_000, lambda source, name: None)
