"""Rules that a machine can check of what people with a keyboard or a screen reader need: axe-core's."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from tests.browser.conftest import OpenPage

SERIOUS = ("serious", "critical")
PANELS = "#tabs > .tabitem"


def panels_of(page: Page) -> list[str]:
    """Ids of all tabs' panels, those of tabs behind "more" too."""
    buttons: list[str] = page.evaluate(
        "[...document.querySelectorAll('#tabs > .tab-wrapper button[role=tab]')].map((tab) => tab.id)"
    )
    return [name.removesuffix("-button") for name in dict.fromkeys(filter(None, buttons))]


def open_panel(page: Page, panel: str) -> None:
    """Open a tab and wait until nothing moves in it: lists are read when a tab is first opened."""
    page.locator(f"[id='{panel}-button']:visible").click()
    page.locator(f"#{panel}").evaluate(
        """(panel) => new Promise((resolve) => {
            let timer;
            const observer = new MutationObserver(() => again());
            const again = () => {
                clearTimeout(timer);
                timer = setTimeout(() => { observer.disconnect(); resolve(); }, 300);
            };
            observer.observe(panel, { subtree: true, childList: true, attributes: true });
            again();
        })"""
    )


def serious_problems(
    page: Page, part: dict[str, list[str]] | None = None, *, colours_alone: bool = False
) -> list[str]:
    """What axe-core says of a part of the page, or of all of it."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(Axe().axe_script)
    only = {"runOnly": ["color-contrast"]} if colours_alone else {}
    found = page.evaluate(
        "async ([part, options]) => (await axe.run(part, options)).violations",
        [part or {"include": ["html"]}, {"resultTypes": ["violations"], **only}],
    )
    return [
        f"{rule['id']}: {node['target']} {node['failureSummary']}"
        for rule in found
        if rule["impact"] in SERIOUS
        for node in rule["nodes"]
    ]


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_no_tab_has_a_serious_problem(open_page: OpenPage, painted_url: str, dark: bool) -> None:
    """The dark page differs in its colours alone."""
    page = open_page(painted_url, dark=dark)
    problems = {"around the tabs": serious_problems(page, {"exclude": [PANELS]}, colours_alone=dark)}
    for panel in panels_of(page):
        open_panel(page, panel)
        problems[panel] = serious_problems(page, {"include": [f"#{panel}"]}, colours_alone=dark)
    assert len(problems) > 9
    assert {where: found for where, found in problems.items() if found} == {}
