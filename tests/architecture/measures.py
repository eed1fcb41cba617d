"""How the code stands against the house's targets: ``python -m tests.architecture.measures``."""

import ast
import statistics
import sys
from collections.abc import Sequence

from tests.architecture import source

__all__ = ["measures"]

BRANCHES = (
    ast.If,
    ast.For,
    ast.AsyncFor,
    ast.While,
    ast.ExceptHandler,
    ast.IfExp,
    ast.comprehension,
    ast.Assert,
)


def _complexity(function: source.Function) -> int:
    """McCabe's number, boolean operators and the cases of ``match`` counted; nested functions included."""
    nodes = list(ast.walk(function))
    booleans = sum(len(node.values) - 1 for node in nodes if isinstance(node, ast.BoolOp))
    cases = sum(len(node.cases) for node in nodes if isinstance(node, ast.Match))
    return 1 + booleans + cases + sum(isinstance(node, BRANCHES) for node in nodes)


def _quantile(values: Sequence[int], part: float) -> int:
    return sorted(values)[min(int(part * len(values)), len(values) - 1)]


def measures() -> dict[str, str]:
    """What is measured -> how it stands."""
    core, tests = source.core(), source.tests()
    files = [file.lines for file in core]
    functions = [source.length(function) for file in core for function in file.functions()]
    complexity = [_complexity(function) for file in core for function in file.functions()]
    public = [node for file in core for _, node in file.public()]
    documented = sum(ast.get_docstring(node) is not None for node in public)
    lines, test_lines = sum(files), sum(file.lines for file in tests)
    return {
        "files": str(len(files)),
        "file length, median / max": f"{statistics.median(files):.0f} / {max(files)}",
        "functions": str(len(functions)),
        "function length, median / p99 / max": (
            f"{statistics.median(functions):.0f} / {_quantile(functions, 0.99)} / {max(functions)}"
        ),
        "complexity, p99 / max": f"{_quantile(complexity, 0.99)} / {max(complexity)}",
        "public names with docstrings": f"{documented / len(public):.1%}",
        "lines of core / of tests": f"{lines} / {test_lines}",
        "lines of tests / lines of core": f"{test_lines / lines:.2f}",
    }


if __name__ == "__main__":
    for name, value in measures().items():
        sys.stdout.write(f"{name:<40}{value}\n")
