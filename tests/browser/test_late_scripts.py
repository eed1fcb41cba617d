"""The page when the browser builds its components before the page's own scripts have run."""

from playwright.sync_api import Page, expect

from tests.browser.conftest import OpenPage
from tests.browser.test_tools import open_tab

# Gradio runs the page's scripts when it likes; on a busy machine that is long after the components are there
LATE = """
let config;
Object.defineProperty(window, 'gradio_config', {
    get: () => config,
    set(given) {
        config = given;
        const wait = 'await new Promise((go) => { window.runTheScripts = go; })';
        config.js = `async () => { ${wait}; return (${given.js})(); }`;
    },
});
"""


def test_every_tab_works_though_the_scripts_run_late(open_page: OpenPage, painted_url: str) -> None:
    page: Page = open_page(painted_url)
    page.add_init_script(LATE)
    page.reload()
    open_tab(page, "Settings")
    page.locator(".settings-root").wait_for()
    page.wait_for_function("typeof window.runTheScripts === 'function'")
    page.evaluate("runTheScripts()")
    expect(page.locator("#setting_directories_filename_pattern_row input")).to_have_value("[date]")
    open_tab(page, "Train")
    expect(page.locator(".train-form [name=preset] option")).not_to_have_count(0)
    open_tab(page, "History")
    expect(page.locator(".history-count")).to_contain_text("picture")
    open_tab(page, "img2img")
    expect(page.locator("#img2img_image .canvas-view")).to_be_visible()
