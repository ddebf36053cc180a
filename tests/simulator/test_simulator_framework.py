"""What providers build on: forms, methods, questions, sockets, and the kinds of media beside pictures and sounds."""

from __future__ import annotations

import asyncio
import io
import json
import struct
import zipfile
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, get_args
from xml.etree import ElementTree

import av
import httpx2
import pytest
from PIL import Image
from starlette.requests import Request
from starlette.responses import Response
from starlette.websockets import WebSocket

from simulator.app import Application
from simulator.calls import Body, Call, Operation
from simulator.config import KINDS, SimulatorConfig
from simulator.dialects import Dialect, json_response
from simulator.downloads import answer_file
from simulator.exchange import Exchange
from simulator.files import FileStore
from simulator.media.orders import Midi, Model3D, ModelFormat, Order, Picture, Sound, SoundFormat, Vector
from simulator.media.studio import Studio
from simulator.polls import in_body, in_query
from simulator.site import Site
from simulator.tasks import View
from simulator.uploads import Upload, listed, read_form
from simulator.world import World


def prompt_of(body: Body) -> str:
    return str(body.get("prompt") or "")


SHOP = Operation("shop.wares", kind="image", price_usd=Decimal(1), dialect=Dialect(), prompt=prompt_of)
ORDER = Operation("shop.order", kind="video", price_usd=Decimal(1), dialect=Dialect(), prompt=prompt_of, is_task=True)


def told(value: Any) -> Any:
    """An `Upload` as JSON."""
    if isinstance(value, Upload):
        return {"name": value.filename, "type": value.media_type, "bytes": len(value.content)}
    return [told(one) for one in value] if isinstance(value, list) else value


async def echo(call: Call) -> Response:
    await call.accept()
    await call.deliver([])
    return json_response({"body": {name: told(value) for name, value in call.body.items()}, "params": call.exchange.params})


async def order(call: Call) -> Response:
    await call.start("7", [])
    return json_response({"wrapped": call.fault("wrapped") is not None})


def state(view: View) -> dict[str, Any]:
    return {"phase": view.phase, "wrapped": view.task.fault("wrapped") is not None}


class Shop:
    """A site with one provider, asked inside the process."""

    def __init__(self, world: World, runner: asyncio.Runner) -> None:
        self.world = world
        self.run = runner.run
        self.site = Site(world)
        self.site.sell("/shop", SHOP, echo)
        self.site.sell("/shop/{id}", SHOP, echo, method="DELETE")
        self.site.sell("/shop/{id}", SHOP, echo, method="GET")
        self.site.sell("/orders", ORDER, order)
        self.site.show("/orders/query", ORDER, state, find=in_body("JobId"), method="POST")
        self.site.show("/orders/query", ORDER, state, find=in_query("task_id"))
        self.site.show("/orders/{id}/content", ORDER, lambda view: Response(b"raw", 202))

    def ask(self, *asked: tuple[str, str, dict[str, Any]]) -> list[httpx2.Response]:
        """The answers to requests sent one after the other."""

        async def send() -> list[httpx2.Response]:
            transport = httpx2.ASGITransport(app=Application(self.site))
            headers = {"authorization": "Bearer k"}
            async with httpx2.AsyncClient(transport=transport, base_url="http://shop", headers=headers) as client:
                return [await client.request(method, path, **options) for method, path, options in asked]

        return self.run(send())

    def charged(self) -> int:
        return len(self.run(self.world.ledger.entries(charged="true")))


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    """Sells at once and takes a minute over orders."""
    with asyncio.Runner() as runner:
        world = World(SimulatorConfig(data=tmp_path, latency_s={**dict.fromkeys(KINDS, 0.0), "video": 60.0}))
        yield Shop(world, runner)
        runner.run(world.close())


def test_a_form_arrives_like_a_json_body_with_its_files(shop: Shop) -> None:
    files = [
        ("image[]", ("a.png", b"123", "image/png")),
        ("image[]", ("b.png", b"12345", "image/png")),
        ("mask", ("m.png", b"1", "image/png")),
    ]
    data = {"prompt": "naïve kite", "tag": ["x", "y"], "n": "2"}

    (answer,) = shop.ask(("POST", "/shop", {"data": data, "files": files}))

    assert answer.json()["body"] == {
        "prompt": "naïve kite",
        "tag": ["x", "y"],
        "n": "2",
        "image[]": [
            {"name": "a.png", "type": "image/png", "bytes": 3},
            {"name": "b.png", "type": "image/png", "bytes": 5},
        ],
        "mask": {"name": "m.png", "type": "image/png", "bytes": 1},
    }


def test_a_long_text_field_of_a_form_is_taken_whole(shop: Shop) -> None:
    (answer,) = shop.ask(("POST", "/shop", {"data": {"image": "A" * 3_000_000}, "files": {"f": ("f", b"")}}))

    assert len(answer.json()["body"]["image"]) == 3_000_000


def test_directives_are_heard_in_the_text_of_a_form_and_not_in_its_files(shop: Shop) -> None:
    asked = "a kite [[simulate:rate_limit]]"
    in_text, in_file = shop.ask(
        ("POST", "/shop", {"data": {"prompt": asked}, "files": {"f": ("f.txt", b"x")}}),
        ("POST", "/shop", {"files": {"f": ("f.txt", asked.encode())}}),
    )

    assert [in_text.status_code, in_file.status_code] == [429, 200]
    assert shop.charged() == 1


def test_a_file_sent_as_the_prompt_breaks_nothing_and_does_not_fill_the_page() -> None:
    upload = Upload("p.txt", "text/plain", b"x" * 1_000_000)

    assert len(prompt_of({"prompt": upload})) < 100


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("multipart/form-data", b"no boundary named"),
        ("multipart/form-data; boundary=x", b"--y\r\nnot this one"),
        ("multipart/form-data; boundary=x", b"--x\r\nContent-Disposition: form-data\r\n\r\nnameless\r\n--x--\r\n"),
    ],
    ids=["no boundary", "another boundary", "no name"],
)
def test_a_broken_form_is_refused(shop: Shop, content_type: str, body: bytes) -> None:
    (answer,) = shop.ask(("POST", "/shop", {"content": body, "headers": {"content-type": content_type}}))

    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "bad_request_body")
    assert shop.charged() == 0


def test_a_list_is_found_under_both_spellings() -> None:
    one = Upload("a", "", b"")

    assert listed({"image": one}, "image") == [one]
    assert listed({"image[]": [one, "b"]}, "image") == [one, "b"]
    assert listed({"images": one, "image": None}, "image") == []


def test_any_method_can_be_sold_and_needs_no_body(shop: Shop) -> None:
    answers = shop.ask(("DELETE", "/shop/7", {}), ("GET", "/shop/8", {}), ("POST", "/shop", {}))

    assert [answer.status_code for answer in answers] == [200, 200, 400]
    assert [answer.json()["params"] for answer in answers[:2]] == [{"id": "7"}, {"id": "8"}]
    assert [answer.json()["body"] for answer in answers[:2]] == [{}, {}]
    assert shop.charged() == 2


def test_a_task_is_found_by_body_by_query_and_by_path(shop: Shop) -> None:
    _, *answers = shop.ask(
        ("POST", "/orders", {"json": {"prompt": "x"}}),
        ("POST", "/orders/query", {"json": {"JobId": 7}}),
        ("GET", "/orders/query", {"params": {"task_id": "7"}}),
        ("GET", "/orders/7/content", {}),
    )

    assert [answer.status_code for answer in answers] == [200, 200, 202]
    assert [answer.json()["phase"] for answer in answers[:2]] == ["submitted", "submitted"]
    assert answers[2].content == b"raw"


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"JobId": {}}'])
def test_a_question_without_an_id_is_refused(shop: Shop, body: bytes) -> None:
    by_body, by_query = shop.ask(("POST", "/orders/query", {"content": body}), ("GET", "/orders/query", {}))

    assert [by_body.status_code, by_query.status_code] == [400, 400]


def test_faults_strike_questions_however_they_are_asked(shop: Shop) -> None:
    _, by_body, by_query = shop.ask(
        ("POST", "/orders", {"json": {"prompt": "x [[simulate:rate_limit on=poll times=1]]"}}),
        ("POST", "/orders/query", {"json": {"JobId": "7"}}),
        ("GET", "/orders/query", {"params": {"task_id": "7"}, "headers": {"x-simulate": "unavailable"}}),
    )

    assert [by_body.status_code, by_query.status_code] == [429, 503]


def test_the_other_form_of_an_answer_holds_for_the_call_and_its_task(shop: Shop) -> None:
    answers = shop.ask(
        ("POST", "/orders", {"json": {"prompt": "x [[simulate:wrapped]]"}}),
        ("GET", "/orders/query", {"params": {"task_id": "7"}}),
    )

    assert [answer.json()["wrapped"] for answer in answers] == [True, True]
    assert "x-simulator-warning" not in answers[0].headers


def test_content_at_a_path_of_its_own_breaks_like_any_download(shop: Shop) -> None:
    async def content(exchange: Exchange) -> Response:
        rendering = await shop.world.studio.make(Vector("x", 64, 64))
        file = shop.world.files.get("x.svg") or shop.world.files.publish("x.svg", rendering)
        return await answer_file(shop.world, file, exchange)

    shop.site.routes.get("/content", content)
    whole, dead = shop.ask(("GET", "/content", {}), ("GET", "/content", {"headers": {"x-simulate": "dead_link status=410"}}))

    assert (whole.status_code, whole.headers["content-type"], dead.status_code) == (200, "image/svg+xml", 410)


def test_a_handshake_is_an_exchange_and_its_headers_come_back(shop: Shop) -> None:
    async def greet(exchange: Exchange, socket: WebSocket) -> None:
        exchange.warnings.append("no such fault")
        await socket.accept()
        await socket.send_text(f"{exchange.params['room']} {exchange.request.headers['authorization']} {exchange.request.url}")
        await socket.close()

    shop.site.socket("/rooms/{room}", SHOP, greet)
    scope = {
        "type": "websocket",
        "scheme": "wss",
        "path": "/rooms/7",
        "query_string": b"model=m",
        "headers": [(b"authorization", b"Bearer k"), (b"host", b"shop")],
        "server": ("shop", 443),
        "subprotocols": [],
    }
    sent: list[Any] = []

    async def connect() -> Any:
        return {"type": "websocket.connect"}

    async def keep(message: Any) -> None:
        sent.append(message)

    shop.run(Application(shop.site)(scope, connect, keep))

    assert [message["type"] for message in sent] == ["websocket.accept", "websocket.send", "websocket.close"]
    assert dict(sent[0]["headers"])[b"x-simulator-warning"] == b"no such fault"
    assert sent[1]["text"] == "7 Bearer k https://shop/rooms/7?model=m"


def test_a_socket_where_nobody_listens_is_closed(shop: Shop) -> None:
    sent: list[Any] = []

    async def connect() -> Any:
        return {"type": "websocket.connect"}

    async def keep(message: Any) -> None:
        sent.append(message)

    shop.run(Application(shop.site)({"type": "websocket", "scheme": "ws", "path": "/shop"}, connect, keep))

    assert [message["type"] for message in sent] == ["websocket.close"]


def made(order: Order, directory: Path) -> Path:
    path = directory / f"made.{order.suffix}"
    order.make(path)
    return path


def chunks(glb: bytes) -> tuple[dict[str, Any], bytes]:
    """The JSON and the buffer of a binary glTF."""
    magic, version, length = struct.unpack_from("<4sII", glb)
    assert (magic, version, length) == (b"glTF", 2, len(glb))
    size, kind = struct.unpack_from("<I4s", glb, 12)
    assert kind == b"JSON"
    binary_size, binary_kind = struct.unpack_from("<I4s", glb, 20 + size)
    assert binary_kind == b"BIN\0"
    assert 28 + size + binary_size == len(glb)
    return json.loads(glb[20 : 20 + size]), glb[28 + size :]


def test_a_glb_describes_its_buffer_to_the_byte(tmp_path: Path) -> None:
    scene, binary = chunks(made(Model3D("a vase"), tmp_path).read_bytes())
    position, _, _, faces = scene["accessors"]

    def content(number: int) -> bytes:
        view = scene["bufferViews"][number]
        assert view["byteOffset"] % 4 == 0
        return binary[view["byteOffset"] : view["byteOffset"] + view["byteLength"]]

    points = list(struct.iter_unpack("<3f", content(position["bufferView"])))
    corners = [corner for (corner,) in struct.iter_unpack("<I", content(faces["bufferView"]))]
    assert (len(points), len(corners)) == (position["count"], faces["count"])
    assert max(corners) == len(points) - 1
    assert [min(axis) for axis in zip(*points, strict=True)] == position["min"]
    assert [max(axis) for axis in zip(*points, strict=True)] == position["max"]
    assert scene["buffers"] == [{"byteLength": len(binary)}]
    texture = Image.open(io.BytesIO(content(scene["images"][0]["bufferView"])))
    assert texture.size == (512, 512)


def test_a_model_without_texture_has_none(tmp_path: Path) -> None:
    scene, _ = chunks(made(Model3D("a vase", textured=False), tmp_path).read_bytes())

    assert "images" not in scene


def test_a_gltf_carries_its_buffer(tmp_path: Path) -> None:
    scene = json.loads(made(Model3D("a vase", "gltf"), tmp_path).read_text())

    buffer = scene["buffers"][0]
    assert buffer["uri"].startswith("data:application/octet-stream;base64,")


def facets(stl: bytes) -> list[tuple[float, ...]]:
    (count,) = struct.unpack_from("<I", stl, 80)
    assert len(stl) == 84 + 50 * count
    return [struct.unpack_from("<12f", stl, 84 + 50 * number) for number in range(count)]


def test_every_facet_of_an_stl_looks_outward(tmp_path: Path) -> None:
    for facet in facets(made(Model3D("a vase", "stl"), tmp_path).read_bytes()):
        east, _, south, x, _, z = facet[:6]
        assert east * x + south * z > 0


def test_an_obj_names_only_corners_it_has(tmp_path: Path) -> None:
    lines = [line.split() for line in made(Model3D("a vase", "obj"), tmp_path).read_text().splitlines()]
    corners = sum(line[0] == "v" for line in lines)
    faces = [line[1:] for line in lines if line[0] == "f"]

    assert {line[0] for line in lines} == {"#", "v", "vt", "vn", "f"}
    assert corners > 500
    assert {int(part) for face in faces for corner in face for part in corner.split("/")} <= set(range(1, corners + 1))


def test_a_zipped_obj_brings_its_material_and_texture(tmp_path: Path) -> None:
    with zipfile.ZipFile(made(Model3D("a vase", "zip"), tmp_path)) as archive:
        assert archive.namelist() == ["model.obj", "model.mtl", "texture.png"]
        assert "mtllib model.mtl" in archive.read("model.obj").decode()
        assert "map_Kd texture.png" in archive.read("model.mtl").decode()
        assert Image.open(io.BytesIO(archive.read("texture.png"))).size == (512, 512)


@pytest.mark.parametrize("model_format", get_args(ModelFormat))
def test_a_model_is_its_text(model_format: ModelFormat, tmp_path: Path) -> None:
    first = made(Model3D("a", model_format), tmp_path).read_bytes()

    assert made(Model3D("a", model_format), tmp_path).read_bytes() == first
    assert made(Model3D("b", model_format), tmp_path).read_bytes() != first


def notes(track: bytes) -> tuple[list[int], int]:
    """Pitches that begin, and the ticks until the end of the track."""
    pitches, ticks, at = [], 0, 0
    while at < len(track):
        delta = 0
        while track[at] & 0x80:
            delta, at = (delta | track[at] & 0x7F) << 7, at + 1
        ticks, at = ticks + (delta | track[at]), at + 1
        if track[at] == 0xFF:
            at += 3 + track[at + 2]
        else:
            if track[at] == 0x90:
                pitches.append(track[at + 1])
            at += 3
    return pitches, ticks


@pytest.mark.parametrize("seconds", [0.1, 2.0, 61.3])
def test_a_midi_file_is_as_long_as_ordered(seconds: float, tmp_path: Path) -> None:
    content = made(Midi("a tune", seconds), tmp_path).read_bytes()
    magic, size, midi_format, tracks, per_beat = struct.unpack_from(">4sIHHH", content)
    name, length = struct.unpack_from(">4sI", content, 14)

    assert (magic, size, midi_format, tracks, name, length) == (b"MThd", 6, 0, 1, b"MTrk", len(content) - 22)
    pitches, ticks = notes(content[22:])
    assert ticks / per_beat / 2 == pytest.approx(seconds, abs=0.002)  # 120 beats a minute
    assert all(55 <= pitch <= 79 for pitch in pitches)
    assert content.endswith(b"\x00\xff\x2f\x00")


@pytest.mark.parametrize("text", ["", 'a <kite> & "tail"', "naïve — 日本語", "x" * 40_000, "\ud800\x00\x1b"])
def test_a_vector_drawing_of_any_text_is_xml_of_the_ordered_size(text: str, tmp_path: Path) -> None:
    root = ElementTree.parse(made(Vector(text, 640, 360), tmp_path)).getroot()

    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert (root.get("width"), root.get("height"), root.get("viewBox")) == ("640", "360", "0 0 640 360")


@pytest.mark.parametrize("sound_format", get_args(SoundFormat))
def test_every_sound_format_opens_and_is_as_long_as_ordered(sound_format: SoundFormat, tmp_path: Path) -> None:
    path = made(Sound("a tune", 1.5, sound_format), tmp_path)
    if sound_format == "pcm":
        assert path.stat().st_size == 1.5 * 24_000 * 2
        return
    with av.open(str(path)) as container:
        seconds = sum(frame.samples / frame.sample_rate for frame in container.decode(audio=0))

    assert seconds == pytest.approx(1.5, abs=0.1)


def test_files_of_an_earlier_run_keep_their_media_type(tmp_path: Path) -> None:
    orders: list[Order] = [Model3D("x"), Midi("x", 1), Vector("x", 64, 64), Picture("x", 64, 64, "webp")]

    async def publish() -> None:
        studio = Studio(tmp_path / "renderings", renderers=1)
        store = FileStore(tmp_path / "files")
        for order in orders:
            store.publish(f"x.{order.suffix}", await studio.make(order))
        studio.close()

    asyncio.run(publish())
    found = FileStore(tmp_path / "files")

    for order in orders:
        file = found.get(f"x.{order.suffix}")
        assert file is not None
        assert file.media_type == order.media_type


def test_a_form_is_read_in_the_order_it_was_sent() -> None:
    encoded = httpx2.Request("POST", "http://x", data={"b": "1", "a": "2"}, files={"f": ("f.bin", b"\x00\xff", "x/y")})
    body = encoded.read()

    async def receive() -> Any:
        return {"type": "http.request", "body": body}

    headers = [(b"content-type", encoded.headers["content-type"].encode())]
    form = asyncio.run(read_form(Request({"type": "http", "method": "POST", "headers": headers}, receive)))

    assert list(form.items()) == [("b", "1"), ("a", "2"), ("f", Upload("f.bin", "x/y", b"\x00\xff"))]
