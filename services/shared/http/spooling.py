"""An answer that is too large for memory: written to a temporary file first, so that it is whole or not at all."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from tempfile import SpooledTemporaryFile

from starlette.background import BackgroundTask
from starlette.responses import StreamingResponse

from services.shared.errors import Unavailable

IN_MEMORY_BYTES = 1024 * 1024
_CHUNK_BYTES = 64 * 1024
Document = SpooledTemporaryFile[bytes]


def spooled(parts: Iterable[bytes]) -> Document:
    """All parts in a file without a name, which is gone when it is closed. Raises Unavailable if there is no room for it."""
    with ExitStack() as stack:
        document: Document = stack.enter_context(SpooledTemporaryFile(IN_MEMORY_BYTES))
        try:
            for part in parts:  # `writelines` would keep all of it in memory first
                document.write(part)
        except OSError as error:
            raise Unavailable(f"the answer does not fit into the folder for temporary files: {error.strerror}") from error
        stack.pop_all()
    return document


def document_answer(document: Document, name: str) -> StreamingResponse:
    """The document as an answer of JSON to be kept as a file; closes it afterwards."""
    headers = {"Content-Length": str(document.tell()), "Content-Disposition": f'attachment; filename="{name}"'}
    document.seek(0)
    return StreamingResponse(
        _chunks(document), headers=headers, media_type="application/json", background=BackgroundTask(document.close)
    )


def _chunks(document: Document) -> Iterator[bytes]:
    with document:
        while chunk := document.read(_CHUNK_BYTES):
            yield chunk
