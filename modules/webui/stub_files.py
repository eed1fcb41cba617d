"""Gradio without its habit of writing type stubs into its own folder whenever it is imported.

For every component class Gradio parses the component's source and renews a ``.pyi`` file beside it, which is
of use to who develops components. Here it takes a sixth of the start, fails silently where the environment
cannot be written to, and lets two programs that start at once write the same files.
"""

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import ModuleType

__all__ = ["skip_stub_files"]

_MODULE, _WRITER = "gradio.component_meta", "create_or_modify_pyi"


def skip_stub_files() -> None:
    """Let Gradio write no stubs; call it before anything imports Gradio."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())


def _write_nothing(*_: object) -> None:
    pass


class _Finder(MetaPathFinder):
    """Finds the one module that writes stubs, and nothing else."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """See :class:`importlib.abc.MetaPathFinder`."""
        spec = PathFinder.find_spec(fullname, path, target) if fullname == _MODULE else None
        if spec is not None and isinstance(spec.loader, SourceFileLoader):
            spec.loader = _Loader(fullname, spec.loader.path)
        return spec


class _Loader(SourceFileLoader):
    """Loads the module, then takes its writer away."""

    def exec_module(self, module: ModuleType) -> None:
        """See :class:`importlib.abc.Loader`."""
        super().exec_module(module)
        vars(module)[_WRITER] = _write_nothing
