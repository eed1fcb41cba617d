"""What a person does on the page, in words."""

import io
from pathlib import Path

import numpy as np
from PIL import Image
from playwright.sync_api import FloatRect, Locator, Page, expect

__all__ = ["Studio", "box_of"]

# Press a hidden button until the form is asked: Gradio drops a press while an event of its is on the way
_NEXT = """([tab, name, button]) => new Promise((resolve, reject) => {
    const act = studio.form[name], press = () => studio.press(`${tab}_${button}`);
    const again = setInterval(press, 2000);
    const end = (then) => { clearInterval(again); clearTimeout(limit); studio.form[name] = act; then(); };
    const limit = setTimeout(() => end(() => reject(new Error(`${name} was not called`))), 120000);
    studio.form[name] = (of, ...values) => {
        const answer = act(of, ...values);
        if (of === tab) end(resolve);
        return answer;
    };
    press();
})"""
_IS_SETTLED = "(tab) => studio.form.isSettled(tab)"


def box_of(part: Locator) -> FloatRect:
    """Where a part lies on the screen, once it is there and nothing moves it any more."""
    expect(part).to_be_visible()
    before, box = None, part.bounding_box()
    while box is None or box != before:
        part.page.evaluate("() => new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)))")
        before, box = box, part.bounding_box()
    return box


class Studio:
    """One generation tab of an open page."""

    def __init__(self, page: Page, tab: str = "txt2img") -> None:
        self.page = page
        self.tab = tab

    def open(self, tab: str) -> "Studio":
        """Go to another tab."""
        self.page.get_by_role("tab", name=tab, exact=True).click()
        self.page.wait_for_selector(f"#{tab}_prompt textarea")
        return Studio(self.page, tab)

    def begin_anew(self) -> "Studio":
        """Close what is open and set the form back to what a new page shows."""
        self.page.evaluate(
            """() => {
                document.querySelectorAll('dialog[open]').forEach((dialog) => dialog.close());
                document.querySelectorAll(':popover-open').forEach((popover) => popover.hidePopover());
                scrollTo(0, 0);
            }"""
        )
        tabs = self.page.locator("#tabs > .tab-wrapper")
        tabs.get_by_role("tab", name=self.tab, exact=True).click()
        self.part("extra_tabs").locator('[data-kind=""]').click()
        self.page.wait_for_function(_IS_SETTLED, arg=self.tab)
        for name, button in (("changed", "look"), ("changed", "look"), ("reset", "reset_form")):
            self.page.evaluate(_NEXT, [self.tab, name, button])
        self.page.wait_for_function(_IS_SETTLED, arg=self.tab)
        return self

    def part(self, name: str) -> Locator:
        """A part of the tab by its id without the tab, or by its whole id with a ``#``."""
        return self.page.locator(name if name.startswith("#") else f"#{self.tab}_{name}")

    def open_mode(self, name: str) -> None:
        """Go to one of the modes of img2img."""
        self.part("#mode_img2img").get_by_role("tab", name=name, exact=True).click()
        self.page.wait_for_selector(f'#img2img_page[data-mode="{name}"]')

    def write(self, text: str, field: str = "prompt") -> None:
        self.part(field).locator("textarea").fill(text)

    def text(self, field: str = "prompt") -> str:
        return self.part(field).locator("textarea").input_value()

    def expect_text(self, text: str, field: str = "prompt") -> None:
        expect(self.part(field).locator("textarea")).to_have_value(text)

    def set_number(self, field: str, value: float) -> None:
        box = self.part(field).locator("input[type=number]")
        box.fill(str(value))
        box.press("Tab")

    def number(self, field: str) -> float:
        return float(self.part(field).locator("input[type=number]").input_value())

    def expect_numbers(self, **values: float) -> None:
        """Wait until number fields have these values."""
        for field, value in values.items():
            expect(self.part(field).locator("input[type=number]")).to_have_value(str(value))

    def expect_choices(self, **values: str) -> None:
        """Wait until these are chosen in lists."""
        for field, value in values.items():
            expect(self.part(field).locator("input")).to_have_value(value)

    @property
    def state(self) -> str:
        return self._root.get_attribute("data-state") or ""

    @property
    def job(self) -> str:
        """Id of the job that is shown; empty before the first."""
        return self._root.get_attribute("data-job") or ""

    @property
    def shown(self) -> str:
        """Address of the picture on the stage."""
        return self.part("gallery").locator(".stage-image").get_attribute("src") or ""

    @property
    def parameters(self) -> Locator:
        """What is said below the picture: the parameters that made it."""
        return self.page.locator(f"#html_info_{self.tab}")

    @property
    def infotext(self) -> str:
        return self.parameters.inner_text()

    def generate(self, clicks: int = 1) -> None:
        """Press Generate and wait until the new job is shown."""
        before = self.job
        self.part("generate").click(click_count=clicks)
        self._wait_for_other_job(before)

    @property
    def _root(self) -> Locator:
        return self.part("gallery").locator(".live-root")

    def _wait_for_other_job(self, before: str) -> None:
        self.page.wait_for_function(
            "([tab, before]) => ![before, ''].includes("
            "document.querySelector(`#${tab}_gallery .live-root`).dataset.job)",
            arg=[self.tab, before],
        )

    def wait_until(self, *states: str, seconds: float = 180) -> None:
        wanted = ", ".join(f'#{self.tab}_gallery .live-root[data-state="{state}"]' for state in states)
        self.page.wait_for_selector(wanted, timeout=seconds * 1000)

    def wait_for_picture(self, seconds: float = 180) -> None:
        self.wait_until("done", seconds=seconds)
        shown = f'#{self.tab}_gallery .stage-image[src^="files/"]:not([aria-busy])'  # not the picture before
        self.page.wait_for_selector(shown)

    def picture_of_new_job(self, seconds: float = 180) -> str:
        """Press Generate and wait for the picture; returns its address."""
        self.generate()
        self.wait_for_picture(seconds)
        return self.shown

    def record_previews(self) -> None:
        """From now on remember each preview that appears on the stage."""
        self.part("gallery").locator(".stage-image").evaluate(
            """(image) => {
                window.seenPreviews = new Set();
                const isPreview = () => image.src.startsWith('data:image/jpeg');
                const note = () => { if (isPreview()) window.seenPreviews.add(image.src); };
                new MutationObserver(note).observe(image, { attributes: true, attributeFilter: ['src'] });
                note();
            }"""
        )

    def recorded_previews(self) -> int:
        """Number of different previews since :meth:`record_previews`."""
        return int(self.page.evaluate("window.seenPreviews.size"))

    def stroke(self, points: list[tuple[float, float]], field: str = "image") -> None:
        """Draw with the mouse; points are parts of the picture's width and height, 0..1."""
        stage = self.part(field).locator(".canvas-stage")
        stage.scroll_into_view_if_needed()
        box = box_of(stage)
        at = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in points]
        self.page.mouse.move(*at[0])
        self.page.mouse.down()
        for x, y in at[1:]:
            self.page.mouse.move(x, y, steps=8)
        self.page.mouse.up()

    def put_picture(self, path: str, field: str = "image") -> None:
        place = self.part(field)
        if place.locator(".remove").is_visible():  # what an earlier test has put here
            place.locator(".remove").click()
        expect(place.locator(".dropzone")).to_be_visible()
        place.locator(".dropzone input[type=file]").set_input_files(path)
        place.locator('.canvas-view[data-ready="true"]').wait_for()
        view = place.locator(".canvas-view").element_handle()
        self.page.wait_for_function("(view) => view.field.props.value.image", arg=view)  # it is uploaded

    def take_brush(self, field: str = "image") -> None:
        """The tools that draw, as they are at first."""
        self.part(field).locator(".canvas-view").evaluate(
            "({ field }) => { field.setTool('brush'); field.setHardness(100); }"
        )

    def painted_pixels(self, field: str = "image") -> int:
        """Number of pixels of the drawing that will count as mask."""
        return len(self.painted(field))

    def painted(self, field: str = "image") -> list[tuple[int, int]]:
        """Pixels (x, y) of the drawing that will count as mask."""
        width, found = (
            self.part(field)
            .locator(".canvas-view")
            .evaluate(
                """(view) => {
                const { width, height, pen } = view.field.drawing;
                const { data } = pen.getImageData(0, 0, width, height);
                const found = [];
                for (let i = 3; i < data.length; i += 4) if (data[i] > 127) found.push((i - 3) / 4);
                return [width, found];
            }"""
            )
        )
        return [(int(place) % width, int(place) // width) for place in found]

    def result_pixels(self) -> np.ndarray:
        """The picture that is shown, (H, W, 3) uint8."""
        found = self.page.request.get(f"{self.page.url}{self.shown}").body()
        return np.asarray(Image.open(io.BytesIO(found)).convert("RGB"))

    def drop_file(self, path: Path) -> None:
        """Drop a picture on the prompt, as from the desktop."""
        self.page.evaluate(
            """([bytes, target]) => {
                const carrier = new DataTransfer();
                carrier.items.add(new File([new Uint8Array(bytes)], 'made.png', { type: 'image/png' }));
                const how = { bubbles: true, cancelable: true, dataTransfer: carrier };
                const area = document.querySelector(target);
                for (const name of ['dragover', 'drop']) area.dispatchEvent(new DragEvent(name, how));
            }""",
            [list(path.read_bytes()), f"#{self.tab}_prompt textarea"],
        )
