"""Who may import whom, beyond the layers that import-linter checks."""

import sys
from collections.abc import Iterator

from tests.architecture import source

TORCH_FREE = ("modules.domain", "modules.settings", "modules.jobs", "modules.history", "modules.exceptions")
DIFFUSION_MAY_IMPORT = {"torch", "torchsde", "numpy", "scipy", "modules"}
# Names that old extensions import; the compatibility layer serves them, so nothing of ours may take them.
RESERVED = {
    "api", "call_queue", "cmd_args", "deepbooru", "devices", "errors", "extensions", "extras",
    "face_restoration", "generation_parameters_copypaste", "hashes", "hypernetworks", "images",
    "img2img", "infotext_utils", "launch_utils", "localization", "lowvram", "masking", "memmon",
    "modelloader", "models", "ngrok", "options", "patches", "paths", "paths_internal", "processing",
    "progress", "prompt_parser", "rng", "safe", "script_callbacks", "script_loading", "scripts",
    "shared", "shared_options", "shared_state", "styles", "sub_quadratic_attention",
    "textual_inversion", "timer", "txt2img", "ui", "ui_common", "ui_components", "ui_extensions",
    "upscaler", "util", "xlmr",
}  # fmt: skip


def _internal() -> dict[str, set[str]]:
    """Module -> modules of the project that it imports anywhere, lazily or for types too."""
    known = {file.module for file in source.core()}
    graph: dict[str, set[str]] = {}
    for file in source.core():
        owners = {_owner(known, name) for name in file.imports()}
        graph[file.module] = {owner for owner in owners if owner and owner != file.module}
    return graph


def _owner(known: set[str], name: str) -> str | None:
    """The module that an imported name lives in; None when it is not one of ours."""
    parent = name.rpartition(".")[0]
    return name if name in known else parent if parent in known else None


def _cycles(graph: dict[str, set[str]]) -> list[set[str]]:
    """Strongly connected components of more than one module."""
    reach = {start: _reachable(graph, start) for start in graph}
    together = ({other for other in reach[start] if start in reach[other]} for start in graph)
    return [cycle for cycle in together if len(cycle) > 1]


def _reachable(graph: dict[str, set[str]], start: str) -> set[str]:
    seen: set[str] = set()
    waiting = [start]
    while waiting:
        for name in graph.get(waiting.pop(), set()):
            if name not in seen:
                seen.add(name)
                waiting.append(name)
    return seen


def test_no_module_imports_itself_in_a_circle() -> None:
    assert _cycles(_internal()) == []


def test_a_circle_would_be_found() -> None:
    assert _cycles({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}) != []


def _packages(prefixes: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    for file in source.core():
        if file.module.startswith(prefixes):
            yield from ((file.name, name.partition(".")[0]) for name in file.imports())


def test_plain_data_never_sees_torch_or_the_web() -> None:
    banned = {
        "torch",
        "torchsde",
        "transformers",
        "tokenizers",
        "safetensors",
        "gradio",
        "fastapi",
        "starlette",
    }
    assert [pair for pair in _packages(TORCH_FREE) if pair[1] in banned] == []


def test_diffusion_is_mathematics_only() -> None:
    allowed = DIFFUSION_MAY_IMPORT | set(sys.stdlib_module_names)
    assert [pair for pair in _packages(("modules.diffusion",)) if pair[1] not in allowed] == []


def test_the_core_knows_no_page_and_no_server() -> None:
    outside = ("modules.webui", "modules.server", "modules.app", "modules.cli", "modules.compat")
    bad = [
        f"{file.name}: {name}"
        for file in source.core()
        if file.module.startswith("modules") and not file.module.startswith(outside)
        for name in file.imports()
        if name.partition(".")[0] in ("gradio", "fastapi", "starlette", "uvicorn")
    ]
    assert bad == []


def test_the_reference_library_is_never_imported() -> None:
    banned = ("diffusers", "k_diffusion", "torchvision", "requests")
    bad = [file.name for file in source.core() for name in file.imports() if name.partition(".")[0] in banned]
    assert bad == []


def test_only_the_composition_root_knows_the_compatibility_layer() -> None:
    bad = [
        file.name
        for file in source.core()
        if not file.module.startswith(("modules.compat", "modules.app"))
        for name in file.imports()
        if name.startswith("modules.compat")
    ]
    assert bad == []


def test_names_of_old_extensions_imports_stay_free() -> None:
    folder = source.ROOT / "modules"
    taken = {path.stem for path in folder.iterdir() if path.suffix == ".py" or path.is_dir()}
    assert taken & RESERVED == set()
    assert [name for name in taken if name.startswith("sd_")] == []


# import name -> name of the package that requirements.txt has; None where another package brings it
PACKAGES = {
    "PIL": "pillow",
    "yaml": "pyyaml",
    "resvg_py": "resvg-py",
    "font_roboto": "font-roboto",
    "zlib_ng": "zlib-ng",
    "starlette": "fastapi",
    "h11": "uvicorn",
}
OPTIONAL = {"xformers"}  # requirements-nvidia.txt; imported where it is found


def _required() -> set[str]:
    lines = (source.ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    return {line.partition("==")[0] for line in lines if "==" in line}


def test_requirements_are_what_is_imported() -> None:
    imported = {package for _, package in _packages(("modules",))} - set(sys.stdlib_module_names)
    outside = imported - OPTIONAL - {"modules", "tests"}
    assert {PACKAGES.get(name, name) for name in outside} == _required()


def test_every_requirement_is_pinned_and_constrained_once() -> None:
    lines: list[str] = []
    for name in ("requirements.txt", "requirements-dev.txt", "requirements-nvidia.txt", "constraints.txt"):
        text = (source.ROOT / name).read_text(encoding="utf-8")
        lines += [line.partition("#")[0].strip() for line in text.splitlines()]
    pins = [line for line in lines if line]
    assert [line for line in pins if "==" not in line] == []
    names = [line.partition("==")[0].lower().replace("_", "-") for line in pins]
    assert {name for name in names if names.count(name) > 1} == set()
