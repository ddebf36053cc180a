"""`key=value` words become an operation's input."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from api_stub.cli.inputs import WrongWord, parse
from jobs import catalogue


def schema(name: str) -> dict[str, Any]:
    operation = catalogue.find(name)
    assert operation is not None
    return operation.input_schema


def no_upload(path: Path) -> Any:
    raise AssertionError(f"{path} was uploaded")


@pytest.mark.parametrize(
    ("operation", "words", "expected"),
    [
        ("kling.text_to_video", ["prompt=A paper boat"], {"prompt": "A paper boat"}),
        # The field is text, whatever the value looks like.
        ("kling.text_to_video", ["duration=5"], {"duration": "5"}),
        ("kling.text_to_video", ["prompt=true"], {"prompt": "true"}),
        ("kling.text_to_video", ['prompt="quoted"'], {"prompt": '"quoted"'}),
        ("kling.text_to_video", ["prompt="], {"prompt": ""}),
        ("kling.text_to_video", ["prompt=a=b"], {"prompt": "a=b"}),
        ("kling.text_to_video", ["cfg_scale=0.5"], {"cfg_scale": 0.5}),
        ("kling.text_to_video", ["multi_shot=true"], {"multi_shot": True}),
        ("kling.text_to_video", ["watermark_info.enabled=false"], {"watermark_info": {"enabled": False}}),
        (
            "kling.text_to_video",
            ["camera_control.type=simple", "camera_control.config.zoom=-3"],
            {"camera_control": {"type": "simple", "config": {"zoom": -3}}},
        ),
        ("openai.image_generation", ["n=2"], {"n": 2}),
        # Not a number where a number belongs: handed on, the server says what is wrong.
        ("openai.image_generation", ["n=two"], {"n": "two"}),
        ("openai.image_generation", ["n=NaN"], {"n": "NaN"}),
        ("openai.chat", ['messages=[{"role":"user","content":"Hi"}]'], {"messages": [{"role": "user", "content": "Hi"}]}),
        ("openai.chat", ["stop=END", "stop=5"], {"stop": ["END", "5"]}),
        ("openai.chat", ["seed=7"], {"seed": 7}),
        ("suno.music", ["continue_at=null"], {"continue_at": None}),
        # Nothing is said of a model's own fields: JSON where it is JSON, quotes make text of it.
        ("replicate.prediction", ["model=a/b", "input.num_outputs=2"], {"model": "a/b", "input": {"num_outputs": 2}}),
        ("replicate.prediction", ['input.seed="2"'], {"input": {"seed": "2"}}),
        ("replicate.prediction", ["input.prompt=a fox"], {"input": {"prompt": "a fox"}}),
    ],
)
def test_a_value_is_json_only_where_the_schema_allows_its_type(operation: str, words: list[str], expected: dict[str, Any]) -> None:
    assert parse(words, schema(operation), no_upload) == expected


def test_an_at_sign_uploads_the_file_and_two_of_them_are_text(tmp_path: Path) -> None:
    picture = tmp_path / "boat.png"
    picture.write_bytes(b"\x89PNG")
    words = [f"image=@{picture}", "prompt=@@home"]
    given = parse(words, schema("seedream.image_generation"), lambda path: {"file": path.name})
    assert given == {"image": {"file": "boat.png"}, "prompt": "@home"}


def test_several_files_of_one_field_are_a_list(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        (tmp_path / name).touch()
    words = [f"image=@{tmp_path}/a.png", f"image=@{tmp_path}/b.png"]
    given = parse(words, schema("seedream.image_generation"), lambda path: {"file": path.name})
    assert given == {"image": [{"file": "a.png"}, {"file": "b.png"}]}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["prompt"], "'prompt' is no key=value"),
        (["=x"], "'=x' is no key=value"),
        (["a..b=x"], "is no key=value"),
        (["image=@/nowhere/boat.png"], "there is no file /nowhere/boat.png"),
        (["a=1", "a.b=2"], "a.b is given, and so is a value for a as a whole"),
        (["a.b=2", "a=1"], "a is given as a whole, and in parts"),
    ],
)
def test_a_word_that_cannot_be_meant_is_named(words: list[str], message: str) -> None:
    with pytest.raises(WrongWord, match=message.replace("(", r"\(")):
        parse(words, {}, no_upload)
