"""``/docs``: the API for people, drawn from the OpenAPI document without any script or foreign file."""

import json
from collections.abc import Mapping
from html import escape
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse

__all__ = ["docs_router", "render_docs"]

Json = Mapping[str, Any]

_METHODS = ("get", "post", "put", "patch", "delete")
_SHOWN_DEFAULT = 60  # characters
_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}: API</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
:root {{ color-scheme: light dark; --line: #8886 }}
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 0 auto; padding: 1rem }}
h2 {{ margin-top: 2rem; text-transform: capitalize }}
details {{ border: 1px solid var(--line); border-radius: .4rem; margin: .4rem 0; padding: .4rem .8rem }}
summary {{ cursor: pointer; overflow-wrap: anywhere }}
summary b {{ display: inline-block; min-width: 4rem }}
summary span {{ color: GrayText }}
table {{ border-collapse: collapse; width: 100%; display: block; overflow-x: auto }}
th, td {{ text-align: left; vertical-align: top; padding: .2rem .8rem .2rem 0;
  border-top: 1px solid var(--line) }}
code, pre {{ font: .9em ui-monospace, monospace }}
pre {{ overflow-x: auto; border: 1px solid var(--line); border-radius: .4rem; padding: .6rem }}
</style></head>
<body><h1>{title}</h1>
<p>Version {version}. The same for machines: <a href="/openapi.json">/openapi.json</a>.</p>
{content}</body></html>"""


def docs_router(*, at_root: bool = False) -> APIRouter:
    """Routes ``/docs`` and ``/redoc``; ``at_root`` leads there from ``/`` too, where there is no page."""
    router = APIRouter(include_in_schema=False)

    @router.get("/docs", response_class=HTMLResponse)
    def docs(request: Request) -> str:
        """Every route with its fields."""
        return render_docs(request.app.openapi())

    @router.get("/redoc")
    def redoc() -> RedirectResponse:
        """The other address under which A1111 shows its API."""
        return RedirectResponse("/docs", 307)

    if at_root:
        router.add_api_route("/", redoc)
    return router


def render_docs(document: Json) -> str:
    """An OpenAPI document as one page of HTML."""
    by_tag: dict[str, list[str]] = {}
    for path, operations in document["paths"].items():
        for method in _METHODS:
            if method in operations:
                tag = operations[method].get("tags", ["other"])[0]
                by_tag.setdefault(tag, []).append(_operation(document, path, method, operations[method]))
    content = "\n".join(f"<h2>{escape(tag)}</h2>\n" + "\n".join(entries) for tag, entries in by_tag.items())
    about = document["info"]
    return _PAGE.format(title=escape(about["title"]), version=escape(about["version"]), content=content)


def _operation(document: Json, path: str, method: str, operation: Json) -> str:
    description = escape(operation.get("description", ""))
    parts = [f"<p>{description}</p>"]
    parameters = operation.get("parameters", [])
    if parameters:
        rows = [
            _row(item["name"], item["schema"], item.get("description", ""), required=item.get("required"))
            for item in parameters
        ]
        parts.append(_table("Parameters", rows))
    body = _media(operation.get("requestBody", {}))
    if body is not None:
        parts.append(_table("Body", _fields(document, body)))
        parts.append(_curl(document, path, method, body))
    for status, answer in operation.get("responses", {}).items():
        schema = _media(answer)
        if schema is not None and status.startswith("2"):
            parts.append(_table("Answer", _fields(document, schema)))
    summary = f"<b>{method.upper()}</b> <code>{escape(path)}</code> <span>{description}</span>"
    return f"<details><summary>{summary}</summary>{''.join(parts)}</details>"


def _media(holder: Json) -> Json | None:
    content: Json = holder.get("content", {})
    first: Json = next(iter(content.values()), {})
    schema: Json | None = first.get("schema")
    return schema


def _table(title: str, rows: list[str]) -> str:
    if not rows:
        return ""
    head = "<tr><th>Name</th><th>Type</th><th>Default</th><th>What it is</th></tr>"
    return f"<h3>{title}</h3><table>{head}{''.join(rows)}</table>"


def _fields(document: Json, schema: Json) -> list[str]:
    found = _resolved(document, schema)
    if found.get("type") == "array":
        found = _resolved(document, found.get("items", {}))
    required = found.get("required", [])
    return [
        _row(name, field, field.get("description", ""), required=name in required)
        for name, field in found.get("properties", {}).items()
    ]


def _resolved(document: Json, schema: Json) -> Json:
    reference = schema.get("$ref")
    if reference is None:
        return schema
    found: Json = document["components"]["schemas"][reference.rpartition("/")[2]]
    return found


def _row(name: str, schema: Json, description: str, *, required: bool | None) -> str:
    default = "required" if required else _shown(schema.get("default"))
    cells = (f"<code>{escape(name)}</code>", escape(_type(schema)), escape(default), escape(description))
    return f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"


def _shown(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _SHOWN_DEFAULT else f"{text[: _SHOWN_DEFAULT - 1]}…"


def _type(schema: Json) -> str:
    """The type in words: "integer or null", "list of string", a model's name."""
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if "anyOf" in schema:
        return " or ".join(_type(part) for part in schema["anyOf"])
    if "enum" in schema:
        return " | ".join(str(choice) for choice in schema["enum"])
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {}))}"
    return str(schema.get("type", schema.get("const", "anything")))


def _curl(document: Json, path: str, method: str, body: Json) -> str:
    schema = _resolved(document, body)
    example = schema.get("example") or next(iter(schema.get("examples", [])), None)
    if example is None:
        return ""
    text = json.dumps(example, ensure_ascii=False)
    command = f"curl -X {method.upper()} -H 'Content-Type: application/json' -d '{text}' ADDRESS{path}"
    return f"<h3>Example</h3><pre>{escape(command)}</pre>"
