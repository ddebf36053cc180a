"""What the routes of one process share."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Annotated

from anyio import CapacityLimiter
from fastapi import Depends
from starlette.requests import Request

from api_stub.afterwards import Afterwards
from api_stub.auth import Gate
from api_stub.edge import Traffic
from api_stub.watch import Watch
from jobs.submission import Price
from workers.context import Context, egress_rules
from workers.egress import EgressRules

#: Batches being checked and stored at once; more wait. Each keeps a core busy for seconds.
_BATCHES_AT_ONCE = 2
#: Pieces of long answers (results, bundles) being made at once; more wait for a thread.
_PIECES_AT_ONCE = 8


@dataclass(frozen=True)
class Face:
    """`heavy` runs what keeps a thread busy for long, so that the threads of small requests stay free; `streams` counts the
    threads that make long answers piece by piece.
    """

    context: Context
    gate: Gate
    afterwards: Afterwards
    watch: Watch
    rules: EgressRules
    heavy: ThreadPoolExecutor
    #: What a call costs, by the price list in force.
    price: Price
    streams: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(_PIECES_AT_ONCE))
    traffic: Traffic = field(default_factory=Traffic)

    def close(self) -> None:
        self.heavy.shutdown(wait=True)
        self.afterwards.close()


def open_face(context: Context) -> Face:
    settings = context.settings
    return Face(
        context=context,
        gate=Gate(context.database, settings.bootstrap_key),
        afterwards=Afterwards(context),
        watch=Watch(context.database),
        rules=egress_rules(settings),
        heavy=ThreadPoolExecutor(_BATCHES_AT_ONCE, thread_name_prefix="batch"),
        price=context.price,
    )


async def face_of(request: Request) -> Face:
    face: Face = request.app.state.face
    return face


#: A route's way to all of this.
At = Annotated[Face, Depends(face_of)]
