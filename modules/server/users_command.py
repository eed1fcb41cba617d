"""``webui.py users ...``: who may log in, from the terminal of the machine."""

import argparse
import getpass
import sys
from pathlib import Path

from modules.exceptions import WebuiError
from modules.server.accounts import AccountStore

__all__ = ["run_users", "user_names"]


def run_users(arguments: argparse.Namespace, data: Path) -> int:
    """Carry out ``add``, ``list``, ``remove`` or ``token``; returns the exit status."""
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    accounts = AccountStore(data / "accounts.sqlite3")
    try:
        sys.stdout.write(_answer(arguments, accounts))
    except WebuiError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    finally:
        accounts.close()
    return 0


def user_names(data: Path) -> tuple[str, ...]:
    """Names of all who may log in; none when nobody was ever added."""
    file = data / "accounts.sqlite3"
    if not file.is_file():
        return ()
    accounts = AccountStore(file)
    try:
        return tuple(user.name for user in accounts.users())
    finally:
        accounts.close()


def _answer(arguments: argparse.Namespace, accounts: AccountStore) -> str:
    name = getattr(arguments, "name", "")
    if arguments.action == "add":
        accounts.add_user(name, _new_password(), arguments.role)
        return f"{name} can log in as {arguments.role}\n"
    if arguments.action == "remove":
        accounts.remove_user(name)
        return f"{name} is removed\n"
    if arguments.action == "token":
        return f"{accounts.create_token(name, arguments.role)}\n"
    return "".join(f"{user.name}\t{user.role}\n" for user in accounts.users()) or "there are no users\n"


def _new_password() -> str:
    """Typed twice at a terminal; one line of standard input from a script."""
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\n")
    while True:
        first = getpass.getpass("Password: ")
        if first == getpass.getpass("Again: "):
            return first
        sys.stderr.write("The two differ; try again.\n")
