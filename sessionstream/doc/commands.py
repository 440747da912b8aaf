"""Adds the embedded help to the command line of an application: ``app sessionstream-help [SLUG]``.

Without a slug the command lists the entries. An entry is formatted for the terminal if rich is installed (extra
``lab``); otherwise its Markdown is printed. This module does not require click or typer: an application that has a
group of theirs has installed them.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final

from sessionstream.doc.loader import UnknownEntryError, entries, get

if TYPE_CHECKING:
    import argparse

    import click
    import typer

NAME: Final = "sessionstream-help"

_SHORT: Final = "Read the documentation of sessionstream."
_SLUG: Final = "The entry to show. Without it, the entries are listed."


def add_to_click(group: click.Group, name: str = NAME) -> click.Command:
    """Add the help to a click group, in one line: ``doc.add_to_click(cli)``.

    Args:
        group: the group that gets the command.
        name: the name of the command.

    Returns:
        The command. An unknown slug is a usage error, status 2. Shells complete slugs.
    """
    import click
    from click.shell_completion import CompletionItem

    def complete(_context: click.Context, _parameter: click.Parameter, start: str) -> list[CompletionItem]:
        return [CompletionItem(slug, help=short) for slug, short in _starting_with(start)]

    @click.argument("slug", required=False, shell_complete=complete)
    def command(slug: str | None) -> None:
        try:
            _show(slug)
        except UnknownEntryError as error:
            raise click.UsageError(str(error)) from error

    return group.command(name, help=f"{_SHORT}\n\n{_SLUG}", short_help=_SHORT)(command)


def add_to_typer(app: typer.Typer, name: str = NAME) -> None:
    """Add the help to a typer app, in one line: ``doc.add_to_typer(app)``.

    Args:
        app: the app that gets the command.
        name: the name of the command.

    An unknown slug is a usage error, status 2. Shells complete slugs.
    """
    import typer

    def command(slug: str | None = typer.Argument(None, help=_SLUG, autocompletion=_starting_with)) -> None:
        try:
            _show(slug)
        except UnknownEntryError as error:
            raise typer.BadParameter(str(error)) from error

    app.command(name, help=_SHORT)(command)


def add_to_argparse(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], name: str = NAME
) -> argparse.ArgumentParser:
    """Add the help to the commands of an argument parser: ``doc.add_to_argparse(parser.add_subparsers())``.

    Args:
        commands: the result of ``add_subparsers``.
        name: the name of the command.

    Returns:
        The parser of the command. Its default ``func`` is a function of the parsed arguments that executes the
        command. An unknown slug is a usage error, status 2.
    """
    parser = commands.add_parser(name, help=_SHORT, description=_SHORT)
    parser.add_argument("slug", nargs="?", help=_SLUG)

    def carry_out(arguments: Any) -> None:
        try:
            _show(arguments.slug)
        except UnknownEntryError as error:
            parser.error(str(error))

    parser.set_defaults(func=carry_out)
    return parser


def _starting_with(start: str) -> list[tuple[str, str]]:
    """Return the slugs with this beginning, and their descriptions."""
    return [(entry.slug, entry.short) for entry in entries() if entry.slug.startswith(start)]


def _show(slug: str | None) -> None:
    """Print the list of entries or one entry, formatted if rich is installed."""
    try:
        from sessionstream.doc import terminal
    except ImportError:
        _show_as_it_is(slug)
        return
    if slug is None:
        terminal.list_entries()
    else:
        terminal.show_entry(slug)


def _show_as_it_is(slug: str | None) -> None:
    """Print the list of entries or one entry as Markdown."""
    if slug is None:
        for entry in entries():
            sys.stdout.write(f"{entry.slug}  {entry.short}\n")
    else:
        entry = get(slug)
        sys.stdout.write(f"# {entry.title}\n\n{entry.short}\n\n{entry.body}")
