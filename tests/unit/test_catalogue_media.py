"""Where media stands in an input is found along the schema, wherever the schema puts it."""

from __future__ import annotations

import re
from typing import Any

import pytest

from jobs import catalogue
from jobs.catalogue import media, samples
from jobs.catalogue.media import Place
from jobs.catalogue.schema import array, fields, text
from jobs.catalogue.schema import media as medium
from jobs.catalogue.spec import Confidence, Operation, Output, Submit

FILE = {"file": "file_" + "0" * 32}
ARTIFACT = {"job": "job_1", "artifact": 2}
PIXELS = samples.picture(8, 8)


def operation(schema: dict[str, Any], example: dict[str, Any], **submit: Any) -> Operation:
    return Operation(
        name="x.y",
        modality="image",
        provider="x",
        summary="A test",
        input_schema=schema,
        example=example,
        submit=Submit(path="/x", **submit),
        outputs=(Output(kind="image", select=("url",)),),
        confidence=Confidence.UNKNOWN,
        source="none",
    )


OP = operation(
    fields(
        {
            "image": medium("base64", "url"),
            "images": {"anyOf": [medium("url"), array(medium("url"))]},
            "content": {
                "anyOf": [
                    text(),
                    array({"type": "object", "properties": {"image_url": fields({"url": medium("data_uri", "url")})}}),
                ]
            },
            "inline": fields({"mimeType": text(), "data": medium("base64", media_type_field="mimeType")}),
            "note": text(),
            "free": {"type": "object"},
        }
    ),
    {"note": "x"},
    media=("bytes",),
)


@pytest.mark.parametrize(
    ("given", "places"),
    [
        ({"image": "https://a.example/x.png"}, [Place(("image",), ("base64", "url"))]),
        ({"image": FILE}, [Place(("image",), ("base64", "url"))]),
        ({"images": ARTIFACT}, [Place(("images",), ("url",))]),
        ({"images": [PIXELS, FILE]}, [Place(("images", 0), ("url",)), Place(("images", 1), ("url",))]),
        ({"content": "https://a.example/only-text.png"}, []),
        ({"content": [{"image_url": {"url": PIXELS}}]}, [Place(("content", 0, "image_url", "url"), ("data_uri", "url"))]),
        ({"inline": {"data": PIXELS}}, [Place(("inline", "data"), ("base64",), "mimeType")]),
        ({"note": "https://a.example/x.png"}, []),
        ({"free": {"deep": [{"x": FILE}]}}, [Place(("free", "deep", 0, "x"), ("bytes",))]),
        ({"free": {"deep": "https://a.example/x.png"}}, []),
    ],
)
def test_every_medium_is_found_once_with_the_forms_its_provider_takes(given: dict[str, Any], places: list[Place]) -> None:
    assert media.places(OP, given) == places


@pytest.mark.parametrize("forms", [("url",), ("data_uri", "url"), ("base64", "url"), ("bytes",)])
@pytest.mark.parametrize(
    "value",
    ["https://cdn.example/a.png?sig=%2F&x=1", "http://127.0.0.1:8080/a", PIXELS, samples.tone(0.1), FILE, ARTIFACT],
    ids=["https", "http", "png", "wav", "file", "artifact"],
)
def test_every_form_of_medium_is_taken_whatever_the_provider_wants(forms: tuple[Any, ...], value: Any) -> None:
    op = operation(fields({"image": medium(*forms)}), {})
    assert op.validator.is_valid({"image": value})


@pytest.mark.parametrize("value", ["", "a.png", "file:///etc/passwd", "javascript:alert(1)", "data:image/png,raw", {}, [], 7, None])
def test_what_is_no_medium_is_refused(value: Any) -> None:
    op = operation(fields({"image": medium("url", "data_uri")}), {})
    assert not op.validator.is_valid({"image": value})


def test_bare_base64_is_taken_only_where_the_provider_takes_it() -> None:
    bare = PIXELS.partition(",")[2]
    assert operation(fields({"image": medium("base64")}), {}).validator.is_valid({"image": bare})
    assert not operation(fields({"image": medium("url")}), {}).validator.is_valid({"image": bare})


def test_no_field_of_the_catalogue_that_holds_media_by_name_is_left_unmarked() -> None:
    """A field called image, video or audio that takes plain text would hand a file's description to the provider."""
    named = re.compile(
        r"^(image|video|audio|mask|first_frame_image|last_frame_image|input_reference|promptImage|videoUri|sound_file)$"
    )
    unmarked = [
        f"{op.name}: {path}"
        for op in catalogue.all_operations().values()
        for path, schema in _fields(op.input_schema)
        if named.match(path.rpartition(".")[2]) and schema.get("type") == "string"
    ]
    assert not unmarked


def _fields(schema: Any, path: str = "") -> list[tuple[str, dict[str, Any]]]:
    if not isinstance(schema, dict) or "x-media" in schema:
        return []
    found = []
    for name, part in schema.get("properties", {}).items():
        if isinstance(part, dict):
            found.append((f"{path}.{name}", part))
            found += _fields(part, f"{path}.{name}")
    found += _fields(schema.get("items"), f"{path}[]")
    for choice in ("anyOf", "oneOf", "allOf"):
        for part in schema.get(choice, ()):
            found += _fields(part, path)
    return found
