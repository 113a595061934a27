"""A FastAPI route that reads the body and does nothing, served as Waypost serves."""

from __future__ import annotations

import os

from fastapi import FastAPI, Request, Response

from benchmarks.traffic import PATH
from services.cli.serving import address, listen, serve
from tests.parts.processes import READY


def main() -> None:
    app = FastAPI()

    @app.post(PATH)
    async def take(request: Request) -> Response:
        await request.body()
        return Response(status_code=202)

    taken = listen(os.environ["WAYPOST_HOST"], int(os.environ["WAYPOST_PORT"]))
    serve(app, taken, lambda: print(READY, address(taken), flush=True))


if __name__ == "__main__":
    main()
