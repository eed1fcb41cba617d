"""Checks 15, 20, 24, 25: stored scripts, extensions, the outside world, versions."""

import ast
import importlib.metadata
import itertools
from pathlib import Path

from packaging.version import Version

from modules.domain.request import GenerationRequest
from modules.plugins.manager import PluginManager
from tests.acceptance.conftest import Check
from tests.server.studio import open_studio

ROOT = Path(__file__).resolve().parents[2]
ANN = ("ann", "ann password")
PAYLOADS = (
    "<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "</textarea><script>alert(1)</script>",
    "\"><svg onload=alert(1)>", "javascript:alert(1)", "{{7*7}}", "${alert(1)}", "<iframe srcdoc='x'>",
    "&lt;script&gt;", "' onfocus=alert(1) autofocus='",
)  # fmt: skip
FLOORS = {
    "gradio": "6.20", "torch": "2.10", "pillow": "12.3", "python-multipart": "0.0.27", "starlette": "0.49.1",
    "diffusers": "0.38", "ray": "2.54",
}  # fmt: skip


def test_15_stored_scripts_stay_text(check: Check, tmp_path: Path) -> None:
    answers = html = 0
    with open_studio(tmp_path, basic=dict([ANN])) as studio:
        outputs = studio.services.options.folders.outputs
        for number, payload in enumerate(PAYLOADS):
            job = studio.post(
                "/api/v1/jobs", {"prompt": payload, "steps": 1, "width": 64, "height": 64}, auth=ANN
            ).json()["id"]
            studio.services.jobs.wait(job, 30)
            for path in (f"/api/v1/jobs/{job}", "/api/v1/queue", f"/api/v1/jobs/{job}/request"):
                answer = studio.get(path, auth=ANN)
                answers += 1
                html += "html" in answer.headers["content-type"]
            wrong = studio.post("/sdapi/v1/txt2img", {"prompt": "x", "sampler_name": payload})
            html += "html" in wrong.headers["content-type"]
            login = studio.request("POST", "/login", data={"name": payload, "password": "wrong"})
            html += payload in login.text
            studio.access.failures.forget()
            image = studio.services.jobs.view(job).images[0]
            kind = ("html", "svg", "xml")[number % 3]
            Path(image.path).write_text(f"<!doctype {kind}>{payload}")  # somebody changed the file
            served = studio.get(f"/files/{image.id}", auth=ANN)
            html += not served.headers["content-disposition"].startswith("attachment")
            html += "sandbox" not in served.headers["content-security-policy"]
            html += served.headers["x-content-type-options"] != "nosniff"
            answers += 3
        assert outputs.exists()
    check.measured = (
        f"{len(PAYLOADS)} payloads in {answers} answers: {html} times other than text or download"
    )
    assert html == 0


HOOK = "from modules.plugins.hookspecs import hookimpl\n"
FAILURES = {
    "Exception": "raise RuntimeError('broken')",
    "SystemExit": "raise SystemExit(1)",
    "RecursionError": "return transform_request(request)",
    "wrong answer": "return 42",
    "MemoryError": "raise MemoryError",
    "None": "return None",
}


def extension(root: Path, name: str, code: str, witness: Path) -> None:
    """An extension as it lies in the folder after it was copied there."""
    folder = root / name
    folder.mkdir(parents=True)
    (folder / "extension.toml").write_text(
        f'name = "{name}"\nversion = "1"\ndescription = "x"\nhooks = ["transform_request"]\n'
    )
    (folder / "extension.py").write_text(code)
    (folder / "install.py").write_text(f"open({str(witness)!r}, 'w').write('ran')")


def test_20_extensions_that_misbehave_are_contained(check: Check, tmp_path: Path) -> None:
    witness, survived, said = tmp_path / "witness", 0, 0
    request = GenerationRequest(prompt="a cat")
    for name, failure in FAILURES.items():
        folder = tmp_path / name.replace(" ", "-")
        body = f"@hookimpl\ndef transform_request(request):\n    {failure}\n"
        extension(folder, "loud", HOOK + body, witness)
        extension(folder, "broken", "raise ImportError('no')\n", witness)
        manager = PluginManager(folder)
        listed = manager.installed()
        answer, comments = manager.transform_request(request)
        survived += answer == request and len(listed) == 2
        said += name == "None" or any("loud" in comment for comment in (*comments, *map(str, listed)))
    with open_studio(tmp_path / "studio", basic=dict([ANN])) as studio:
        paths = [route for route in studio.app.openapi()["paths"] if "extension" in route]
        install = [path for path in paths if "install" in path]
        job = studio.post("/api/v1/jobs", {"prompt": "x", "steps": 1}, auth=ANN).json()["id"]
        fine = studio.services.jobs.wait(job, 30).state.value
    check.measured = (
        f"{survived} of {len(FAILURES)} failures contained, {said} named; "
        f"install scripts run: {witness.exists()}; routes that install: {len(install)}"
    )
    assert survived == len(FAILURES)
    assert not witness.exists()
    assert install == []
    assert fine == "done"


def test_24_nothing_is_asked_of_the_outside(check: Check, tmp_path: Path, outbound: list[str]) -> None:
    with open_studio(tmp_path, basic=dict([ANN])) as studio:
        for source in ("http://127.0.0.1:9/x.png", "https://example.com/x.png", "file:///etc/passwd"):
            answer = studio.post("/sdapi/v1/img2img", {"init_images": [source], "prompt": "x"})
            assert 400 <= answer.status_code < 500
            answer = studio.post("/sdapi/v1/png-info", {"image": source})
            assert 400 <= answer.status_code < 500

    check.measured = f"{len(outbound)} foreign addresses asked for"
    assert outbound == []


FORBIDDEN_NAMES = {"eval", "exec"}
FORBIDDEN_CALLS = {("torch", "load"), ("pickle", "load"), ("pickle", "loads"), ("yaml", "load")}
GATE = ROOT / "modules" / "checkpoints" / "pickle_gate.py"


def forbidden_in(path: Path) -> list[str]:
    """Calls that run or unpickle what they are given."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Call):
            continue
        called = node.func
        name = called.id if isinstance(called, ast.Name) else ""
        pair = ("", "")
        if isinstance(called, ast.Attribute) and isinstance(called.value, ast.Name):
            pair = (called.value.id, called.attr)
        risky = [
            word.arg for word in node.keywords
            if word.arg in ("shell", "trust_remote_code")
            and _is_true(word.value)
        ]  # fmt: skip
        restricted = any(word.arg == "weights_only" and _is_true(word.value) for word in node.keywords)
        if name in FORBIDDEN_NAMES or (pair in FORBIDDEN_CALLS and not restricted) or risky:
            found.append(f"{path.name}:{node.lineno}")
    return found


def _is_true(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is True


def test_25_versions_have_floors_and_no_call_is_forbidden(check: Check) -> None:
    below, present = [], 0
    for package, floor in FLOORS.items():
        try:
            version = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
        present += 1
        if Version(version.partition("+")[0]) < Version(floor):
            below.append(f"{package} {version}")
    sources = [*(ROOT / "modules").rglob("*.py"), *ROOT.glob("*.py")]
    found = list(itertools.chain.from_iterable(forbidden_in(path) for path in sources if path != GATE))
    requirements = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    loose = [line for line in requirements if line and line[0].isalpha() and "==" not in line]
    check.measured = (
        f"{present} packages at or above their floors, {len(below)} below; {len(found)} forbidden calls in "
        f"{len(sources)} files; {len(loose)} versions not pinned (pip-audit needs the network: not run here)"
    )
    assert below == []
    assert found == []
    assert loose == []


def test_25_the_check_for_forbidden_calls_would_find_one(check: Check, tmp_path: Path) -> None:
    path = tmp_path / "bad.py"
    path.write_text("import torch\ntorch.load('x')\neval('1')\nrun('x', shell=True)\n")
    check.measured = "a planted torch.load, eval and shell=True are found"
    assert len(forbidden_in(path)) == 3
