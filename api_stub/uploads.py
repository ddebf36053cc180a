"""An uploaded file on its way into storage: capped while it arrives, looked at before it is kept."""

from __future__ import annotations

from collections.abc import AsyncGenerator

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from api_stub import body
from api_stub.face import Face
from api_stub.problems import ApiProblem, invalid
from jobs.ids import new_id
from jobs.models import InputFile
from jobs.queries import files
from storage import MediaRefused, TooLarge
from storage.media import inspect
from storage.names import safe_filename
from storage.spool import Spool

#: What the multipart form may have around the file.
_FORM_BYTES = 64 << 10
_COPY_BYTES = 1 << 20


async def receive(request: Request, face: Face, tenant_id: str) -> InputFile:
    """Store the form's field `file`. 413 past the cap, 422 for what is no media."""
    body.media_type(request, {"multipart/form-data"})
    cap = face.context.settings.max_upload_bytes
    parser = MultiPartParser(request.headers, _capped(request, cap), max_files=1, max_fields=8)
    try:
        form = await parser.parse()
    except MultiPartException as error:
        raise ApiProblem(400, "malformed_form", error.message) from None
    except KeyError:
        raise ApiProblem(400, "malformed_form", "the Content-Type names no boundary") from None
    except UnicodeError:
        # Of charsets that are none for text: punycode, idna, undefined.
        raise ApiProblem(400, "malformed_form", "the form cannot be read in the charset that the Content-Type names") from None
    try:
        upload = form.get("file")
        if not isinstance(upload, UploadFile):
            raise invalid([{"loc": "file", "code": "missing_field", "msg": "is required: a file part of this name"}])
        return await run_in_threadpool(_keep, face, tenant_id, upload, cap)
    finally:
        await form.close()


async def _capped(request: Request, cap: int) -> AsyncGenerator[bytes, None]:
    try:
        async for chunk in body.chunks(request, cap + _FORM_BYTES):
            yield chunk
    except ApiProblem as problem:
        raise body.too_large(cap) if problem.status == 413 else problem from None
    yield b""


def _keep(face: Face, tenant_id: str, upload: UploadFile, cap: int) -> InputFile:
    store, file_id = face.context.store, new_id("file")
    with Spool(face.context.spool_folder, max_bytes=cap) as spool:
        try:
            while chunk := upload.file.read(_COPY_BYTES):
                spool.write(chunk)
        except TooLarge:
            raise body.too_large(cap) from None
        file = spool.rewound()
        try:
            facts = inspect(spool.path)
        except MediaRefused as error:
            raise invalid([{"loc": "file", "code": error.code, "msg": error.message}]) from None
        key = f"files/{file_id}.{facts.extension}"
        store.put(key, file, size_bytes=spool.size_bytes, media_type=facts.media_type, sha256=spool.sha256)
        with face.context.database.transaction() as session:
            return files.add(
                session,
                file_id,
                tenant_id,
                filename=safe_filename(upload.filename or f"file.{facts.extension}"),
                kind=facts.kind,
                media_type=facts.media_type,
                size_bytes=spool.size_bytes,
                sha256=spool.sha256,
                key=key,
            )
