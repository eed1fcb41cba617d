"""The project's own source, parsed once: what the shape tests look at."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Source:
    """One Python file of the project."""

    path: Path
    text: str
    tree: ast.Module

    @property
    def name(self) -> str:
        """Path from the project's root, with slashes."""
        return self.path.relative_to(ROOT).as_posix()

    @property
    def module(self) -> str:
        """Dotted name as an import writes it."""
        parts = self.path.relative_to(ROOT).with_suffix("").parts
        return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)

    @property
    def lines(self) -> int:
        """Number of lines, empty ones and comments included."""
        return self.text.count("\n")

    def functions(self) -> Iterator[Function]:
        """All functions and methods, nested ones included."""
        yield from (node for node in ast.walk(self.tree) if isinstance(node, Function))

    def public(self) -> Iterator[tuple[str, ast.ClassDef | Function]]:
        """Public classes, functions and methods with their dotted names; nested functions are private."""
        yield from _public("", self.tree.body)

    def imports(self) -> Iterator[str]:
        """Dotted names of everything imported anywhere in the file, lazily or for types only too."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _public(prefix: str, body: list[ast.stmt]) -> Iterator[tuple[str, ast.ClassDef | Function]]:
    for node in body:
        if isinstance(node, ast.ClassDef | Function) and not node.name.startswith("_"):
            yield prefix + node.name, node
            if isinstance(node, ast.ClassDef):
                yield from _public(f"{prefix}{node.name}.", node.body)


def _read(path: Path) -> Source:
    text = path.read_text(encoding="utf-8")
    return Source(path, text, ast.parse(text, filename=str(path)))


@cache
def core() -> tuple[Source, ...]:
    """Everything that ships: the modules and the two files that start them."""
    paths = [ROOT / "launch.py", ROOT / "webui.py", *sorted((ROOT / "modules").rglob("*.py"))]
    return tuple(_read(path) for path in paths)


@cache
def tests() -> tuple[Source, ...]:
    """The tests."""
    return tuple(_read(path) for path in sorted((ROOT / "tests").rglob("*.py")))


def length(function: Function) -> int:
    """Lines of a function from its name to its end, the docstring left out."""
    first = function.body[0]
    documented = ast.get_docstring(function) is not None
    docstring = (first.end_lineno or 0) - first.lineno + 1 if documented else 0
    return (function.end_lineno or 0) - function.lineno + 1 - docstring
