from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcpmux_tui.config.placeholders import fill, strays
from mcpmux_tui.config.resolve import Resolver
from mcpmux_tui.config.schema import server_spec
from mcpmux_tui.model.errors import ConfigError, InputMissing, VaultError
from mcpmux_tui.model.inputs import InputSpec, InputType
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
    launch = await Resolver(ENVIRON).resolve(StdioLaunch("x", (text,)))
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
        ("${UNSET:-${NAME}}", "value"),
        ("${UNSET:-a${ALSO:-b${NAME}c}d}", "abvaluecd"),
        ("${UNSET:-${NAME}", "${UNSET:-value"),
        ("${userHome}/x", "/home/ada/x"),
        ("{{NAME}}", "{{NAME}}"),
    ],
)
async def test_placeholders(text: str, value: str) -> None:
    assert await resolved(text) == value


async def test_every_text_of_a_launch_is_filled() -> None:
    values = Resolver(ENVIRON)
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
        await Resolver(ENVIRON).resolve(launch)
    assert caught.value.names == ("B", "A", "D", "TOKEN", "e-1")
    for variable in ("B", "MCPMUX_SECRET_D", "TOKEN", "MCPMUX_SECRET_e_1"):
        assert variable in caught.value.hint


async def test_the_home_folder() -> None:
    values = Resolver(ENVIRON)
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
        (HttpLaunch("${EMPTY:-}"), "`url` is empty"),
        (StdioLaunch("${EMPTY:-}"), "`command` is empty"),
    ],
)
async def test_values_that_make_no_launch_are_a_sentence_without_them(
    launch: HttpLaunch | StdioLaunch, says: str
) -> None:
    environ = {"X": "https://a:hunter2@x.example/", "Y": "hunter2\r\nB: c", "EMPTY": ""}
    with pytest.raises(ConfigError, match=says) as caught:
        await Resolver(environ).resolve(launch)
    assert "hunter2" not in str(caught.value)


async def test_bytes_of_the_environment_that_are_no_utf8_pass() -> None:
    values = Resolver({"RAW": "a\udcffb"})
    launch = await values.resolve(StdioLaunch("x", ("${RAW}",)))
    assert launch == StdioLaunch("x", ("a\udcffb",))


def test_the_environment_is_the_one_given() -> None:
    assert Resolver(ENVIRON).environment() is ENVIRON


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


KNOWN = {
    "HOST": InputSpec("HOST", default="${input:PORT}.example"),
    "PORT": InputSpec("PORT", "number", default="443"),
    "NOTE": InputSpec("NOTE", required=False),
    "MODE": InputSpec("MODE", "choice", choices=("fast", "slow")),
    "A": InputSpec("A", default="${input:B}"),
    "B": InputSpec("B", default="x${input:A}"),
}


class Stored:
    """What people gave."""

    def __init__(self, **values: str) -> None:
        self.values = values
        self.asked: list[str] = []

    async def value(self, name: str) -> str | None:
        self.asked.append(name)
        if name == "LOCKED":
            raise VaultError("The keyring is locked.", "Unlock it, then retry.")
        return self.values.get(name)


def resolver(environ: dict[str, str] | None = None, **stored: str) -> Resolver:
    return Resolver(environ or {}, stored=Stored(**stored), inputs=lambda: KNOWN)


@pytest.mark.behaviour("LUN-E01", "MUX-P07", "MUX-P08", "MUX-P09", "LUN-E05")
@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("${KEY}", "given"),
        ("${secret:KEY}", "given"),
        ("${input:KEY}", "given"),
        ("${env:KEY:-none}", "none"),
        ("${BOTH}", "environment"),
        ("${secret:BOTH}", "given"),
        ("${BLANK}", "given"),
        ("${input:HOST}", "443.example"),
        ("[${input:NOTE}]", "[]"),
        ("${input:MODE}", "slow"),
        ("literal", "literal"),
    ],
)
async def test_a_value_comes_from_the_environment_else_from_who_gave_it(
    text: str, value: str
) -> None:
    values = resolver(
        {"BOTH": "environment", "BLANK": "  "},
        KEY="given",
        BOTH="given",
        BLANK="given",
        MODE="slow",
    )
    for launch in (
        StdioLaunch(text, (text,), {"X": text}, text),
        HttpLaunch(f"https://h/{text}", {"X": text}),
    ):
        filled = await values.resolve(launch)
        if isinstance(filled, StdioLaunch):
            assert filled == StdioLaunch(value, (value,), {"X": value}, value)
        else:
            assert filled == HttpLaunch(f"https://h/{value}", {"X": value})


@pytest.mark.behaviour("LUN-E02", "LUN-E03", "LUN-E04", "LUN-E06", "AMG-R07", "P-03")
async def test_absent_null_and_blank_are_one_case_and_all_are_named_together() -> None:
    launch = StdioLaunch("x", env={"A": "${GONE}", "B": "${BLANK}", "C": "${NULL:-}", "D": ""})
    values = resolver({"BLANK": " "}, NULL="")
    with pytest.raises(InputMissing) as met:
        await values.resolve(launch)
    assert met.value.names == ("GONE", "BLANK")
    needs = {each.name: each for each in await values.values(launch)}
    assert {name: each.origin for name, each in needs.items()} == {
        "GONE": "", "BLANK": "", "NULL": "default",
    }  # fmt: skip
    assert [each.required for each in needs.values()] == [True, True, False]
    spec = server_spec("x", {"command": "x", "env": {"A": None, "B": ""}}, folder=Path())
    assert spec.launch == StdioLaunch("x", env={"B": ""})


@pytest.mark.behaviour("LUN-E08")
async def test_a_header_template_may_stand_several_times() -> None:
    values = resolver(KEY="k")
    launch = HttpLaunch("https://h/{{KEY}}", {"X": "{{KEY}}-{{ KEY }}"})
    assert await values.resolve(launch) == HttpLaunch("https://h/{{KEY}}", {"X": "k-k"})
    with pytest.raises(InputMissing, match="OTHER"):
        await values.resolve(HttpLaunch("https://h/", {"X": "{{OTHER}}"}))


@pytest.mark.behaviour("HUB-E01")
async def test_inputs_that_refer_to_each_other_in_a_circle_are_named() -> None:
    with pytest.raises(ConfigError, match="in a circle: A -> B -> A"):
        await resolver().resolve(StdioLaunch("${input:A}"))
    deep = "${X:-" * 12 + "y" + "}" * 12
    spec = server_spec("x", {"command": deep}, folder=Path())
    assert spec.problem is not None
    assert "more than ten deep" in spec.problem.reason


@pytest.mark.behaviour("MUX-P09")
async def test_a_value_of_another_type_is_a_sentence_without_it() -> None:
    for name, value in (("PORT", "hunter2"), ("MODE", "hunter2")):
        with pytest.raises(ConfigError, match="It must be") as met:
            await Resolver({}, stored=Stored(**{name: value}), inputs=lambda: KNOWN).resolve(
                StdioLaunch(f"${{input:{name}}}")
            )
        assert "hunter2" not in str(met.value)


@pytest.mark.behaviour("MUX-P09")
@pytest.mark.parametrize(
    ("type_", "good", "bad"),
    [
        ("text", "x", " "),
        ("number", "-1.5e3", "1,5"),
        ("number", "0", "nan"),
        ("boolean", "true", "yes"),
        ("url", "https://h:1/x", "h.example"),
        ("choice", "a", "c"),
        ("file", "{file}", "{folder}"),
        ("directory", "{folder}", "{file}"),
        ("file", "{file}", "a\0b"),
        ("password", "x" * 60_000, "x" * 70_000),
    ],
)
def test_a_value_fits_its_type(type_: InputType, good: str, bad: str, tmp_path: Path) -> None:
    file = tmp_path / "f"
    file.touch()
    spec = InputSpec("i", type_, choices=("a", "b"))
    places = {"file": file, "folder": tmp_path}
    assert spec.problem(good.format(**places)) == ""
    assert spec.problem(bad.format(**places)) != ""


async def test_what_only_an_editor_can_fill_is_refused_in_a_sentence() -> None:
    for text in ("${workspaceFolder}/x", "${workspaceFolder:a}", "${command:x}", "${fileDirname}"):
        spec = server_spec("x", {"command": "x", "args": [text]}, folder=Path())
        assert spec.problem is not None
        assert "is filled by an editor" in spec.problem.reason
    assert server_spec("x", {"command": "$${workspaceFolder}"}, folder=Path()).problem is None


async def test_a_keyring_that_cannot_be_read_is_a_reason_not_an_absence() -> None:
    with pytest.raises(InputMissing) as met:
        await resolver().resolve(StdioLaunch("${secret:LOCKED}"))
    assert met.value.trouble is not None
    assert str(met.value).endswith("The keyring is locked. Unlock it, then retry.")
    # The environment suffices: the keyring is not asked.
    stored = Stored()
    values = Resolver({"MCPMUX_SECRET_LOCKED": "x"}, stored=stored)
    assert await values.resolve(StdioLaunch("${secret:LOCKED}")) == StdioLaunch("x")
    assert stored.asked == []


async def test_every_secret_is_told_to_the_redactor_before_it_is_used() -> None:
    hidden: list[str] = []
    values = Resolver(
        {"API_KEY": "from-environment", "REGION": "eu"},
        stored=Stored(PASS="from-keyring"),
        hide=lambda secret: hidden.append(secret.reveal()),
    )
    await values.resolve(
        StdioLaunch("${REGION}", ("${API_KEY}",), {"X": "${secret:PASS}", "MY_TOKEN": "literal"})
    )
    await values.resolve(HttpLaunch("https://h", {"Authorization": "Bearer abc"}))
    assert set(hidden) >= {"from-environment", "from-keyring", "literal", "abc"}
    assert "eu" not in hidden


@given(st.text(), st.dictionaries(st.sampled_from(["A", "B", "C"]), st.text(), max_size=3))
def test_no_text_and_no_values_make_the_resolver_stumble(
    text: str, environ: dict[str, str]
) -> None:
    async def once() -> None:
        launch = StdioLaunch("x", (text, f"${{A:-{text}}}", f"${{{text}}}"), {"X": text}, text)
        values = Resolver(environ, stored=Stored(B="b"), inputs=lambda: KNOWN)
        await values.values(launch)
        try:
            await values.resolve(launch)
        except (InputMissing, ConfigError):
            return

    asyncio.run(once())


@given(
    st.lists(
        st.sampled_from(
            [
                "a",
                "$",
                "}",
                "{",
                "${A}",
                "${B:-",
                "${secret:C}",
                "${input:NOTE}",
                "$$",
                ":-",
                "{{A}}",
            ]
        )
    )
)
def test_what_is_filled_holds_no_required_placeholder(parts: list[str]) -> None:
    async def once() -> None:
        text = "".join(parts)
        try:
            filled = await resolver({"A": "1"}, C="2").resolve(StdioLaunch("x", (text,)))
        except InputMissing:
            return
        assert isinstance(filled, StdioLaunch)
        if "$$" not in text:
            assert "${A}" not in filled.args[0]
            assert "${secret:C}" not in filled.args[0]

    asyncio.run(once())


def test_strays_are_named_short() -> None:
    assert strays("${A} $${b c} ${d e} ${f:g}") == ("${d e}", "${f:g}")
    assert all(len(stray) < 50 for stray in strays("${" + "x" * 100_000))


def test_filling_takes_linear_time() -> None:
    for unit in ("${", "${A:-", "$$", "${A:-$", "${secret:"):
        fill(unit * 200_000, lambda source, name: None)
