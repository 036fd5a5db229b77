"""`archiver db`: looking after the database."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import click

from archiver.cli.common import Application, pass_application


@click.group()
def db() -> None:
    """Look after the database."""


@db.command()
@pass_application
def migrate(application: Application) -> int:
    """Bring the database's schema up to date; a copy is made before the first change.

    \b
    archiver db migrate
    """
    from archiver.store import Store, connect, is_new, pending_migrations

    path = application.loaded.database_path
    if is_new(path):
        Store.open(path).close()
        application.say(f"Created the database {path}")
        return 0
    with closing(connect(path)) as database:
        pending = pending_migrations(database)
    Store.open(path).close()
    application.say(f"{path}: {', '.join(pending) if pending else 'nothing to migrate'}")
    return 0


@db.command()
@click.argument("destination", metavar="DEST", type=click.Path(path_type=Path))
@pass_application
def backup(application: Application, destination: Path) -> int:
    """Write a consistent, checked copy of the database to DEST while others work.

    \b
    archiver db backup /var/backups/archiver.db
    """
    from archiver.cli.opening import open_desk
    from archiver.store import copy_database, sound

    with open_desk(application, must_exist=True) as desk:
        # Some damage would not show in a copy; whoever makes one is to hear of it all the same.
        sound(desk.store.database)
        copy_database(desk.store.database, destination)
        application.say(f"The copy is in {destination}")
    return 0


@db.command()
@pass_application
def prune(application: Application) -> int:
    """Forget looks and captures that no longer tell anything, and links nobody cites.

    \b
    archiver db prune
    """
    from archiver.cli.opening import open_desk
    from archiver.service.maintenance import prune as forget
    from archiver.store import settle_journal

    with open_desk(application, must_exist=True) as desk:
        pruned = forget(desk)
        settle_journal(desk.store.database)
        application.say(f"{pruned}.")
    return 0


@db.command()
@click.option("--rejudge", is_flag=True, help="Show what today's rules would change.")
@pass_application
def rebuild(application: Application, rejudge: bool) -> int:
    """Fold every stored look again and report beliefs that differ from the stored ones.

    \b
    archiver db rebuild
    archiver db rebuild --rejudge
    """
    from archiver.cli.opening import open_desk
    from archiver.service.rebuild import differences

    found = 0
    with open_desk(application, must_exist=True) as desk:
        for line in differences(desk, rejudge=rejudge):
            found += 1
            click.echo(line)
    application.say(f"{found} differences")
    return 0
