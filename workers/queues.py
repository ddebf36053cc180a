"""The queues: one per modality for submits, a lane each for its polls and its outputs, and two for the house."""

from __future__ import annotations

from jobs.states import MODALITIES

CONTROL = "control"
WEBHOOK = "webhook"


def submit_lane(modality: str) -> str:
    return modality


def poll_lane(modality: str) -> str:
    return f"{modality}.poll"


def collect_lane(modality: str) -> str:
    return f"{modality}.collect"


def lanes_of(modality: str) -> tuple[str, str, str]:
    return submit_lane(modality), poll_lane(modality), collect_lane(modality)


ALL = (*(lane for modality in MODALITIES for lane in lanes_of(modality)), WEBHOOK, CONTROL)


class UnknownQueue(ValueError):
    """No such modality or lane."""


def resolve(names: list[str]) -> list[str]:
    """Queues for what an operator typed: a modality means its three lanes, nothing means everything.

    Raises UnknownQueue with the names there are.
    """
    chosen: list[str] = []
    for name in names or list(ALL):
        if name in MODALITIES and names:
            chosen += lanes_of(name)
        elif name in ALL:
            chosen.append(name)
        elif name == "submit":
            chosen += [submit_lane(modality) for modality in MODALITIES]
        elif name == "poll":
            chosen += [poll_lane(modality) for modality in MODALITIES]
        elif name == "collect":
            chosen += [collect_lane(modality) for modality in MODALITIES]
        else:
            known = ", ".join((*MODALITIES, "submit", "poll", "collect", WEBHOOK, CONTROL))
            raise UnknownQueue(f"{name!r} is no queue; there are {known}, and single lanes like video.poll")
    return list(dict.fromkeys(chosen))
