"""The embedded system: everything `mediamill serve` starts, watches and stops. One process tree on one machine.

plan.py         which parts there are, and with which settings       supervisor.py   starts, watches, restarts, stops them
run.py          the life of one `serve`, from lock to exit code      leash.py        a child ends when its parent does
web.py          the API under uvicorn                                broker.py       the Redis that needs no installation
notify.py       "I am ready", in systemd's words                     folder.py       lock, secrets, address in the data folder
ports.py        sockets bound before anything starts
"""
