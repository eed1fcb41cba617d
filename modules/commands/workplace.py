"""The studio's owners without a server, for one command: models and settings shared, the queue its own."""

import logging
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from modules.app import create_services
from modules.domain.job import JobState, JobView
from modules.domain.principal import LOCAL
from modules.domain.request import GenerationRequest
from modules.exceptions import WebuiError
from modules.services import Services
from modules.settings.launch import LaunchOptions
from modules.submission import submit_request

__all__ = ["make_pictures", "open_workplace"]

log = logging.getLogger(__name__)


@contextmanager
def open_workplace(options: LaunchOptions) -> Iterator[Services]:
    """Open everything that makes pictures, beside a server that may be running on the same folders.

    Settings and styles are copied, known hashes are shared, and what else is written goes to a temporary
    folder: the command neither sees nor disturbs the server's queue.
    """
    with tempfile.TemporaryDirectory(prefix="studio-") as temporary:
        root = Path(temporary)
        data = root / "data"
        data.mkdir(mode=0o700)
        _copy(options.folders.data / "config.json", data)
        _copy(options.folders.data.parent / "styles.csv", root)
        _share(options.folders.data / "cache", data / "cache")
        folders = replace(options.folders, data=data, outputs=root / "outputs")
        services = create_services(replace(options, folders=folders))
        services.runner.start()
        try:
            yield services
        finally:
            services.runner.stop()
            services.jobs.close()
            services.history.close()


def make_pictures(services: Services, request: GenerationRequest) -> JobView:
    """Make a request's pictures and wait for them; Ctrl-C keeps those that are finished.

    Raises:
        WebuiError: it cannot be done, or failed; the text says why.
    """
    job_id = submit_request(services, request, LOCAL)
    try:
        view = services.jobs.wait(job_id)
    except KeyboardInterrupt:
        log.warning("stopping; press Ctrl-C again to give up at once")
        services.jobs.interrupt(job_id)
        view = services.jobs.wait(job_id)
    if view.state is JobState.FAILED:
        raise WebuiError(view.error or "the pictures could not be made")
    return view


def _copy(source: Path, folder: Path) -> None:
    with suppress(FileNotFoundError):
        shutil.copy(source, folder / source.name)


def _share(cache: Path, link: Path) -> None:
    """Known hashes and converted files; where links are not allowed they are found anew."""
    with suppress(OSError):
        cache.mkdir(mode=0o700, parents=True, exist_ok=True)
        link.symlink_to(cache.resolve(), target_is_directory=True)
