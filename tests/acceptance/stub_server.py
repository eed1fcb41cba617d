"""A supervised server without a model, killed from outside: ``python -m tests.acceptance.stub_server``.

python -m tests.acceptance.stub_server supervise FOLDER PORT
python -m tests.acceptance.stub_server serve FOLDER PORT
"""

import sys
from pathlib import Path

from modules.server.supervisor import Supervisor

USER = ("ann", "ann password")
STEP_SECONDS = 0.05


def main() -> int:
    """Serve, or keep a server running."""
    role, folder, port = sys.argv[1:]
    if role == "supervise":
        command = (sys.executable, "-m", "tests.acceptance.stub_server", "serve", folder, port)
        data = Path(folder) / "data"
        return Supervisor(
            command,
            max_quick_failures=1000,
            pause=0.1,
            crash_folder=data / "crashes",
            note=data / "jobs.hands",
        ).run()
    from modules.server.lifecycle import Lifecycle
    from modules.server.run import bind_socket, serve
    from tests.server.studio import open_studio  # imports torch; a supervisor does without

    with open_studio(Path(folder), step_seconds=STEP_SECONDS, basic=dict([USER])) as studio:
        lifecycle = Lifecycle()
        return serve(studio.app, bind_socket("127.0.0.1", int(port)), lifecycle=lifecycle)


if __name__ == "__main__":
    sys.exit(main())
