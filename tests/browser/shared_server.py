"""The page behind the guard, for people who log in: ``python shared_server.py PORT FOLDER STEP_SECONDS``."""

import sys
from pathlib import Path
from typing import cast

import uvicorn

from modules.server.access import Access, HostRule
from modules.server.accounts import AccountStore
from modules.server.app import create_app
from modules.server.identity import caller_of
from modules.webui.mount import mount
from tests.webui.fake_services import MemoryBlobs, PaintingRunner, fake_services

PEOPLE = {"ann": "ann password", "bob": "bob password"}


def serve(port: int, root: Path, step_seconds: float) -> None:
    """Serve until killed."""
    services = fake_services(root)
    accounts = AccountStore(root / "accounts.sqlite3")
    for name, password in PEOPLE.items():
        accounts.add_user(name, password, "artist")
    access = Access(accounts=accounts, hosts=HostRule(frozenset({"127.0.0.1"})), port=port)
    app = create_app(services, access)
    mount(app, services, current_user=lambda request: caller_of(request).name)
    services.jobs.recover()
    PaintingRunner(
        services.jobs,
        services.options.folders.outputs,
        step_seconds=step_seconds,
        blobs=cast("MemoryBlobs", services.blobs),
    ).start()
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning")


if __name__ == "__main__":
    serve(int(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3]))
