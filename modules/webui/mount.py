"""Putting the page into the server: the one place that knows Gradio's settings and its traps."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

import gradio as gr
from fastapi import FastAPI, Request

from modules.services import Services
from modules.webui.assets import asset_path, page_script, page_styles
from modules.webui.page import build_page, upload_folder
from modules.webui.theme import page_theme

__all__ = ["mount"]

MAX_UPLOAD = "64mb"  # an uncompressed 4096 x 4096 picture

CurrentUser = Callable[[Request], str | Awaitable[str | None] | None]


def mount(
    app: FastAPI, services: Services, *, current_user: CurrentUser | None = None, path: str = "/"
) -> FastAPI:
    """Mount the page into ``app``; every other route must be in place before, for "/" shadows what follows.

    Args:
        app: the server's application.
        services: the owners of state.
        current_user: who a request comes from; None as its answer refuses the request.
        path: where the page lives.
    """
    _prepare_uploads(upload_folder(services))

    async def build() -> FastAPI:
        return _mount(app, build_page(services), _script(services), current_user, path)

    return asyncio.run(build())  # without a running loop Gradio would make one per lock and leave it open


def _mount(
    app: FastAPI, page: gr.Blocks, script: str, current_user: CurrentUser | None, path: str
) -> FastAPI:
    mounted = gr.mount_gradio_app(
        app,
        page,
        path=path,
        auth_dependency=current_user,
        theme=page_theme(),
        css_paths=page_styles(),
        js=script,
        footer_links=[],
        run_history=False,
        enable_monitoring=False,
        ssr_mode=False,
        pwa=False,
        max_file_size=MAX_UPLOAD,
        favicon_path=str(asset_path("favicon.svg")),
    )
    page.has_launched = True  # else Gradio hands out any file that a payload names; it knows only launch()
    return mounted


def _script(services: Services) -> str:
    return page_script().replace("DEFAULT_THEME", services.options.theme or "")


def _prepare_uploads(folder: Path) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.environ["GRADIO_TEMP_DIR"] = str(folder)
