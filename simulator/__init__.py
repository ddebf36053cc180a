"""A stand-in for the upstream gateway (CometAPI), for tests, demonstrations and load measurements.

It speaks the gateway's own wire format, makes real media that real decoders open, keeps a ledger of every call that
would have cost money, and can be told to misbehave in the ways a gateway misbehaves. It costs nothing and needs no
network. Start it with ``mediamill simulator`` or ``python -m simulator``.

It imports nothing of the product. What it answers comes from the facts gathered about the gateway, never from the
product's catalogue: when the two agree, that is evidence, because neither was copied from the other.

A request on its way:

    server.py       uvicorn, with a way to drop a connection
    app.py          the ASGI application: finds the handler, adds the headers every answer has
    site.py         what a provider registers with
    routes.py       which handler owns which path
    exchange.py     one request, and how it is refused
    keys.py         who is let in, and what may be wrong with a key
    uploads.py      forms with files in them
    fields.py       checks of request fields
    sales.py        how a request becomes a paid call
    calls.py        a paid call and its work
    polls.py        a question about a task
    downloads.py    a request for an output

What it works with:

    world.py        everything the handlers share
    tasks.py        work that takes time
    files.py        outputs, served at /files/{name}
    ledger.py       what cost money, on disk
    till.py         what was paid, given back, and is left
    load.py         how much is in flight
    limits.py       how much of it is too much
    answers.py      how often what was answered
    agenda.py       what will happen at a known time
    listing.py      a model in the model lists
    callbacks.py    telling a callback URL about a task
    media/          pictures, sounds, clips, models, drawings, notes
    prose.py        what text models say

What it says, and what goes wrong on purpose:

    dialects.py     how a refusal is worded
    task_rows.py    the gateway's own row around a vendor's answer
    faults.py       what can go wrong, and who asked for it
    spoiling.py     what a fault makes of an answer
    damage.py       answers that break on the way

Around it:

    providers/      one module per provider, found by being there
    control.py      /_simulator, for tests
    config.py       what a simulator is started with
    cli.py          the command line
    __main__.py     python -m simulator

The reference for its users is docs/reference/simulator.md.
Tasks live in memory: after a restart every task id is unknown. The ledger and the output files stay on disk.
"""
