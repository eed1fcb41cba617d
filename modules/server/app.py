"""All HTTP routes behind the one guard."""

from fastapi import FastAPI

from modules.domain.languages import LanguageCatalog
from modules.generation.parameters import VERSION
from modules.server.access import Access
from modules.server.docs_page import docs_router
from modules.server.errors import install_error_handlers
from modules.server.extra_networks import extra_networks_router
from modules.server.files import files_router
from modules.server.health import health_router
from modules.server.languages import languages_router
from modules.server.lifecycle import Lifecycle
from modules.server.login import login_router
from modules.server.metrics import metrics_router
from modules.server.middleware import GuardedApp
from modules.server.sdapi.adapters import adapters_router
from modules.server.sdapi.extras import extras_router
from modules.server.sdapi.generate import generation_router
from modules.server.sdapi.internal import internal_router
from modules.server.sdapi.listings import listings_router
from modules.server.sdapi.maintenance import maintenance_router
from modules.server.sdapi.options import options_router
from modules.server.sdapi.pictures import pictures_router
from modules.server.sdapi.progress import progress_router
from modules.server.sdapi.scripts import scripts_router
from modules.server.sdapi.stopping import stopping_router
from modules.server.sdapi.tasks import TaskNames
from modules.server.sdapi.training import training_files_router
from modules.server.startup import StartupTimes
from modules.server.v1.downloads import downloads_router
from modules.server.v1.estimate import estimate_router
from modules.server.v1.history import history_router
from modules.server.v1.jobs import jobs_router
from modules.server.v1.networks import networks_router
from modules.server.v1.page import page_router
from modules.server.v1.prompts import prompts_router
from modules.server.v1.queue import queue_router
from modules.server.v1.scripts import scripts_router as form_scripts_router
from modules.server.v1.settings import settings_router
from modules.server.v1.styles import styles_router
from modules.server.v1.training import training_router
from modules.services import Services

__all__ = ["create_app", "include_routes"]


def create_app(
    services: Services,
    access: Access,
    lifecycle: Lifecycle | None = None,
    startup: StartupTimes | None = None,
) -> FastAPI:
    """The application without a page; mount the page afterwards, at "/".

    Args:
        services: the owners of all state.
        access: who may call.
        lifecycle: how the server is stopped by API; None leaves those routes out, whatever the flags say.
        startup: times of the start so far, for those who ask.
    """
    app = GuardedApp(access, title="Studio for Stable Diffusion", version=VERSION)
    app.include_router(login_router(access))
    app.include_router(metrics_router(services, access.traffic))
    include_routes(app, services, startup or StartupTimes())
    if lifecycle is not None and services.options.api_server_stop:
        app.include_router(stopping_router(lifecycle))
    return app


def include_routes(app: FastAPI, services: Services, startup: StartupTimes) -> None:
    """Put all routes into an application that knows who calls (``request.state.principal``)."""
    install_error_handlers(app)
    tasks = TaskNames()
    folders = services.options.folders
    for router in (
        health_router(),
        docs_router(at_root=not services.options.page),
        files_router(services.jobs),
        languages_router(LanguageCatalog.of(folders.data.parent, folders.extensions)),
        generation_router(services, tasks),
        progress_router(services.jobs, tasks),
        options_router(services),
        listings_router(services),
        pictures_router(services),
        extras_router(services),
        maintenance_router(services),
        internal_router(services, startup),
        extra_networks_router(services),
        adapters_router(services),
        training_files_router(services),
        scripts_router(services),
        jobs_router(services),
        training_router(services),
        downloads_router(services.jobs),
        history_router(services.history),
        settings_router(services),
        networks_router(services),
        form_scripts_router(services),
        page_router(services),
        prompts_router(services),
        queue_router(services.jobs),
        estimate_router(services),
        styles_router(services),
    ):
        app.include_router(router)
