"""The help as a command of other programs: click, typer and argparse, with and without rich."""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import click
import pytest
import typer
from click.shell_completion import ShellComplete
from click.testing import CliRunner
from typer.testing import CliRunner as TyperRunner

from sessionstream import doc

Ran = tuple[int, str]
SLUG = "sessionstream-getting-started"


def by_click(*arguments: str) -> Ran:
    @click.group()
    def cli() -> None: ...

    doc.add_to_click(cli)
    result = CliRunner().invoke(cli, arguments)
    return result.exit_code, result.output


def by_typer(*arguments: str) -> Ran:
    app = typer.Typer()

    @app.command()
    def other() -> None: ...

    doc.add_to_typer(app)
    result = TyperRunner().invoke(app, arguments, env={"COLUMNS": "200", "TERM": "dumb"})
    return result.exit_code, result.output


def by_argparse(*arguments: str) -> Ran:
    program = (
        "import argparse, sys; from sessionstream import doc; parser = argparse.ArgumentParser(); "
        "doc.add_to_argparse(parser.add_subparsers()); args = parser.parse_args(sys.argv[1:]); args.func(args)"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout


@pytest.fixture(params=[by_click, by_typer, by_argparse])
def run(request: pytest.FixtureRequest) -> Callable[..., Ran]:
    found: Callable[..., Ran] = request.param
    return found


def test_the_program_lists_the_command(run: Callable[..., Ran]) -> None:
    status, printed = run("--help")
    assert status == 0
    assert "sessionstream-help" in printed
    assert "Read the documentation of sessionstream." in printed


def test_without_a_slug_the_entries_are_listed(run: Callable[..., Ran]) -> None:
    status, printed = run("sessionstream-help")
    assert status == 0
    assert [entry for entry in doc.entries() if entry.slug not in printed] == []


def test_an_entry_is_shown(run: Callable[..., Ran]) -> None:
    status, printed = run("sessionstream-help", SLUG)
    assert status == 0
    assert printed.startswith(doc.get(SLUG).title)
    assert "See also" in printed


def test_an_unknown_slug_is_a_usage_error(run: Callable[..., Ran]) -> None:
    status, printed = run("sessionstream-help", "sessionstream-refrence")
    assert status == 2
    assert "'sessionstream-refrence': did you mean sessionstream-reference?" in " ".join(printed.split())


def test_shells_complete_slugs_in_click() -> None:
    group = click.Group("app")
    doc.add_to_click(group)
    completion = ShellComplete(group, {}, "app", "_APP_COMPLETE")
    found = completion.get_completions(["sessionstream-help"], "sessionstream-g")
    assert [(item.value, item.help) for item in found] == [(SLUG, doc.get(SLUG).short)]


def test_shells_complete_slugs_in_typer(monkeypatch: pytest.MonkeyPatch) -> None:
    app = typer.Typer()
    app.command()(lambda: None)
    doc.add_to_typer(app)
    asked = {
        "_APP_COMPLETE": "complete_zsh",
        "_TYPER_COMPLETE_ARGS": "app sessionstream-help sessionstream-g",
    }
    result = TyperRunner().invoke(app, [], prog_name="app", env=asked)
    assert SLUG in result.output


def test_another_name() -> None:
    group = click.Group("app")
    assert doc.add_to_click(group, "manual") is group.commands["manual"]
    commands = argparse.ArgumentParser().add_subparsers()
    assert doc.add_to_argparse(commands, "manual") is commands.choices["manual"]
    app = typer.Typer()
    doc.add_to_typer(app, "manual")
    assert [command.name for command in app.registered_commands] == ["manual"]


def test_without_rich_an_entry_is_its_markdown(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.delitem(sys.modules, "sessionstream.doc.terminal", raising=False)
    monkeypatch.delattr(doc, "terminal", raising=False)
    monkeypatch.setitem(sys.modules, "rich.console", None)
    parser = argparse.ArgumentParser()
    doc.add_to_argparse(parser.add_subparsers())
    arguments = parser.parse_args(["sessionstream-help", SLUG])
    arguments.func(arguments)
    entry = doc.get(SLUG)
    assert capsys.readouterr().out == f"# {entry.title}\n\n{entry.short}\n\n{entry.body}"
    arguments = parser.parse_args(["sessionstream-help"])
    arguments.func(arguments)
    assert f"{SLUG}  {entry.short}\n" in capsys.readouterr().out


def test_nobody_needs_click_or_typer_to_read_the_help() -> None:
    program = "import sys; from sessionstream import doc; print({'click', 'typer', 'rich'} & set(sys.modules))"
    shown = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert shown.stdout == "set()\n"
