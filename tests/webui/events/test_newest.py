import asyncio
from collections.abc import AsyncIterator

import gradio as gr

from modules.webui.events.newest import NewestRelay
from modules.webui.result.live import JobPicture


def request_of(session: str) -> gr.Request:
    return gr.Request(session_hash=session)


async def relay(request: gr.Request, job: str) -> AsyncIterator[JobPicture]:
    for step in range(3):
        yield {"job": job, "step": step}


async def refusal(request: gr.Request, job: str) -> AsyncIterator[JobPicture]:
    yield {"error": {"text": "no", "field": ""}}


async def rest_of(pictures: AsyncIterator[JobPicture]) -> list[object]:
    return [picture.get("step") async for picture in pictures]


def test_a_newer_job_ends_the_relay_of_the_older_one() -> None:
    async def story() -> None:
        newest = NewestRelay()
        old = newest.only("txt2img", relay)(request_of("a"), "1")
        assert (await anext(old))["job"] == "1"
        new = newest.only("txt2img", relay)(request_of("a"), "2")
        assert (await anext(new))["job"] == "2"
        assert await rest_of(old) == []
        assert await rest_of(new) == [1, 2]

    asyncio.run(story())


def test_other_tabs_and_other_pages_go_on() -> None:
    async def story() -> None:
        newest = NewestRelay()
        first = newest.only("txt2img", relay)(request_of("a"), "1")
        await anext(first)
        await anext(newest.only("img2img", relay)(request_of("a"), "2"))
        await anext(newest.only("txt2img", relay)(request_of("b"), "3"))
        assert await rest_of(first) == [1, 2]

    asyncio.run(story())


def test_a_refusal_ends_nobody() -> None:
    async def story() -> None:
        newest = NewestRelay()
        first = newest.only("txt2img", relay)(request_of("a"), "1")
        await anext(first)
        await rest_of(newest.only("txt2img", refusal)(request_of("a"), ""))
        assert await rest_of(first) == [1, 2]

    asyncio.run(story())
