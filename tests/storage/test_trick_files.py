"""Files that try to make their reader open another file or an address: none is ever opened.

Each trick is proved to be one first: FFmpeg, asked without our locks, does reach for the target.
"""

import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import av
import av.error
import media_samples as samples
import pytest

from storage import MediaRefused
from storage.deadline import Deadline
from storage.media import Facts, inspect
from storage.preview import make_preview
from storage.streams import _OPTIONS, opened


class Listener:
    """A port on this machine that counts who calls."""

    def __init__(self) -> None:
        self.calls = 0
        self.called = threading.Event()
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._socket.settimeout(0.01)
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}/secret.ts"
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._listen)
        self._thread.start()

    def _listen(self) -> None:
        while not self._stop.is_set():
            try:
                connection, _ = self._socket.accept()
            except TimeoutError:
                continue
            self.calls += 1
            self.called.set()
            connection.close()

    def waited_for_call(self) -> bool:
        """Whether anybody called, once the thread has had its turn."""
        return self.called.wait(2)

    def close(self) -> None:
        self._stop.set()
        self._thread.join()
        self._socket.close()


@pytest.fixture
def listener() -> Iterator[Listener]:
    listener = Listener()
    yield listener
    listener.close()


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """A playable file that no output may reach."""
    return samples.video(tmp_path / "secret.mp4")


@pytest.fixture
def opens(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What FFmpeg asks to open while we inspect: every further open goes through this one function."""
    asked: list[str] = []

    def refuse(url: str, flags: int, options: dict[str, str]) -> None:
        asked.append(url)
        raise MediaRefused("output_type_refused", "refused")

    monkeypatch.setattr("storage.streams._refuse_open", refuse)
    return asked


def reached(path: Path, **options: Any) -> list[str]:
    """What FFmpeg without our locks asks to open for the file at `path`."""
    asked: list[str] = []

    def record(url: str, flags: int, options: dict[str, str]) -> Any:
        asked.append(url)
        raise OSError(2, "not today")

    with (
        suppress(av.error.FFmpegError, OSError),
        path.open("rb") as file,
        av.open(file, "r", io_open=record, **options) as container,
    ):
        list(container.demux())
    return asked


def tricked(path: Path, listener: Listener, demuxer: str, options: dict[str, str]) -> bool:
    """Whether FFmpeg without our locks plays the target of the file at `path`, or calls at its address."""
    packets = 0
    with suppress(av.error.FFmpegError), path.open("rb") as file, av.open(file, "r", format=demuxer, options=options) as container:
        packets = sum(packet.size > 0 for packet in container.demux())
    called, listener.calls = listener.waited_for_call() if not packets else False, 0
    return packets > 0 or called


def playlist(target: str) -> bytes:
    return f"#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\n{target}\n#EXT-X-ENDLIST\n".encode()


def concat(target: str) -> bytes:
    return f"ffconcat version 1.0\nfile '{target}'\n".encode()


#: How FFmpeg must be asked to fall for a trick.
TRICKS = [
    pytest.param(playlist, "hls", {"allowed_extensions": "ALL", "extension_picky": "0"}, id="hls"),
    pytest.param(concat, "concat", {"safe": "0"}, id="concat"),
]


@pytest.mark.parametrize("where", ["file", "address"])
@pytest.mark.parametrize(("make", "demuxer", "options"), TRICKS)
@pytest.mark.parametrize("name", ["clip.mp4", "list.m3u8", "list.ffconcat"])
def test_a_playlist_is_refused_and_its_target_never_opened(
    tmp_path: Path,
    secret: Path,
    listener: Listener,
    opens: list[str],
    make: Any,
    demuxer: str,
    options: dict[str, str],
    name: str,
    where: str,
) -> None:
    path = tmp_path / name
    path.write_bytes(make(str(secret) if where == "file" else listener.url))
    assert tricked(path, listener, demuxer, options)
    with pytest.raises(MediaRefused) as caught:
        inspect(path, None)
    assert caught.value.code == "output_type_refused"
    assert (opens, listener.calls) == ([], 0)


@pytest.mark.parametrize("where", ["file", "address"])
@pytest.mark.parametrize(("make", "demuxer", "options"), TRICKS)
def test_even_the_demuxer_of_playlists_reaches_nothing_with_our_other_locks(
    tmp_path: Path,
    secret: Path,
    listener: Listener,
    monkeypatch: pytest.MonkeyPatch,
    make: Any,
    demuxer: str,
    options: dict[str, str],
    where: str,
) -> None:
    path = tmp_path / "list"
    path.write_bytes(make(str(secret) if where == "file" else listener.url))
    monkeypatch.setattr("storage.streams._DEMUXERS", {"isobmff": demuxer})
    monkeypatch.setattr("storage.streams._OPTIONS", {**_OPTIONS, **options})
    with pytest.raises(MediaRefused), opened(path, "isobmff", Deadline(5)) as container:
        assert not any(packet.size for packet in container.demux())
    assert listener.calls == 0


def test_an_mp4_whose_alias_names_a_file_is_never_followed(tmp_path: Path, secret: Path, opens: list[str]) -> None:
    movie = samples.video(tmp_path / "own.mov").read_bytes()
    path = tmp_path / "clip.mov"
    path.write_bytes(samples.with_mac_alias(movie, str(secret).encode()))
    followed = reached(path, format="mov", options={"enable_drefs": "1", "use_absolute_path": "1"})
    assert any(secret.name in url for url in followed)
    assert_harmless(path, opens)


@pytest.mark.parametrize("where", ["file", "address"])
def test_an_mp4_whose_data_reference_is_a_url_is_never_followed(
    tmp_path: Path, secret: Path, listener: Listener, opens: list[str], where: str
) -> None:
    location = f"file://{secret}" if where == "file" else listener.url
    movie = samples.video(tmp_path / "own.mp4").read_bytes()
    path = tmp_path / "clip.mp4"
    path.write_bytes(samples.with_external_reference(movie, location.encode()))
    assert_harmless(path, opens)
    assert listener.calls == 0


def assert_harmless(path: Path, opens: list[str]) -> None:
    """It may pass, judged by the bytes it holds itself, or be refused; nothing else is opened, for the preview neither."""
    try:
        facts = inspect(path)
    except MediaRefused:
        facts = Facts("video", "video/mp4", "mp4", path.stat().st_size, 96, 64, 2.0)
    make_preview(path, facts)
    assert opens == []


@pytest.mark.parametrize("family", ["isobmff", "matroska", "ogg", "mp3", "wav", "flac", "aac"])
@pytest.mark.parametrize("make", [playlist, concat])
def test_no_demuxer_of_ours_follows_a_playlist_even_if_sniffing_were_fooled(
    tmp_path: Path, secret: Path, listener: Listener, opens: list[str], make: Any, family: str
) -> None:
    for target in (str(secret), listener.url):
        path = tmp_path / "list"
        path.write_bytes(make(target))
        with suppress(MediaRefused), opened(path, family, Deadline(5)) as container:
            assert not any(packet.size for packet in container.demux())
    assert (opens, listener.calls) == ([], 0)


SVG = '<svg xmlns="http://www.w3.org/2000/svg" xmlns:x="http://www.w3.org/1999/xlink"><image x:href="{target}"/></svg>'


@pytest.mark.parametrize(
    "document",
    [
        SVG,
        '<?xml version="1.0"?>' + SVG,
        '<!DOCTYPE svg [<!ENTITY e SYSTEM "{target}">]><svg>&e;</svg>',
        "<!-- harmless -->" + SVG,
        '<?xml version="1.0"?><MPD><BaseURL>{target}</BaseURL></MPD>',
        "[playlist]\nFile1={target}\n",
        "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\nc=IN IP4 127.0.0.1\r\n",
        "%PDF-1.7 (app.launchURL('{target}'))",
        "\ufeff<svg onload='alert(1)'/>",
    ],
)
def test_a_document_that_points_elsewhere_is_refused(tmp_path: Path, secret: Path, listener: Listener, document: str) -> None:
    path = tmp_path / "picture.png"
    for target in (f"file://{secret}", listener.url):
        path.write_text(document.replace("{target}", target))
        for expect in (None, "text"):
            with pytest.raises(MediaRefused) as caught:
                inspect(path, expect)
            assert caught.value.code == "output_type_refused"
    assert listener.calls == 0


@pytest.mark.parametrize("data", [b"%PDF-1.7\n\xe2\xe3\xcf\xd3", b"\x7fELF\x02\x01\x01" + bytes(20), b"MZ\x90\x00\x03" + bytes(50)])
def test_documents_and_programs_are_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "file"
    path.write_bytes(data)
    with pytest.raises(MediaRefused) as caught:
        inspect(path)
    assert caught.value.code == "output_type_refused"


def test_a_gif_that_is_also_a_script_keeps_its_type(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(samples.gif_of_frames(1) + b"/*<script>alert(1)</script>*/")
    assert inspect(path, "image").media_type == "image/gif"
    path.write_bytes(b"GIF89a/*<html><script>alert(1)</script>*/=1;")
    with pytest.raises(MediaRefused):
        inspect(path, "image")


def test_reading_stops_when_the_time_is_over(tmp_path: Path, secret: Path) -> None:
    with pytest.raises(MediaRefused) as caught:
        inspect(secret, max_s=0)
    assert caught.value.code == "inspection_timed_out"
