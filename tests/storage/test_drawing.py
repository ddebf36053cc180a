"""SVG is stored where it was ordered, if it is a picture and nothing more."""

from __future__ import annotations

from pathlib import Path

import pytest

from storage import MediaRefused
from storage.drawing import inspect_drawing
from storage.media import Facts
from storage.preview import make_preview

HEAD = '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" width="640" height="480">'


@pytest.fixture
def drawing(tmp_path: Path) -> Path:
    return tmp_path / "picture.svg"


def facts_of(path: Path, text: str | bytes) -> Facts:
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return inspect_drawing(path)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        (HEAD + "<path d='M0 0L9 9'/></svg>", (640, 480)),
        ('<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 16"><g/></svg>', (24, 16)),
        ('<svg xmlns="http://www.w3.org/2000/svg" width="100%" height="100%"/>', (None, None)),
        ('<?xml version="1.0"?>\n' + HEAD + "</svg>", (640, 480)),
        ('<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "http://www.w3.org/dtd/svg11.dtd">' + HEAD + "</svg>", (640, 480)),
        (HEAD + '<defs><linearGradient id="a"/></defs><rect fill="url(#a)"/><use xlink:href="#a"/></svg>', (640, 480)),
        (HEAD + '<image href="data:image/png;base64,iVBORw0KGgo="/></svg>', (640, 480)),
        (HEAD + "<style>.a{fill:url(#b);stroke:red}</style></svg>", (640, 480)),
    ],
)
def test_a_plain_drawing_is_taken_with_its_size(drawing: Path, text: str, size: tuple[int | None, int | None]) -> None:
    facts = facts_of(drawing, text)
    assert (facts.kind, facts.media_type, facts.extension) == ("image", "image/svg+xml", "svg")
    assert (facts.width, facts.height) == size


@pytest.mark.parametrize(
    "inside",
    [
        "<script>alert(1)</script>",
        "<SCRIPT xmlns='http://www.w3.org/1999/xhtml'>alert(1)</SCRIPT>",
        "<foreignObject><p/></foreignObject>",
        "<rect onload='alert(1)'/>",
        "<rect ONCLICK='alert(1)'/>",
        "<a href='https://elsewhere.example/'><text>x</text></a>",
        "<a xlink:href='javascript:alert(1)'><text>x</text></a>",
        "<image href='http://169.254.169.254/x.png'/>",
        "<image xlink:href='file:///etc/passwd'/>",
        "<use href='other.svg#a'/>",
        "<image href='data:image/svg+xml;base64,PHN2Zy8+'/>",
        "<animate attributeName='href' values='javascript:alert(1)'/>",
        "<set attributeName='onclick' to='alert(1)'/>",
        "<style>@import 'https://elsewhere.example/a.css';</style>",
        "<style>.a{background:url(https://elsewhere.example/a.png)}</style>",
        "<rect style='fill:url(http://elsewhere.example/#a)'/>",
        "<rect fill='url(//elsewhere.example/#a)'/>",
        "<?xml-stylesheet href='a.css'?>",
        "<iframe src='https://elsewhere.example/'/>",
        "<g>" * 300 + "</g>" * 300,
    ],
)
def test_whatever_runs_loads_or_points_elsewhere_is_refused(drawing: Path, inside: str) -> None:
    with pytest.raises(MediaRefused) as caught:
        facts_of(drawing, HEAD + inside + "</svg>")
    assert caught.value.code == "output_type_refused"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "output_empty"),
        (HEAD + "<path d='M0 0", "output_unreadable"),
        (HEAD, "output_unreadable"),
        ("no drawing at all", "output_unreadable"),
        (b"\x89PNG\r\n\x1a\n", "output_unreadable"),
        ("<html><body>503</body></html>", "output_type_mismatch"),
        ('<svg xmlns="https://elsewhere.example/"/>', "output_type_mismatch"),
        ('<!DOCTYPE svg [<!ENTITY a "b">]>' + HEAD + "&a;</svg>", "output_type_refused"),
    ],
)
def test_what_is_no_drawing_is_named(drawing: Path, text: str | bytes, code: str) -> None:
    with pytest.raises(MediaRefused) as caught:
        facts_of(drawing, text)
    assert caught.value.code == code


def test_a_drawing_has_no_preview(drawing: Path) -> None:
    assert make_preview(drawing, facts_of(drawing, HEAD + "</svg>")) is None
