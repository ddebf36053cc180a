"""A stand-in for the upstream gateway (CometAPI), for tests, demonstrations and load measurements.

It speaks the gateway's own wire format, makes real media that real decoders open, keeps a ledger of every call that
would have cost money, and can be told to misbehave in the ways a gateway misbehaves. It costs nothing and needs no
network. Start it with ``python -m simulator``.

It imports nothing of the product. What it answers comes from the facts gathered about the gateway, never from the
product's catalogue: when the two agree, that is evidence, because neither was copied from the other.

    app.py          the ASGI application           routes.py     which handler owns which path
    sales.py        how a request is paid for      polls.py      a question about a task
    calls.py        a paid call and its work       spoiling.py   what a fault makes of an answer
    tasks.py        work that takes time           faults.py     what can go wrong, and who asked for it
    dialects.py     how a refusal is worded        damage.py     answers that break on the way
    ledger.py       what cost money, on disk       files.py      outputs, served at /files/{name}
    media/          pictures, sounds, clips        providers/    one file per provider, found by being there
    control.py      /_simulator, for tests         server.py     uvicorn, with a way to drop a connection

Tasks live in memory: after a restart every task id is unknown. The ledger and the output files stay on disk.
"""
