"""Media in an input, handed to the provider in a form it takes.

An address, a data: URI, base64, an uploaded file and another job's artifact are all the same to the user. What the provider
takes as it stands is passed on untouched; everything else is fetched, decoded or stored, and given the form it likes best.
"""

from __future__ import annotations

import base64
import copy
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from sqlmodel import Session

from jobs.catalogue import asking, media
from jobs.catalogue.media import Place
from jobs.catalogue.spec import MediaForm, Operation
from jobs.errors import JobError
from jobs.models import Job
from jobs.queries import artifacts, files
from storage import MediaRefused, StorageError, StorageUnavailable
from storage import media as stored_media
from storage.names import OCTET_STREAM, TYPES
from storage.spool import Spool
from workers import egress, inbound
from workers.context import Context, egress_rules

#: Links to media of ours live as long as a slow provider may take to fetch them.
_LINK_S = 86_400
#: Larger media are never put into a request.
_MOST_INLINE_BYTES = 32 << 20
_FETCH_S = 120.0
#: Signed addresses are long.
_MOST_URL_CHARS = 8192

_DATA_URI = re.compile(r"data:([^;,]+)(?:;[^;,]+)*;base64,", re.I)

#: Media type to the ending of a file name; providers tell the format of an upload by it.
_ENDINGS = {media_type: ending for ending, media_type in reversed(TYPES.items()) if media_type != OCTET_STREAM}
_SAME_ENDING = {"jpeg": "jpg", "tif": "tiff", "wave": "wav", "mpga": "mp3", "oga": "ogg"}


class InputUnavailable(Exception):
    """A medium of the input cannot be handed over. `temporary`: it is still there, and may be had later."""

    def __init__(self, message: str, *, temporary: bool = False, code: str = "invalid_input") -> None:
        super().__init__(message)
        self.temporary = temporary
        self.code = code

    def as_job_error(self) -> JobError:
        return JobError(code=self.code, message=str(self), retryable=self.temporary)


class Stored(NamedTuple):
    """A medium that lies in our storage."""

    key: str
    filename: str
    media_type: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Held:
    """A medium whose bytes are in memory."""

    filename: str
    media_type: str
    content: bytes


def with_media(context: Context, job: Job, op: Operation, given: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of the input with every medium in a form the provider takes. Raises InputUnavailable."""
    places = media.places(op, given)
    if not places:
        return dict(given)
    ready = copy.deepcopy(dict(given))
    for place in places:
        try:
            _hand_over(context, job, ready, place)
        except StorageError as error:
            temporary = isinstance(error, StorageUnavailable)
            message = f"{_named(place)}: storage failed: {error}"
            raise InputUnavailable(message, temporary=temporary, code="storage_unavailable") from error
    return ready


def _hand_over(context: Context, job: Job, ready: dict[str, Any], place: Place) -> None:
    parent: Any = ready
    for step in place.path[:-1]:
        parent = parent[step]
    last = place.path[-1]
    where = _named(place)
    value = parent[last]
    if isinstance(value, str) and (form := _stands_as(value)) in place.forms:
        if form != "url":
            # What is broken is found out here, where it costs nothing.
            _decoded(value, where)
        media_type = _declared_type(value)
    else:
        source = _held(context, value, place) if isinstance(value, str) else _found(context, job, value, where)
        parent[last] = _formed(context, job, source, place)
        media_type = _bare(source.media_type)
    if place.media_type_field and media_type and isinstance(parent, dict):
        parent.setdefault(place.media_type_field, media_type)


def _stands_as(value: str) -> MediaForm:
    if value.startswith(("https://", "http://")):
        return "url"
    return "data_uri" if value[:5].lower() == "data:" else "base64"


def _declared_type(value: str) -> str | None:
    hit = _DATA_URI.match(value)
    return hit[1].lower() if hit else None


def _bare(media_type: str) -> str:
    """Without its parameters."""
    return media_type.partition(";")[0].strip().lower()


def _found(context: Context, job: Job, value: dict[str, Any], where: str) -> Stored:
    """The uploaded file or the artifact that the input points at."""
    with context.database.read() as session:
        if media.is_file(value):
            return _file(session, job, value["file"], where)
        return _artifact(session, job, value["job"], value["artifact"], where)


def _file(session: Session, job: Job, file_id: str, where: str) -> Stored:
    file = files.get(session, job.tenant_id, file_id)
    if file is None:
        raise InputUnavailable(f"{where} names {file_id}, which was deleted before the job started.", code="reference_unresolved")
    return Stored(file.key, file.filename, file.media_type, file.size_bytes)


def _artifact(session: Session, job: Job, job_id: str, index: int, where: str) -> Stored:
    found = artifacts.of_job(session, job.tenant_id, job_id)
    for one in found:
        if one.index == index:
            return Stored(one.key, f"{job_id}-{index}.{one.key.rpartition('.')[2]}", one.media_type, one.size_bytes)
    has = f"it has {len(found)}, counted from 0" if found else "it has none"
    raise InputUnavailable(f"{where} names artifact {index} of {job_id}: {has}.", code="reference_unresolved")


def _held(context: Context, value: str, place: Place) -> Held:
    """The bytes behind an address, a data: URI or base64 that the provider does not take as such."""
    where = _named(place)
    with Spool(context.spool_folder, max_bytes=_MOST_INLINE_BYTES) as spool:
        if _stands_as(value) == "url":
            declared = _fetched(context, value, spool, where)
        else:
            declared = _declared_type(value)
            content = _decoded(value, where)
            if len(content) > _MOST_INLINE_BYTES:
                raise _too_large(where, len(content))
            spool.write(content)
        content = spool.rewound().read()
        media_type = _looked_at(spool, content, declared, where)
    if place.media_type_field is None and "data_uri" not in place.forms and _is_text(media_type):
        # An error page as JSON, most likely; where the type travels along, a model may well be asked about a text.
        raise InputUnavailable(f"{where} is not usable: it is text, not media.")
    return Held("input", media_type, content)


def _decoded(value: str, where: str) -> bytes:
    hit = _DATA_URI.match(value)
    encoded = value[hit.end() :] if hit else "".join(value.split())
    try:
        return base64.b64decode(encoded, validate=True)
    except ValueError:
        raise InputUnavailable(f"{where} is not valid base64.") from None


def _fetched(context: Context, url: str, spool: Spool, where: str) -> str | None:
    """What stands behind the address into the spool; the media type that its server names."""
    try:
        got = context.loop.run(_fetch(context, url, spool))
    except egress.UrlRefused as error:
        raise InputUnavailable(f"{where}: the address is refused: {error}") from error
    except egress.TooLarge as error:
        raise InputUnavailable(f"{where} is larger than {_MOST_INLINE_BYTES:,} bytes.") from error
    except egress.EgressError as error:
        raise InputUnavailable(f"{where} could not be fetched: {error}", temporary=True, code="input_unreachable") from error
    if not 200 <= got.status < 300:
        temporary = got.status >= 500 or got.status in (408, 425, 429)
        raise InputUnavailable(f"{where}: its address answers HTTP {got.status}.", temporary=temporary, code="input_unreachable")
    return _bare(got.headers.get("content-type", "")) or None


async def _fetch(context: Context, url: str, spool: Spool) -> egress.Streamed:
    # The gateway's host is trusted with outputs, wherever it is. An address that a user gave has no such credit.
    await egress.resolve_check(url, replace(egress_rules(context.settings), max_url_chars=_MOST_URL_CHARS))
    client = context.downloads.take()
    return await egress.stream_to(client, "GET", url, spool.write, total_s=_FETCH_S, cap_bytes=_MOST_INLINE_BYTES)


def _looked_at(spool: Spool, content: bytes, declared: str | None, where: str) -> str:
    """The media type, by the bytes; by whoever gave them only where bytes do not tell."""
    if content.startswith(b"%PDF-"):
        # Never an output, but a document that models read.
        return "application/pdf"
    try:
        found = stored_media.inspect(spool.path).media_type
    except MediaRefused as error:
        raise InputUnavailable(f"{where} is not usable: {error.message}.") from error
    if declared and (found == OCTET_STREAM or (_bare(found) == "text/plain" and declared.startswith("text/"))):
        return declared
    return found


def _is_text(media_type: str) -> bool:
    return media_type.startswith("text/") or _bare(media_type) in ("application/json", TYPES["srt"])


def _formed(context: Context, job: Job, source: Stored | Held, place: Place) -> Any:
    """The medium in the first of the provider's forms that it fits in."""
    where = _named(place)
    size_bytes = source.size_bytes if isinstance(source, Stored) else len(source.content)
    form = _form_for(context, size_bytes, place.forms, where)
    if form == "url":
        return _link(context, job, source)
    content = source.content if isinstance(source, Held) else _loaded(context, source, where)
    media_type = _bare(source.media_type)
    if form == "bytes":
        return asking.Part(_filename(source), media_type, content)
    encoded = base64.b64encode(content).decode()
    return encoded if form == "base64" else f"data:{media_type};base64,{encoded}"


def _form_for(context: Context, size_bytes: int, forms: tuple[MediaForm, ...], where: str) -> MediaForm:
    for form in forms:
        if _links_reach(context) if form == "url" else size_bytes <= _MOST_INLINE_BYTES:
            return form
    if set(forms) == {"url"}:
        message = (
            f"{where} is handed over as an address, and a gateway elsewhere cannot follow ours: "
            "set MEDIAMILL_PUBLIC_URL, or MEDIAMILL_STORAGE_URL, to one that can be reached from outside."
        )
        raise InputUnavailable(message, code="input_unreachable")
    raise _too_large(where, size_bytes)


def _links_reach(context: Context) -> bool:
    return inbound.reachable(context, context.store.url("inputs/any", expires_in_s=_LINK_S))


def _too_large(where: str, size_bytes: int) -> InputUnavailable:
    return InputUnavailable(f"{where} has {size_bytes:,} bytes; this operation takes {_MOST_INLINE_BYTES:,}.")


def _link(context: Context, job: Job, source: Stored | Held) -> str:
    if isinstance(source, Stored):
        return context.store.url(source.key, expires_in_s=_LINK_S, filename=_filename(source))
    with Spool(context.spool_folder, max_bytes=_MOST_INLINE_BYTES) as spool:
        spool.write(source.content)
        key = f"inputs/{job.id}/{spool.sha256[:16]}.{_ending(source.media_type)}"
        file = spool.rewound()
        context.store.put(key, file, size_bytes=spool.size_bytes, media_type=source.media_type, sha256=spool.sha256)
    return context.store.url(key, expires_in_s=_LINK_S)


def _loaded(context: Context, source: Stored, where: str) -> bytes:
    try:
        with context.store.open(source.key) as stream:
            return stream.read()
    except FileNotFoundError:
        raise InputUnavailable(f"{where}: its bytes are gone from storage.", code="reference_unresolved") from None


def _filename(source: Stored | Held) -> str:
    """The user's own name for it, with an ending that says what it is."""
    ending = source.filename.rpartition(".")[2].lower()
    if TYPES.get(_SAME_ENDING.get(ending, ending)) == source.media_type:
        return source.filename
    return f"{source.filename}.{_ending(source.media_type)}"


def _ending(media_type: str) -> str:
    known = _ENDINGS.get(media_type)
    subtype = _bare(media_type).rpartition("/")[2]
    return known or (subtype if re.fullmatch(r"[a-z0-9]{1,8}", subtype) else "bin")


def _named(place: Place) -> str:
    """`input.image_list[0].image`."""
    return "input" + "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in place.path)
