"""The command that answers what servers ask the person."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mcpmux_tui.cli.common import (
    config_option,
    engine_of,
    instance_of,
    json_option,
    print_json,
    run,
)
from mcpmux_tui.model.errors import ControlError, UsageError
from mcpmux_tui.model.question import Field, Question, Verdict

if TYPE_CHECKING:
    from mcpmux_tui.engine.instance import Instance

_NO_SECRETS = "It seems to ask for a secret; servers must not ask for one this way."


@click.command()
@click.argument("number", type=int, required=False)
@click.argument("answers", nargs=-1, metavar="[NAME=VALUE]...")
@click.option("--decline", is_flag=True, help="Say no to it.")
@click.option("--accept", is_flag=True, help="Say yes, with defaults for what is not given.")
@json_option
@config_option
def answer(
    number: int | None,
    answers: tuple[str, ...],
    decline: bool,
    accept: bool,
    as_json: bool,
    config: Path | None,
) -> None:
    """Answer what a server asks you; without a number: list what waits."""
    if decline and (accept or answers):
        raise UsageError("--decline takes no answers and no --accept.")
    instance = instance_of(config)
    questions = run(_questions(instance))
    if number is None:
        if as_json:
            print_json([question.model_dump(mode="json") for question in questions])
        else:
            _print_all(questions)
        return
    question = next((each for each in questions if each.id == number), None)
    if question is None:
        raise ControlError(
            f"Question {number} does not wait for an answer.",
            "`mcpmux answer` lists those that do.",
        )
    verdict: Verdict
    if decline:
        verdict, typed = "decline", {}
    elif accept or answers:
        verdict, typed = "accept", _typed(answers)
    else:
        verdict, typed = _asked(question)
    run(_send(instance, number, verdict, typed))
    click.echo("Answered." if verdict == "accept" else "Declined.")


async def _questions(instance: Instance) -> tuple[Question, ...]:
    async with await engine_of(instance) as client:
        return (await client.hello()).snapshot.questions


async def _send(
    instance: Instance, number: int, verdict: Verdict, typed: Mapping[str, str]
) -> None:
    async with await engine_of(instance) as client:
        await client.answer(number, verdict, typed)


def _typed(answers: tuple[str, ...]) -> dict[str, str]:
    pairs = [each.partition("=") for each in answers]
    if any(not equals for _, equals, _ in pairs):
        raise UsageError("Answers are written as NAME=VALUE.")
    return {name: value for name, _, value in pairs}


def _print_all(questions: tuple[Question, ...]) -> None:
    if not questions:
        click.echo("No server asks you anything.")
    for question in questions:
        _print(question)
    if questions:
        click.echo("`mcpmux answer NUMBER` asks for each, or takes NAME=VALUE; --decline says no.")


def _print(question: Question) -> None:
    click.echo(f"{question.id}  {question.server} asks:")
    for line in question.message.splitlines():
        click.echo(f"   {line}")
    if question.url:
        click.echo(f"   To do so, open {question.url} yourself, then --accept, or --decline.")
    for field in question.fields:
        click.echo(f"   {_described(field)}")
        if field.wants_secret:
            click.echo(f"   {_NO_SECRETS}")


def _described(field: Field) -> str:
    kind = "/".join(choice.value for choice in field.choices) or field.kind
    extra = ", required" if field.required else ""
    default = f", else {field.default}" if field.default else ""
    label = "" if field.label == field.key else f" {field.label}"
    about = f": {field.description}" if field.description else ""
    return f"{field.key}{label} ({kind}{extra}{default}){about}"


def _asked(question: Question) -> tuple[Verdict, dict[str, str]]:
    """What the person at the terminal says."""
    if not sys.stdin.isatty():
        raise UsageError(
            "Give the answers as NAME=VALUE, or --accept, or --decline: there is no terminal to"
            " ask on."
        )
    _print(question)
    if not click.confirm("Answer it?", default=True):
        return "decline", {}
    typed: dict[str, str] = {}
    for field in question.fields:
        while True:
            text: str = click.prompt(field.key, default=field.default, show_default=True)
            if not text and not field.required:
                break
            try:
                field.value(text)
            except ValueError as error:
                click.echo(f"It {error}.", err=True)
            else:
                typed[field.key] = text
                break
    return "accept", typed


COMMANDS = (answer,)
