"""Rules that a machine can check of what people with a keyboard or a screen reader need: axe-core's."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from tests.browser.conftest import OpenPage

SERIOUS = ("serious", "critical")


def tabs_of(page: Page) -> list[str]:
    """Names of all tabs, those behind "more" too."""
    names: list[str] = page.evaluate(
        """[...document.querySelectorAll('#tabs > .tab-wrapper button[role=tab]')]
            .map((tab) => tab.textContent.trim())"""
    )
    return list(dict.fromkeys(filter(None, names)))


def serious_problems(page: Page) -> list[str]:
    found = Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
    return [
        f"{rule['id']}: {node['target']} {node['failureSummary']}"
        for rule in found
        if rule["impact"] in SERIOUS
        for node in rule["nodes"]
    ]


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_no_tab_has_a_serious_problem(open_page: OpenPage, painted_url: str, dark: bool) -> None:
    page = open_page(painted_url, dark=dark)
    problems: dict[str, list[str]] = {}
    for name in tabs_of(page):
        page.get_by_role("tab", name=name, exact=True).click()
        page.wait_for_timeout(300)  # lists that are read when a tab is first opened
        if found := serious_problems(page):
            problems[name] = found
    assert problems == {}
