"""Sounds from texts, sounds to videos, and speech."""

from jobs.catalogue.providers.kling.answers import (
    SOUND_VALUES,
    SOUNDS,
    TASK_ERRORS,
    VIDEO_AND_SOUND_VALUES,
    VIDEO_AND_SOUNDS,
)
from jobs.catalogue.providers.kling.forms import call, task
from jobs.catalogue.providers.kling.parts import (
    VIDEO_ID,
    VOICE,
    VOICE_LANGUAGE,
    VOICE_SPEED,
    either,
    video_address,
)
from jobs.catalogue.schema import flag, number, prompt, text

TEXT_TO_AUDIO = task(
    "text_to_audio",
    "/kling/v1/audio/text-to-audio",
    modality="audio",
    summary="A sound effect of 3 to 10 seconds from a text, as MP3 and WAV",
    properties={"prompt": prompt(200), "duration": number(3.0, 10.0) | {"description": "seconds"}},
    required=("prompt", "duration"),
    example={"prompt": "Rain on a tin roof, a ship's horn far away", "duration": 5.0},
    outputs=SOUNDS,
    values=SOUND_VALUES,
)

VIDEO_TO_AUDIO = task(
    "video_to_audio",
    "/kling/v1/audio/video-to-audio",
    modality="audio",
    summary="Sound for a video: the video with it, and the sound alone as MP3 and WAV",
    properties={
        "video_id": VIDEO_ID,
        "video_url": video_address("3 to 20 seconds"),
        "sound_effect_prompt": text(200, shortest=0),
        "bgm_prompt": text(200, shortest=0) | {"description": "music in the background"},
        "asmr_mode": flag(),
    },
    rules=either("video_id", "video_url"),
    example={
        "video_id": {"job": "kling.text_to_video", "get": "output.videos[0].id"},
        "sound_effect_prompt": "Steady rain, water running along a gutter",
        "bgm_prompt": "A slow accordion",
    },
    outputs=VIDEO_AND_SOUNDS,
    values=VIDEO_AND_SOUND_VALUES,
)

TTS = call(
    "tts",
    "/kling/v1/audio/tts",
    modality="audio",
    summary="Speech from a text; its id can be used by avatar and advanced_lip_sync",
    properties={
        "text": prompt(1000),
        "voice_id": VOICE,
        "voice_language": VOICE_LANGUAGE,
        "voice_speed": VOICE_SPEED,
    },
    required=("text", "voice_id", "voice_language"),
    example={
        "text": "Good morning, and welcome to the harbour. The first ferry leaves at nine, from the pier behind the lighthouse.",
        "voice_id": "genshin_vindi2",
        "voice_language": "en",
        "voice_speed": 1.0,
    },
    outputs=SOUNDS,
    values=SOUND_VALUES,
    errors=TASK_ERRORS,
    unknown=("which voices there are today",),
)

AUDIO_OPERATIONS = (TEXT_TO_AUDIO, VIDEO_TO_AUDIO, TTS)
