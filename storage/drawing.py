"""SVG: pictures that are documents. Taken only where one was ordered, and only if nothing in it acts or points elsewhere.

A file that passes holds shapes, text, gradients and embedded pixels. What a browser would run, load or follow is refused,
so that the file is as harmless as a photograph, whoever opens it.
"""

import math
import re
from pathlib import Path
from xml.parsers import expat

from storage.deadline import Deadline
from storage.errors import MediaBroken, MediaRefused
from storage.media import MAX_INSPECT_S, Facts
from storage.names import TYPES

_NAMESPACE = "http://www.w3.org/2000/svg"
_CHUNK_BYTES = 1 << 16
#: Levels of elements. Drawings nest groups, not towers.
_DEEPEST = 256

#: Elements that run, load or embed something.
_ACTIVE = frozenset(
    {"script", "foreignobject", "iframe", "embed", "object", "audio", "video", "canvas", "handler", "listener", "link", "set"}
)
#: Where an attribute names another thing: only one of the same file, or pixels that are in it.
_POINTERS = frozenset({"href", "src", "from", "to", "values", "by"})
_INSIDE = re.compile(r"\s*(#|data:image/(png|jpeg|jpg|webp|gif);base64,|$)", re.I)
_OUTSIDE_STYLE = re.compile(
    r"@import|url\(\s*(?![\s'\"]*(#|data:image/(png|jpeg|jpg|webp|gif);base64,))|javascript:|expression\(", re.I
)
_LENGTH = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(px)?\s*", re.I)


def inspect_drawing(path: Path, *, max_s: float = MAX_INSPECT_S) -> Facts:
    """The facts of the SVG at `path`; its size in pixels where it says one.

    Raises MediaBroken if it is empty or no well-formed XML, MediaRefused (output_type_refused) for anything active or
    pointing, (output_type_mismatch) for XML that is no SVG. OSError if `path` cannot be read.
    """
    size_bytes = path.stat().st_size
    if not size_bytes:
        raise MediaBroken("output_empty", "the file is empty")
    reader = _Reader()
    deadline = Deadline(max_s)
    try:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK_BYTES):
                deadline.check()
                reader.feed(chunk)
            reader.feed(b"", last=True)
    except expat.ExpatError as error:
        raise MediaBroken("output_unreadable", f"the SVG is not well-formed XML: {expat.ErrorString(error.code)}") from None
    return Facts("image", TYPES["svg"], "svg", size_bytes, *reader.size)


class _Reader:
    def __init__(self) -> None:
        self._parser = expat.ParserCreate(namespace_separator=" ")
        self._parser.buffer_text = True
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._text
        self._parser.StartDoctypeDeclHandler = self._doctype
        self._parser.ProcessingInstructionHandler = self._instruction
        self._depth = 0
        self._styling = False
        self.size: tuple[int | None, int | None] = (None, None)

    def feed(self, chunk: bytes, *, last: bool = False) -> None:
        self._parser.Parse(chunk, last)

    def _start(self, qualified: str, attributes: dict[str, str]) -> None:
        namespace, _, name = qualified.rpartition(" ")
        name = name.lower()
        if self._depth == 0:
            if name != "svg" or namespace not in (_NAMESPACE, ""):
                raise MediaRefused("output_type_mismatch", "the file is XML, not an SVG picture")
            self.size = _size(attributes)
        self._depth += 1
        if self._depth > _DEEPEST:
            raise _refused("a tower of elements")
        if name in _ACTIVE:
            raise _refused(f"a <{name}>")
        self._styling = name == "style"
        for attribute, value in attributes.items():
            _check_attribute(attribute.rpartition(" ")[2].lower(), value)

    def _end(self, qualified: str) -> None:
        self._depth -= 1
        self._styling = False

    def _text(self, text: str) -> None:
        if self._styling and _OUTSIDE_STYLE.search(text):
            raise _refused("a style that loads something")

    def _doctype(self, name: str, system: str | None, public: str | None, internal: int) -> None:
        # The plain declaration of old editors names a DTD that nobody fetches; one that defines entities is a trap.
        if internal:
            raise _refused("a document type with definitions")

    def _instruction(self, target: str, data: str) -> None:
        raise _refused(f"a processing instruction <?{target[:40]}?>")


def _check_attribute(name: str, value: str) -> None:
    if name.startswith("on"):
        raise _refused(f"an event handler {name[:40]}")
    if name in ("href", "src") and not _INSIDE.match(value):
        raise _refused(f"a {name} that leaves the file")
    if name in _POINTERS and "javascript:" in value.lower():
        raise _refused("a script in an animation")
    if _OUTSIDE_STYLE.search(value):
        raise _refused(f"a {name[:40]} that loads something")


def _size(attributes: dict[str, str]) -> tuple[int | None, int | None]:
    width, height = (_pixels(attributes.get(name, "")) for name in ("width", "height"))
    if width is None or height is None:
        box = attributes.get("viewBox", "").replace(",", " ").split()
        width, height = (_pixels(box[2]), _pixels(box[3])) if len(box) == 4 else (None, None)
    return width, height


def _pixels(text: str) -> int | None:
    hit = _LENGTH.fullmatch(text[:40])
    value = float(hit[1]) if hit else 0.0
    return round(value) if value >= 1 and math.isfinite(value) and value < 1e7 else None


def _refused(what: str) -> MediaRefused:
    return MediaRefused("output_type_refused", f"the SVG holds {what}")
