"""The table of all routes and their tests in ``docs/api.md``.

    python -m tests.server.route_table        # writes it anew

Descriptions are the routes' own; a test belongs to a route if its file asks for it.
"""

import re
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from fastapi import FastAPI

from modules.server.app import create_app
from modules.server.lifecycle import Lifecycle
from tests.server.studio import Studio, open_studio

__all__ = ["PAGE", "Row", "every_route", "full_app", "main", "rows_of", "table_in"]

TESTS = Path(__file__).resolve().parents[1]
PAGE = TESTS.parent / "docs" / "api.md"
BEGIN, END = "<!-- routes: python -m tests.server.route_table -->", "<!-- end of routes -->"
_HEAD = "| route | what it does | tests |\n|---|---|---|\n"
_PREFIXES = ("/sdapi/v1", "/api/v1", "/internal", "/sd_extra_networks", "/languages", "/files")
_SHOWN = 2  # test files of a route


@dataclass(frozen=True)
class Row:
    """A route, its description, and files of ``tests/`` that ask for it."""

    method: str
    path: str
    description: str
    tests: tuple[str, ...]

    def text(self) -> str:
        files = ", ".join(f"`{name}`" for name in self.tests)
        return f"| `{self.method} {self.path}` | {self.description} | {files} |"


def full_app(studio: Studio) -> FastAPI:
    """The application with every route that any flag opens."""
    options = replace(studio.services.options, api_server_stop=True)
    return create_app(replace(studio.services, options=options), studio.access, Lifecycle())


def every_route(app: FastAPI) -> Iterator[tuple[str, str, str]]:
    """Method, path and description of each route, in the order of the document."""
    for path, operations in app.openapi()["paths"].items():
        for method, operation in operations.items():
            description = operation.get("description", "").split("\n\n")[0].replace("\n", " ")
            yield method.upper(), path, description.replace("``", "`")


def rows_of(app: FastAPI) -> list[Row]:
    """Rows of all routes."""
    sources = {
        path.relative_to(TESTS).as_posix(): path.read_text(encoding="utf-8")
        for path in sorted((TESTS / "server").rglob("test_*.py"))
        if path.name != "test_openapi.py"  # it names places, but asks for none
    }
    return [
        Row(method, path, description, _tests_of(path, sources))
        for method, path, description in every_route(app)
    ]


def _tests_of(path: str, sources: dict[str, str]) -> tuple[str, ...]:
    """Files that hold the whole path, else those that hold its prefix, and its other words in quotes."""
    whole = _pattern(path) + r"(?![\w/-])"
    found = [name for name, text in sources.items() if re.search(whole, text)]
    prefix = next((prefix for prefix in _PREFIXES if path.startswith(prefix)), "/")
    rest = path.removeprefix(prefix)
    if rest.endswith("}"):
        static = re.escape(path.rpartition("/")[0].partition("/{")[0])
        found += [name for name, text in sources.items() if re.search(rf"{static}\"|{static}/\{{", text)]
    words = [word for word in rest.split("/") if word and "{" not in word]
    for name, text in sources.items():
        said = re.search(rf"[\"'/]{_pattern(rest.strip('/'))}[\"'?]", text)
        if prefix in text and (said or (words and _says(text, words[-1]))):
            found.append(name)
    return tuple(sorted(dict.fromkeys(found), key=found.index)[:_SHOWN])


def _pattern(path: str) -> str:
    """A path in which any word may stand for a parameter."""
    return re.sub(r"\\\{[^}]*\\\}", r"[^/\\s\"]+", re.escape(path))


def _says(text: str, word: str) -> bool:
    """Whether a word stands behind a slash, as the end of a path."""
    return re.search(rf"/{re.escape(word)}[\"'?]", text) is not None


def table_in(page: str) -> list[str]:
    """The rows that the page has now."""
    return page.partition(BEGIN)[2].partition(END)[0].strip().splitlines()[2:]


def main() -> int:
    """Write the table into the page."""
    page = PAGE.read_text(encoding="utf-8")
    before, _, rest = page.partition(BEGIN)
    with tempfile.TemporaryDirectory() as folder, open_studio(Path(folder), start=False) as studio:
        rows = "\n".join(row.text() for row in rows_of(full_app(studio)))
    PAGE.write_text(f"{before}{BEGIN}\n{_HEAD}{rows}\n{END}{rest.partition(END)[2]}", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
