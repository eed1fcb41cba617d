"""Gradio's components are made without stub files."""

import subprocess
import sys
from pathlib import Path

import gradio.component_meta
import pytest

from modules.webui.stub_files import skip_stub_files

COMPONENTS = """
def create_or_modify_pyi(component_class, name, events):
    open(__file__ + ".stub", "w").close()

class ComponentMeta(type):
    def __new__(cls, name, bases, attrs):
        made = super().__new__(cls, name, bases, attrs)
        create_or_modify_pyi(made, name, [])
        return made
"""
PROGRAM = """
import sys
sys.path[:0] = sys.argv[1:3]
if sys.argv[3] == "skip":
    from modules.webui.stub_files import skip_stub_files
    skip_stub_files()
import gradio.component_meta as meta
class Button(metaclass=meta.ComponentMeta): pass
"""


def _stubs(folder: Path, how: str) -> list[str]:
    package = folder / "gradio"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "component_meta.py").write_text(COMPONENTS, encoding="utf-8")
    root = str(Path(__file__).resolve().parents[2])
    subprocess.run([sys.executable, "-B", "-c", PROGRAM, str(folder), root, how], check=True, timeout=120)
    return [path.name for path in package.glob("*.stub")]


def test_no_stub_is_written(tmp_path: Path) -> None:
    assert _stubs(tmp_path / "with", "leave") == ["component_meta.py.stub"]
    assert _stubs(tmp_path / "without", "skip") == []


def test_gradio_still_writes_its_stubs_where_it_did() -> None:
    assert callable(vars(gradio.component_meta)["create_or_modify_pyi"])


def test_it_is_asked_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    others = [finder for finder in sys.meta_path if type(finder).__module__ != skip_stub_files.__module__]
    monkeypatch.setattr(sys, "meta_path", others.copy())
    skip_stub_files()
    skip_stub_files()
    assert len(sys.meta_path) == len(others) + 1
