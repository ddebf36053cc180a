"""OpenAI realtime: one spoken reply over a WebSocket.

Source: audio.md section 4 (cometapi-dev/cometapi-realtime-agents; the vendor's own event types). The facts leave open:

* which dialect the gateway speaks. Here it is the present one (GA) until a ``session.update`` has the beta shape, and
  the beta for whoever asks for it with ``OpenAI-Beta: realtime=v1`` or the subprotocol ``openai-beta.realtime-v1``.
  ``variant dialect=`` fixes it: ``ga`` and ``beta_only`` refuse updates of the other shape, ``beta`` answers either in
  the beta, ``mixed`` has GA objects under beta event names, which is what CometAPI's demo expects;
* what a refused handshake looks like. Here it is an HTTP status with the gateway's envelope, 404 for an unknown model;
  ``variant refused=inside`` accepts first, sends the ``error`` event and closes (1008, for an unknown model 1002);
* the words of ``error`` events beside ``invalid_api_key``: here they are the vendor's, ``by=gateway`` has the gateway's;
* which models there are: every name with ``realtime`` in it is one.

A response costs money from ``response.create`` on. Faults in the header of the handshake hold for the connection, in the
instructions for the session, in an item for the next response. Those that refuse strike the handshake when they stand in
the header or in a rule without ``prompt_contains``; in text they turn ``response.create`` into an ``error`` event.
``moderation`` ends a response as incomplete by the content filter, after a part of it; ``failed`` as failed, with ``code=``
as its error. ``truncated_body`` and ``reset_after_accept`` break the connection, ``truncated_json`` and ``wrong_shape`` spoil
``response.done``, ``unknown_status`` puts its word there.

Not played: turn detection (the client commits its audio and asks for the response), tools, transcripts of what was heard.
"""

from __future__ import annotations

from starlette.websockets import WebSocket

from simulator.exchange import Exchange
from simulator.listing import ModelCard
from simulator.providers.openai_realtime.door import MODELS, open_door
from simulator.providers.openai_realtime.wire import REALTIME
from simulator.site import Site


def register(site: Site) -> None:
    async def talk(exchange: Exchange, socket: WebSocket) -> None:
        await open_door(site.world, exchange, socket)

    site.socket("/v1/realtime", REALTIME, talk)
    site.world.models += [ModelCard(model, "OpenAI", "audio", "realtime", input=4.0, output=16.0) for model in MODELS]
