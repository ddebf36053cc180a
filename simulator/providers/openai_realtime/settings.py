"""What a session or one response is set to, read from and written in both shapes."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from simulator.fields import Fields
from simulator.providers.openai_realtime.wire import Json, Shape, Tongue, Wrong

VOICES = ("alloy", "ash", "ballad", "coral", "echo", "sage", "shimmer", "verse", "marin", "cedar")

#: GA name of a format -> beta name, samples per second.
FORMATS: Mapping[str, tuple[str, int]] = {
    "audio/pcm": ("pcm16", 24_000),
    "audio/pcmu": ("g711_ulaw", 8_000),
    "audio/pcma": ("g711_alaw", 8_000),
}

_BETA_FORMATS = {beta: ga for ga, (beta, _) in FORMATS.items()}

_BOTH = frozenset({"instructions", "tools", "tool_choice", "tracing", "model", "prompt"})

_OF_RESPONSE = frozenset({"conversation", "metadata", "input"})

_GA_ONLY = frozenset({"type", "output_modalities", "audio"})

_GA = _BOTH | _GA_ONLY | {"include", "truncation", "max_output_tokens", "reasoning", "parallel_tool_calls"}

_BETA_ONLY = frozenset(
    {
        "modalities",
        "voice",
        "speed",
        "input_audio_format",
        "output_audio_format",
        "input_audio_transcription",
        "input_audio_noise_reduction",
        "turn_detection",
        "temperature",
        "max_response_output_tokens",
    }
)

_BETA = _BOTH | _BETA_ONLY


@dataclass(frozen=True, slots=True)
class Settings:
    #: Otherwise it writes.
    speaks: bool = True
    instructions: str = "Be helpful and friendly, and keep it short."
    #: A name, or ``{"id": ...}`` of a voice of the client's own.
    voice: Any = "alloy"
    speed: float = 1.0
    #: Formats in and out, by their GA names.
    hears: str = "audio/pcm"
    plays: str = "audio/pcm"
    #: Text and sound together; None is no limit.
    most_tokens: int | None = None
    temperature: float = 0.8
    #: Shown, not played.
    turn_detection: Any = None
    tools: list[Any] = field(default_factory=list)
    tool_choice: Any = "auto"


def shape_of(given: Collection[str], tongue: Tongue) -> Shape:
    """The shape of a ``session`` or ``response`` object; what fits both is taken for the one in use."""
    if tongue.reads is not None:
        return tongue.reads
    if _GA_ONLY.intersection(given):
        return "ga"
    return "beta" if _BETA_ONLY.intersection(given) else tongue.shape


def read_session(session: Fields, shape: Shape, before: Settings) -> Settings:
    """Raises `Wrong`."""
    if shape == "beta":
        _refuse_unknown(session, _BETA)
        return _read_beta(session, before)
    _refuse_unknown(session, _GA)
    session.need("type")
    session.one_of("type", ("realtime",))
    return _read_ga(session, before)


def read_response(response: Fields, shape: Shape, session: Settings) -> Settings:
    """The session's settings with what this response changes. Raises `Wrong`."""
    if shape == "beta":
        _refuse_unknown(response, _BETA | _OF_RESPONSE | {"max_output_tokens"})
        return _read_beta(response, session)
    _refuse_unknown(response, _GA - {"type"} | _OF_RESPONSE)
    return _read_ga(response, session)


def _refuse_unknown(fields: Fields, known: Collection[str]) -> None:
    for name in fields.given:
        if name not in known:
            path = fields.path + name
            raise Wrong("unknown_parameter", f"Unknown parameter: '{path}'.", path)


def _read_ga(fields: Fields, before: Settings) -> Settings:
    audio = fields.inside("audio")
    _refuse_unknown(audio, ("input", "output"))
    heard, played = audio.inside("input"), audio.inside("output")
    _refuse_unknown(heard, ("format", "transcription", "noise_reduction", "turn_detection"))
    _refuse_unknown(played, ("format", "voice", "speed"))
    return replace(
        _read_both(fields, before, "max_output_tokens"),
        speaks=_speaks(fields, "output_modalities", (["audio"], ["text"]), before),
        voice=_voice(played, before),
        speed=played.number("speed", 0.25, 1.5, before.speed),
        hears=_ga_format(heard, before.hears),
        plays=_ga_format(played, before.plays),
        turn_detection=heard.given.get("turn_detection", before.turn_detection),
    )


def _read_beta(fields: Fields, before: Settings) -> Settings:
    return replace(
        _read_both(fields, before, "max_response_output_tokens"),
        speaks=_speaks(fields, "modalities", (["text"], ["audio", "text"]), before),
        voice=_voice(fields, before),
        speed=fields.number("speed", 0.25, 1.5, before.speed),
        hears=_beta_format(fields, "input_audio_format", before.hears),
        plays=_beta_format(fields, "output_audio_format", before.plays),
        temperature=fields.number("temperature", 0.6, 1.2, before.temperature),
        turn_detection=fields.given.get("turn_detection", before.turn_detection),
    )


def _read_both(fields: Fields, before: Settings, limit: str) -> Settings:
    most = before.most_tokens
    if fields.given.get(limit) == "inf":
        most = None
    elif limit in fields.given:
        most = fields.whole(limit, 1, 4096)
    return replace(
        before,
        instructions=fields.text("instructions", default=before.instructions),
        most_tokens=most,
        tools=[tool.given for tool in fields.each("tools", 0, 128)] if "tools" in fields.given else before.tools,
        tool_choice=fields.given.get("tool_choice", before.tool_choice),
    )


def _speaks(fields: Fields, name: str, allowed: Collection[list[str]], before: Settings) -> bool:
    if name not in fields.given:
        return before.speaks
    wanted = fields.given[name]
    if not isinstance(wanted, list) or not all(isinstance(one, str) for one in wanted) or sorted(wanted) not in allowed:
        raise fields.wrong(name, f"must be one of {', '.join(map(str, allowed))}")
    return "audio" in wanted


def _voice(fields: Fields, before: Settings) -> Any:
    voice = fields.given.get("voice")
    if isinstance(voice, dict):
        fields.inside("voice").need("id")
        return voice
    return fields.one_of("voice", VOICES, before.voice)


def _ga_format(fields: Fields, before: str) -> str:
    if "format" not in fields.given:
        return before
    wanted = fields.inside("format")
    wanted.need("type")
    if "rate" in wanted.given:
        wanted.one_of("rate", (24_000,))
    return str(wanted.one_of("type", FORMATS))


def _beta_format(fields: Fields, name: str, before: str) -> str:
    return _BETA_FORMATS[fields.one_of(name, _BETA_FORMATS)] if name in fields.given else before


def session_of(tongue: Tongue, now: Settings, session_id: str, model: str, expires_at: int) -> Json:
    """The member ``session`` of ``session.created`` and ``session.updated``."""
    head = {"id": session_id, "object": "realtime.session", "model": model, "expires_at": expires_at}
    both = {"instructions": now.instructions, "tools": now.tools, "tool_choice": now.tool_choice, "tracing": None}
    most = now.most_tokens or "inf"
    if tongue.shape == "beta":
        return {
            **head,
            **both,
            "modalities": _modalities(tongue, now),
            "voice": now.voice,
            "speed": now.speed,
            "input_audio_format": FORMATS[now.hears][0],
            "output_audio_format": FORMATS[now.plays][0],
            "input_audio_transcription": None,
            "input_audio_noise_reduction": None,
            "turn_detection": now.turn_detection,
            "temperature": now.temperature,
            "max_response_output_tokens": most,
        }
    heard = {
        "format": _format(now.hears),
        "transcription": None,
        "noise_reduction": None,
        "turn_detection": now.turn_detection,
    }
    return {
        "type": "realtime",
        **head,
        **both,
        "output_modalities": _modalities(tongue, now),
        "max_output_tokens": most,
        "truncation": "auto",
        "prompt": None,
        "include": None,
        "audio": {"input": heard, "output": {**_played(now), "speed": now.speed}},
    }


def response_settings(tongue: Tongue, now: Settings) -> Json:
    """What a ``response`` object says about how it was made."""
    most = now.most_tokens or "inf"
    if tongue.shape == "beta":
        return {
            "modalities": _modalities(tongue, now),
            "voice": now.voice,
            "output_audio_format": FORMATS[now.plays][0],
            "temperature": now.temperature,
            "max_output_tokens": most,
        }
    return {
        "output_modalities": _modalities(tongue, now),
        "max_output_tokens": most,
        "audio": {"output": _played(now)},
    }


def _modalities(tongue: Tongue, now: Settings) -> list[str]:
    if not now.speaks:
        return ["text"]
    return ["audio", "text"] if tongue.shape == "beta" else ["audio"]


def _played(now: Settings) -> Json:
    return {"format": _format(now.plays), "voice": now.voice}


def _format(name: str) -> Json:
    return {"type": name, "rate": 24_000} if name == "audio/pcm" else {"type": name}
