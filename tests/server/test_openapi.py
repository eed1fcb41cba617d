"""The OpenAPI document explains itself: every field in words, every body by an example."""

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from tests.server.route_table import full_app
from tests.server.studio import Studio

FOREIGN = {"JsonValue", "HTTPValidationError", "ValidationError"}  # of the libraries


@pytest.fixture
def document(studio: Studio) -> Mapping[str, Any]:
    return full_app(studio).openapi()


def operations(document: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


def models_in(value: object, document: Mapping[str, Any], found: set[str]) -> None:
    """Names of all models that a part of the document refers to, also through others."""
    if isinstance(value, dict):
        name = str(value.get("$ref", "")).rpartition("/")[2]
        if name and name not in found:
            found.add(name)
            models_in(document["components"]["schemas"][name], document, found)
        for part in value.values():
            models_in(part, document, found)
    elif isinstance(value, list):
        for part in value:
            models_in(part, document, found)


def test_every_field_is_described(document: Mapping[str, Any]) -> None:
    found: set[str] = set()
    for _, operation in operations(document):
        models_in(operation, document, found)
    assert len(found) > 60
    for name in found - FOREIGN:
        model = document["components"]["schemas"][name]
        assert model.get("description") or "enum" in model, name
        for field, schema in model.get("properties", {}).items():
            assert schema.get("description") or "$ref" in schema, f"{name}.{field}"


def test_every_route_is_described_and_its_answer_typed(document: Mapping[str, Any]) -> None:
    for route, operation in operations(document):
        assert operation.get("description"), route
        answers = [answer for status, answer in operation["responses"].items() if status.startswith("2")]
        assert answers, route
        for answer in answers:
            content = answer.get("content", {})
            assert content, route
            for kind, shape in content.items():
                schema = shape.get("schema", {})
                assert schema or kind not in ("application/json", "image/*"), route


def test_every_body_has_an_example(document: Mapping[str, Any]) -> None:
    for route, operation in operations(document):
        for content in operation.get("requestBody", {}).get("content", {}).values():
            schema = content.get("schema", {})
            name = str(schema.get("$ref", "")).rpartition("/")[2]
            model = document["components"]["schemas"].get(name, schema)
            fields = model.get("properties", {}).values()
            is_file = schema.get("format") == "binary"
            assert is_file or "examples" in model or any("examples" in field for field in fields), route
