"""Previews: small, upright, bare, and never an error."""

import io
import logging
from pathlib import Path

import media_samples as samples
import pytest
from PIL import Image

from storage.media import Facts, inspect
from storage.preview import MAX_SIDE, make_preview

RED, BLUE = (250, 10, 10), (20, 40, 200)


def preview_of(path: Path) -> Image.Image:
    data = make_preview(path, inspect(path))
    assert data is not None
    image = Image.open(io.BytesIO(data))
    assert image.format == "WEBP"
    return image


def near(pixel: object, colour: tuple[int, int, int]) -> bool:
    return all(abs(a - b) < 40 for a, b in zip(pixel, colour, strict=False))  # type: ignore[call-overload]


def corners(image: Image.Image) -> list[str]:
    """The colours of the four corners, clockwise from the upper left."""
    image = image.convert("RGB")
    right, bottom = image.width - 3, image.height - 3
    points = [(2, 2), (right, 2), (right, bottom), (2, bottom)]
    return ["red" if near(image.getpixel(point), RED) else "blue" for point in points]


@pytest.mark.parametrize("format_", ["PNG", "JPEG", "WEBP", "GIF", "AVIF", "BMP", "TIFF"])
def test_an_image_is_scaled_to_512_pixels(tmp_path: Path, format_: str) -> None:
    path = tmp_path / "file"
    samples.picture((1600, 800)).save(path, format_)
    image = preview_of(path)
    assert image.size == (MAX_SIDE, MAX_SIDE // 2)
    assert corners(image) == ["red", "blue", "blue", "blue"]


def test_a_small_image_is_not_enlarged(tmp_path: Path) -> None:
    path = tmp_path / "file"
    samples.picture((40, 30)).save(path, "PNG")
    assert preview_of(path).size == (40, 30)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "I;16"])
def test_every_mode_of_png_has_a_preview(tmp_path: Path, mode: str) -> None:
    path = tmp_path / "file"
    image = Image.new("I;16", (30, 30), 0x8000) if mode == "I;16" else samples.picture(mode="L").convert(mode)
    image.save(path, "PNG")
    preview_of(path)


def test_sixteen_bits_keep_their_brightness(tmp_path: Path) -> None:
    path = tmp_path / "file"
    Image.new("I;16", (30, 30), 0x8000).save(path, "PNG")
    grey = preview_of(path).convert("L").getpixel((15, 15))
    assert grey == pytest.approx(0x80, abs=3)


def test_a_jpeg_for_print_has_a_preview(tmp_path: Path) -> None:
    path = tmp_path / "file"
    samples.picture(mode="CMYK").save(path, "JPEG")
    preview_of(path)


def test_transparency_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "file"
    Image.new("RGBA", (30, 30), (0, 0, 0, 0)).save(path, "PNG")
    assert preview_of(path).convert("RGBA").getpixel((5, 5))[3] == 0


@pytest.mark.parametrize(
    ("orientation", "expected"),
    [(1, 0), (2, 1), (3, 2), (4, 3), (5, 0), (6, 1), (7, 2), (8, 3)],
)
@pytest.mark.parametrize("format_", ["JPEG", "PNG", "WEBP"])
def test_the_exif_orientation_is_applied(tmp_path: Path, format_: str, orientation: int, expected: int) -> None:
    path = tmp_path / "file"
    exif = Image.Exif()
    exif[0x0112] = orientation
    samples.picture((1600, 800)).save(path, format_, exif=exif)
    image = preview_of(path)
    assert image.size == ((256, 512) if orientation > 4 else (512, 256))
    assert corners(image).index("red") == expected


def test_metadata_is_dropped(tmp_path: Path) -> None:
    path = tmp_path / "file"
    exif = Image.Exif()
    exif[0x010E] = "where I live"
    samples.picture().save(path, "JPEG", exif=exif, icc_profile=b"profile of mine" * 20, comment=b"a secret")
    data = make_preview(path, inspect(path))
    assert data is not None
    for word in (b"EXIF", b"Exif", b"where I live", b"ICCP", b"XMP", b"secret"):
        assert word not in data


@pytest.mark.parametrize(("name", "options"), [("v.mp4", {}), ("v.webm", {"codec": "libvpx-vp9"}), ("v.mov", {})])
def test_a_video_shows_its_first_frame(tmp_path: Path, name: str, options: dict[str, str]) -> None:
    path = samples.video(tmp_path / name, size=(1024, 512), frames=3, **options)
    image = preview_of(path)
    assert image.size == (512, 256)
    assert corners(image) == ["red", "blue", "blue", "blue"]


@pytest.mark.parametrize("rotation", [90, 180, 270])
def test_a_video_is_shown_upright(tmp_path: Path, rotation: int) -> None:
    path = samples.video(tmp_path / "v.mp4", size=(256, 128), frames=3, rotation=rotation)
    image = preview_of(path)
    assert image.size == ((256, 128) if rotation == 180 else (128, 256))
    assert corners(image).index("red") == {90: 3, 180: 2, 270: 1}[rotation]  # counter-clockwise, as FFmpeg counts


def test_a_large_photo_has_a_preview_and_a_large_drawing_has_none(tmp_path: Path) -> None:
    photo, drawing = tmp_path / "photo", tmp_path / "drawing"
    Image.new("L", (9000, 9000), 128).save(photo, "JPEG")
    Image.new("1", (9000, 9000)).save(drawing, "PNG")
    assert preview_of(photo).size == (512, 512)
    assert make_preview(drawing, inspect(drawing)) is None


@pytest.mark.parametrize("kind", ["audio", "text", "model3d", "other"])
def test_other_kinds_have_none(tmp_path: Path, kind: str) -> None:
    assert make_preview(tmp_path / "absent", Facts(kind, "x/y", "bin", 1)) is None  # type: ignore[arg-type]


def test_a_failure_is_logged_and_gives_none(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "file"
    path.write_bytes(samples.png_claiming(50, 50))  # its pixels are missing
    with caplog.at_level(logging.WARNING):
        assert make_preview(path, inspect(path)) is None
        assert make_preview(tmp_path / "absent", Facts("video", "video/mp4", "mp4", 1)) is None
    assert [record.name for record in caplog.records] == ["storage.preview"] * 2
