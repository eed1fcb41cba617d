import gradio as gr
import pytest

from modules.services import Services
from modules.webui.events.queue_events import QueueEvents
from tests.webui.events.test_generation_events import Page, collected, visitor


@pytest.fixture
def page(services: Services) -> Page:
    return Page(services)


def queue_of(page: Page) -> QueueEvents:
    return QueueEvents(page.services.jobs, page.events.submitter)


def test_a_queued_job_leaves_the_gallery_as_it_is(page: Page) -> None:
    enqueue = queue_of(page).enqueue(page.txt2img)
    shown, jobs = enqueue(visitor("ann"), *page.sent(page.txt2img, prompt="one"))
    assert shown == gr.skip()
    (view,) = page.services.jobs.active("ann")
    assert jobs == view.id
    assert page.services.jobs.request(view.id).prompt == "one"


def test_what_cannot_be_queued_is_said_beside_its_field(page: Page) -> None:
    enqueue = queue_of(page).enqueue(page.txt2img)
    shown, jobs = enqueue(visitor("ann"), *page.sent(page.txt2img, steps="many"))
    assert jobs == gr.skip()
    assert isinstance(shown, dict)
    assert shown["error"]["field"] == "txt2img_steps"
    assert page.services.jobs.active("ann") == ()


def test_a_job_is_shown_to_its_owner_alone(painted: Services) -> None:
    page = Page(painted)
    queue = queue_of(page)
    _, job = queue.enqueue(page.txt2img)(visitor("ann"), *page.sent(page.txt2img))
    frames = collected(queue.show(str(job), visitor("ann")))
    assert (frames[-1]["job"], frames[-1]["state"]) == (job, "done")
    assert collected(queue.show(str(job), visitor("bob"))) == []
