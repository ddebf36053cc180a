"""Models: a vase turned on a lathe, its profile from the prompt, with the prompt's picture glazed on.

One surface, written in the formats a 3D service hands out: glTF in one binary file or as JSON, Wavefront OBJ alone or
zipped with its material and texture, binary STL. Metres, y up (STL, which has neither, the same).
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import math
import struct
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from simulator.media import picture

Point = tuple[float, float, float]

_RINGS, _SECTORS = 24, 32

_HEIGHT_M = 0.3

_TEXTURE_PX = 512

#: Numbers of the glTF 2.0 specification.
_FLOAT, _UINT32, _ARRAY, _ELEMENTS = 5126, 5125, 34962, 34963

#: Zipped files carry this moment instead of the present: equal orders make equal files.
_ZIP_DATE = (2026, 1, 1, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class Mesh:
    """Corners with their normals and texture coordinates, and triangles as numbers of corners, counter-clockwise."""

    points: list[Point]
    normals: list[Point]
    #: Origin at the upper left, as in glTF.
    texture: list[tuple[float, float]]
    triangles: list[tuple[int, int, int]]


def turn(text: str) -> Mesh:
    """The vase. Its seam has two sets of corners, where the texture begins and ends."""
    shape = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
    waves = [(1 + i, (shape[i] / 255 - 0.5) * 0.05 / (1 + i), shape[8 + i] / 40) for i in range(4)]

    def radius(height: float) -> float:
        return 0.08 + sum(size * math.sin(math.pi * times * height + phase) for times, size, phase in waves)

    mesh = Mesh([], [], [], [])
    for ring in range(_RINGS + 1):
        height = ring / _RINGS
        slope = (radius(height + 0.01) - radius(height - 0.01)) / (0.02 * _HEIGHT_M)
        length = math.hypot(1.0, slope)
        for sector in range(_SECTORS + 1):
            angle = 2 * math.pi * sector / _SECTORS
            east, south = math.cos(angle), math.sin(angle)
            mesh.points.append((radius(height) * east, height * _HEIGHT_M, radius(height) * south))
            mesh.normals.append((east / length, -slope / length, south / length))
            mesh.texture.append((1 - sector / _SECTORS, 1 - height))
    row = _SECTORS + 1
    for ring in range(_RINGS):
        for sector in range(_SECTORS):
            here = ring * row + sector
            mesh.triangles.extend([(here, here + row, here + 1), (here + 1, here + row, here + row + 1)])
    return mesh


def save(text: str, model_format: str, textured: bool, path: Path) -> None:
    mesh = turn(text)
    match model_format:
        case "glb":
            path.write_bytes(_glb(mesh, _png(text) if textured else None))
        case "gltf":
            path.write_text(_gltf(mesh, _png(text) if textured else None))
        case "obj":
            path.write_text(_obj(mesh, material=False))
        case "zip":
            _zip(mesh, text, textured, path)
        case "stl":
            path.write_bytes(_stl(mesh))
        case other:
            raise ValueError(f"no writer for {other}")


def _png(text: str) -> bytes:
    file = io.BytesIO()
    picture.draw(text, _TEXTURE_PX, _TEXTURE_PX).save(file, "PNG")
    return file.getvalue()


def _glb(mesh: Mesh, texture: bytes | None) -> bytes:
    """glTF 2.0, section 4 "GLB File Format": a header and two chunks, each padded to four bytes."""
    scene, binary = _scene(mesh, texture)
    text = json.dumps(scene, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 4)
    chunks = struct.pack("<I4s", len(text), b"JSON") + text + struct.pack("<I4s", len(binary), b"BIN\0") + binary
    return struct.pack("<4sII", b"glTF", 2, 12 + len(chunks)) + chunks


def _gltf(mesh: Mesh, texture: bytes | None) -> str:
    """The same with its buffer inside, so that it is one file."""
    scene, binary = _scene(mesh, texture)
    scene["buffers"][0]["uri"] = "data:application/octet-stream;base64," + base64.b64encode(binary).decode()
    return json.dumps(scene)


def _scene(mesh: Mesh, texture: bytes | None) -> tuple[dict[str, Any], bytes]:
    """The JSON and the buffer it describes."""
    binary = bytearray()
    views: list[dict[str, int]] = []

    def add(content: bytes, target: int | None) -> int:
        view = {"buffer": 0, "byteOffset": len(binary), "byteLength": len(content)}
        views.append(view if target is None else {**view, "target": target})
        binary.extend(content + b"\0" * (-len(content) % 4))
        return len(views) - 1

    corners = len(mesh.points)
    position = {
        "bufferView": add(_floats(mesh.points), _ARRAY),
        "componentType": _FLOAT,
        "count": corners,
        "type": "VEC3",
        "min": [_single(min(point[axis] for point in mesh.points)) for axis in range(3)],
        "max": [_single(max(point[axis] for point in mesh.points)) for axis in range(3)],
    }
    normal = {"bufferView": add(_floats(mesh.normals), _ARRAY), "componentType": _FLOAT, "count": corners, "type": "VEC3"}
    where = {"bufferView": add(_floats(mesh.texture), _ARRAY), "componentType": _FLOAT, "count": corners, "type": "VEC2"}
    numbers = [number for triangle in mesh.triangles for number in triangle]
    faces = {
        "bufferView": add(struct.pack(f"<{len(numbers)}I", *numbers), _ELEMENTS),
        "componentType": _UINT32,
        "count": len(numbers),
        "type": "SCALAR",
    }
    surface: dict[str, Any] = {"metallicFactor": 0.0, "roughnessFactor": 0.6}
    primitive = {"attributes": {"POSITION": 0, "NORMAL": 1, "TEXCOORD_0": 2}, "indices": 3, "material": 0}
    scene: dict[str, Any] = {
        "asset": {"version": "2.0", "generator": "mediamill simulator"},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0}],
        "meshes": [{"primitives": [primitive]}],
        "materials": [{"pbrMetallicRoughness": surface, "doubleSided": True}],
        "accessors": [position, normal, where, faces],
    }
    if texture is not None:
        surface["baseColorTexture"] = {"index": 0}
        scene["textures"] = [{"source": 0}]
        scene["images"] = [{"bufferView": add(texture, None), "mimeType": "image/png"}]
    scene["bufferViews"] = views
    scene["buffers"] = [{"byteLength": len(binary)}]
    return scene, bytes(binary)


def _floats(rows: list[Point] | list[tuple[float, float]]) -> bytes:
    values = [value for row in rows for value in row]
    return struct.pack(f"<{len(values)}f", *values)


def _single(value: float) -> float:
    """As the buffer holds it: validators compare the bounds exactly."""
    rounded: float = struct.unpack("<f", struct.pack("<f", value))[0]
    return rounded


def _obj(mesh: Mesh, *, material: bool) -> str:
    lines = ["# mediamill simulator"]
    if material:
        lines += ["mtllib model.mtl", "usemtl glaze"]
    lines += [f"v {x:.6f} {y:.6f} {z:.6f}" for x, y, z in mesh.points]
    lines += [f"vt {across:.6f} {1 - down:.6f}" for across, down in mesh.texture]
    lines += [f"vn {x:.6f} {y:.6f} {z:.6f}" for x, y, z in mesh.normals]
    lines += ["f " + " ".join(f"{n + 1}/{n + 1}/{n + 1}" for n in triangle) for triangle in mesh.triangles]
    return "\n".join(lines) + "\n"


def _zip(mesh: Mesh, text: str, textured: bool, path: Path) -> None:
    material = "newmtl glaze\nKd 0.8 0.8 0.8\n"
    if textured:
        material += "map_Kd texture.png\n"
    parts: list[tuple[str, str | bytes]] = [("model.obj", _obj(mesh, material=True)), ("model.mtl", material)]
    if textured:
        parts.append(("texture.png", _png(text)))
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in parts:
            archive.writestr(zipfile.ZipInfo(name, _ZIP_DATE), content, zipfile.ZIP_DEFLATED)


def _stl(mesh: Mesh) -> bytes:
    """80 bytes of anything but ``solid``, the number of triangles, and 50 bytes for each."""
    facets = [struct.pack("<80sI", b"mediamill simulator", len(mesh.triangles))]
    for triangle in mesh.triangles:
        a, b, c = (mesh.points[number] for number in triangle)
        facets.append(struct.pack("<12fH", *_facing(a, b, c), *a, *b, *c, 0))
    return b"".join(facets)


def _facing(a: Point, b: Point, c: Point) -> Point:
    along = [b[i] - a[i] for i in range(3)]
    across = [c[i] - a[i] for i in range(3)]
    normal = (
        along[1] * across[2] - along[2] * across[1],
        along[2] * across[0] - along[0] * across[2],
        along[0] * across[1] - along[1] * across[0],
    )
    length = math.hypot(*normal) or 1.0
    return (normal[0] / length, normal[1] / length, normal[2] / length)
