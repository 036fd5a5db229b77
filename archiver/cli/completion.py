"""`archiver completion`: the script that makes a shell complete our commands."""

from __future__ import annotations

import click

SHELLS = ("bash", "zsh", "fish")


@click.command()
@click.argument("shell", type=click.Choice(SHELLS))
def completion(shell: str) -> None:
    """Print the completion script of a shell.

    \b
    archiver completion bash > ~/.local/share/bash-completion/completions/archiver
    archiver completion zsh > "${fpath[1]}/_archiver"
    archiver completion fish > ~/.config/fish/completions/archiver.fish
    """
    from click.shell_completion import get_completion_class

    from archiver.cli import COMPLETION_VARIABLE, PROGRAM, command_line

    kind = get_completion_class(shell)
    if kind is None:
        raise click.UsageError(f"click knows no completion for {shell}.")
    click.echo(kind(command_line, {}, PROGRAM, COMPLETION_VARIABLE).source())
