"""The OpenAPI document is valid and its examples are."""

import json

import jsonschema_rs
import pytest

from deploy.commands.contracts import OPENAPI
from services.intake.domain.filing import Filing

DOCUMENT = json.loads((OPENAPI / "intake.json").read_text("utf-8"))


@pytest.mark.parametrize("language", ["ar", "fr", "en"])
def test_an_example_in_each_language_is_a_filing(language: str) -> None:
    content = DOCUMENT["paths"]["/v1/complaints"]["post"]["requestBody"]["content"]["application/json"]
    example = content["examples"][language]["value"]
    assert example["language"] == language
    Filing.model_validate(example)
    schema = {"$ref": "#/components/schemas/Filing", "components": DOCUMENT["components"]}
    assert jsonschema_rs.is_valid(schema, example)


def test_every_operation_says_how_it_fails() -> None:
    for path, operations in DOCUMENT["paths"].items():
        for method, operation in operations.items():
            if method != "options" and path != "/v1/keys":
                assert {"429", "503"} <= operation["responses"].keys(), (method, path)
            assert "HTTPValidationError" not in json.dumps(operation)
