"""House rules that a linter's ``noqa`` could hide; here they have no exceptions but the lists below."""

import ast
import re

from tests.architecture import source
from tests.architecture.source import Source

TERMINAL = {"launch.py"}  # the only file that prints

# Where a catch-all is right, because code of others runs or nothing above could tell the user.
# Each place was reviewed; a new one needs a reason as good.
CATCH_ALL = {
    "modules/generation/elsewhere.py",  # what a thread raises is raised again where it is waited for
    "modules/generation/engine.py",  # whatever an image's coroutine raises ends that image only
    "modules/generation/job_run.py",  # a picture or grid that cannot be saved ends its job only
    "modules/generation/runner.py",  # a failing job must not end the engine's thread
    "modules/jobs/board.py",  # a follower's failing callback is its own problem
    "modules/plugins/manager.py",  # a hook of an extension
    "modules/server/errors.py",  # the HTTP boundary
    "modules/server/middleware.py",  # the same one step further out: a mistake of the guard itself
    "modules/training/finetuning/job.py",  # what breaks a training ends that job only
    "modules/webui/tabs/extras_events.py",  # as the next: a form of its own
    "modules/webui/events/relay.py",  # what goes wrong while a form is read is said on the page
    "modules/webui/messages.py",  # the page's boundary
}


def _found(kind: type[ast.AST], *, files: tuple[Source, ...] | None = None) -> list[tuple[Source, ast.AST]]:
    return [
        (file, node)
        for file in files or source.core()
        for node in ast.walk(file.tree)
        if isinstance(node, kind)
    ]


def test_no_function_changes_a_global() -> None:
    assert [file.name for file, _ in _found(ast.Global)] == []


def test_nothing_is_imported_by_star_or_relatively() -> None:
    bad = [
        file.name
        for file, node in _found(ast.ImportFrom, files=(*source.core(), *source.tests()))
        if isinstance(node, ast.ImportFrom) and (node.level or node.names[0].name == "*")
    ]
    assert bad == []


def test_only_the_launcher_prints() -> None:
    bad = {
        file.name
        for file, node in _found(ast.Call)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    }
    assert bad - TERMINAL == set()


def _catches_all(handler: ast.ExceptHandler) -> bool:
    names = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return any(isinstance(name, ast.Name) and name.id in ("Exception", "BaseException") for name in names)


def test_no_except_is_bare_and_catch_alls_are_reviewed() -> None:
    handlers = [
        (file, node) for file, node in _found(ast.ExceptHandler) if isinstance(node, ast.ExceptHandler)
    ]
    assert [file.name for file, node in handlers if node.type is None] == []
    swallowing = {
        f"{file.name}:{node.lineno}"
        for file, node in handlers
        if _catches_all(node) and file.name not in CATCH_ALL and not isinstance(node.body[-1], ast.Raise)
    }
    assert swallowing == set(), "catch what can happen, or raise again at the end, or have the place reviewed"


def test_every_public_name_has_a_docstring() -> None:
    bad = [file.name for file in source.core() if ast.get_docstring(file.tree) is None]
    bad += [
        f"{file.name}:{name}"
        for file in source.core()
        for name, node in file.public()
        if ast.get_docstring(node) is None and not _overrides(node)
    ]
    assert bad == []


def _overrides(node: ast.AST) -> bool:
    decorators = getattr(node, "decorator_list", [])
    return any(isinstance(one, ast.Name) and one.id in ("override", "overload") for one in decorators)


def test_every_public_function_is_fully_typed() -> None:
    bad = []
    for file in source.core():
        for name, node in file.public():
            if isinstance(node, ast.ClassDef):
                continue
            arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
            untyped = [
                one.arg for one in arguments if one.annotation is None and one.arg not in ("self", "cls")
            ]
            if untyped or node.returns is None:
                bad.append(f"{file.name}:{name}")
    assert bad == []


def test_every_module_says_what_it_offers() -> None:
    bad = [
        file.name
        for file in source.core()
        if file.path.name not in ("__init__.py", "__main__.py", "launch.py", "webui.py")
        and not any(
            isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "__all__"
            for node in file.tree.body
        )
    ]
    assert bad == []


def test_no_module_holds_mutable_state() -> None:
    bad = []
    for file in source.core():
        for node in file.tree.body:
            value = getattr(node, "value", None) if isinstance(node, ast.Assign | ast.AnnAssign) else None
            empty = isinstance(value, ast.List | ast.Dict | ast.Set) and not ast.unparse(value).strip("[]{}")
            made = isinstance(value, ast.Call) and ast.unparse(value) in ("list()", "dict()", "set()")
            offers_nothing = "__all__" in ast.unparse(node)
            if (empty or made) and not offers_nothing:
                bad.append(f"{file.name}:{node.lineno}")
    assert bad == [], "state belongs to an owner that is built in app.py"


def test_no_work_is_left_as_a_note() -> None:
    note = re.compile(r"#\s*(TODO|FIXME|XXX|HACK)\b(?!.*#\d+)")
    files = (*source.core(), *source.tests())
    assert [file.name for file in files if note.search(file.text)] == []
