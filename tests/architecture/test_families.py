"""What makes a model family different is data: no code outside ``families/`` asks for a name."""

import ast
import re
from functools import cache

from tests.architecture import source

NAME = re.compile(r'\bname="([\w-]+)"')


@cache
def _family_names() -> frozenset[str]:
    families = (file for file in source.core() if file.name.startswith("modules/families/"))
    return frozenset(name for file in families for name in NAME.findall(file.text))


def _asks_for_a_family(node: ast.AST) -> bool:
    if isinstance(node, ast.Compare):
        compared: list[ast.AST] = [node.left, *node.comparators]
    elif isinstance(node, ast.MatchValue):
        compared = [node.value]
    else:
        return False
    constants = [inner for one in compared for inner in ast.walk(one) if isinstance(inner, ast.Constant)]
    return any(isinstance(one.value, str) and one.value in _family_names() for one in constants)


def test_no_code_outside_families_compares_family_names() -> None:
    bad = [
        f"{file.name}:{getattr(node, 'lineno', 0)}"
        for file in source.core()
        if not file.name.startswith("modules/families/")
        for node in ast.walk(file.tree)
        if _asks_for_a_family(node)
    ]
    assert bad == []


def test_a_comparison_would_be_found() -> None:
    assert {"sd1", "sd2", "sdxl"} <= _family_names()
    tree = ast.parse('x = family.name == "sdxl"')
    assert any(_asks_for_a_family(node) for node in ast.walk(tree))
