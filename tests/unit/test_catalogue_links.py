"""Media named in running text: what chat models answer, read as the facts describe it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.catalogue.links import linked
from jobs.catalogue.spec import Links

PICTURES = Links(text=("text",), endings=(".png", ".jpg", ".webp"), pictures_first=True, avoid=("/download/",), avoid_label=r"\d+")
VIDEO = Links(text=("text",), endings=(".mp4",), prefer="/download/")


@pytest.mark.parametrize(
    ("text", "addresses"),
    [
        ("![one](https://cdn.example/a.png)", ["https://cdn.example/a.png"]),
        ("![one](https://cdn.example/a.png?sig=1%26) and ![two](https://cdn.example/b)", None),
        (
            "> Progress 12..[100](https://videos.example/raw.webp?se=1)\n\n![gen](https://cdn.example/abc.png)\n"
            "[download](https://cdn.example/download/abc.png)",
            ["https://cdn.example/abc.png"],
        ),
        ("See https://cdn.example/a.jpg, or https://cdn.example/page.html.", ["https://cdn.example/a.jpg"]),
        ("[download](https://cdn.example/download/a.png)", ["https://cdn.example/download/a.png"]),
        ("Progress [100](https://videos.example/raw.webp)", ["https://videos.example/raw.webp"]),
        ("https://cdn.example/a.png https://cdn.example/a.png", ["https://cdn.example/a.png"]),
        ("I cannot draw that.", []),
        ("![](javascript:alert(1)) ![x](data:image/png;base64,AAAA)", []),
        ("https://[broken/a.png", []),
    ],
)
def test_pictures_in_markdown(text: str, addresses: list[str] | None) -> None:
    found = linked(PICTURES, {"text": text})
    assert found == (["https://cdn.example/a.png?sig=1%26", "https://cdn.example/b"] if addresses is None else addresses)


@pytest.mark.parametrize(
    ("text", "addresses"),
    [
        (
            "> id `veo3:5f1c`\n[watch](https://f.example/cdn/5.mp4) | [download](https://f.example/cdn/download/5.mp4)",
            ["https://f.example/cdn/download/5.mp4"],
        ),
        ("https://f.example/first.mp4 then https://f.example/last.mp4?x=1", ["https://f.example/last.mp4?x=1"]),
        ("progress 30%", []),
    ],
)
def test_one_video_in_prose(text: str, addresses: list[str]) -> None:
    assert linked(VIDEO, {"text": text}) == addresses


def test_the_parts_of_a_message_are_read_as_one_text() -> None:
    assert linked(VIDEO, {"text": ["https://f.example/a.mp4", None, 7]}) == ["https://f.example/a.mp4"]
    assert linked(VIDEO, {"text": None}) == []


@given(st.text(max_size=400))
def test_no_text_breaks_the_reading(text: str) -> None:
    for address in linked(PICTURES, {"text": text}):
        assert address.startswith(("http://", "https://"))
