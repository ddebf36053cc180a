"""Mouths that move with a voice: faces are found first, then one of them speaks; or all in one older call."""

from jobs.catalogue.providers.kling.answers import LATER_VIDEO_VALUES, VIDEOS, at_any_depth, kept_as_json
from jobs.catalogue.providers.kling.forms import SESSION, call, task
from jobs.catalogue.providers.kling.parts import (
    AUDIO_ID,
    SOUND,
    VIDEO_ID,
    VOICE,
    VOICE_LANGUAGE,
    VOICE_SPEED,
    either,
    provider_id,
    video_address,
    where,
)
from jobs.catalogue.schema import Schema, array, fields, media, number, one_of, prompt, whole
from jobs.catalogue.spec import Output

_WITH_A_FACE = {"job": "kling.image_to_video", "get": "output.videos[0].id"}

IDENTIFY_FACE = call(
    "identify_face",
    "/kling/v1/videos/identify-face",
    modality="text",
    summary="The faces in a video, and a session in which one of them can speak (advanced_lip_sync)",
    properties={
        "video_id": VIDEO_ID,
        "video_url": video_address("2 to 60 seconds, 720p or 1080p, sides of 512 to 2160 px"),
    },
    rules=either("video_id", "video_url"),
    example={"video_id": _WITH_A_FACE},
    outputs=(
        kept_as_json("session_id"),
        Output(kind="image", select=at_any_depth("session_id", "face_data[].{url: face_image, face_id: face_id}")),
    ),
    values=at_any_depth(
        "session_id",
        "{session_id: session_id, final_unit_deduction: final_unit_deduction,"
        " face_data: face_data[].{face_id: face_id, start_time: start_time, end_time: end_time}}",
    ),
    unknown=(
        "whether video_id is still taken: Kling's newest page names video_url only",
        "how long the session lives",
        SESSION,
        "no face is a result as well: face_data is empty then",
    ),
)


def _milliseconds(what: str) -> Schema:
    """Kling's pages say integers, the gateway's sample sends text."""
    return {
        "anyOf": [whole(0, 3_600_000), {"type": "string", "pattern": r"^\d{1,7}$"}],
        "description": f"milliseconds: {what}",
    }


_VOLUME = number(0, 2)

ADVANCED_LIP_SYNC = task(
    "advanced_lip_sync",
    "/kling/v1/videos/advanced-lip-sync",
    modality="video",
    summary="One face of a video speaks with a given sound (after identify_face)",
    properties={
        "session_id": provider_id("`output.session_id` of an identify_face job"),
        "face_choose": array(
            fields(
                {
                    "face_id": provider_id("`output.face_data[0].face_id` of that job"),
                    "audio_id": AUDIO_ID,
                    "sound_file": SOUND | {"description": f"{SOUND['description']}; 2 to 60 seconds"},
                    "sound_start_time": _milliseconds("where the used part of the sound starts"),
                    "sound_end_time": _milliseconds("where it ends, at least 2000 later"),
                    "sound_insert_time": _milliseconds(
                        "where it starts in the video; it overlaps the face by 2000 or more and ends with the video at the latest"
                    ),
                    "sound_volume": _VOLUME,
                    "original_audio_volume": _VOLUME,
                    "original_sound_volume": _VOLUME | {"description": "the same by the name on the gateway's page"},
                },
                required=("face_id", "sound_start_time", "sound_end_time", "sound_insert_time"),
                allOf=list(either("audio_id", "sound_file")),
            ),
            least=1,
            most=1,
        ),
    },
    required=("session_id", "face_choose"),
    example={
        "session_id": {"job": "kling.identify_face", "get": "output.session_id"},
        "face_choose": [
            {
                "face_id": {"job": "kling.identify_face", "get": "output.face_data[0].face_id"},
                "sound_file": {"job": "kling.tts", "artifact": 0},
                "sound_start_time": 0,
                "sound_end_time": 2500,
                "sound_insert_time": 1000,
                "sound_volume": 1.0,
                "original_audio_volume": 0.0,
            }
        ],
    },
    outputs=VIDEOS,
    values=LATER_VIDEO_VALUES,
    status_path_listed=False,
    unknown=(
        SESSION,
        "whether times are numbers (Kling) or text (the gateway's sample)",
        "the name of the original sound's volume: original_audio_volume (Kling) or original_sound_volume (the gateway's sample)",
    ),
)

LIP_SYNC = task(
    "lip_sync",
    "/kling/v1/videos/lip-sync",
    modality="video",
    summary="The person in a video speaks a text, or with a given sound (the older form, without a choice of face)",
    properties={
        "input": fields(
            {
                "task_id": provider_id("`upstream.task_id` of the job that made the video"),
                "video_id": VIDEO_ID | {"description": "`output.videos[0].id` of a job that made a video of 5 or 10 seconds"},
                "video_url": video_address("2 to 60 seconds"),
                "mode": one_of("text2video", "audio2video"),
                "text": prompt(120),
                "voice_id": VOICE,
                "voice_language": VOICE_LANGUAGE,
                "voice_speed": VOICE_SPEED,
                "audio_type": one_of("file", "url"),
                "audio_file": media("base64") | {"title": "mp3, wav, m4a or aac, at most 5 MB"},
                "audio_url": media("url") | {"title": "mp3, wav, m4a or aac, at most 5 MB"},
            },
            required=("mode",),
            allOf=[
                *either("video_id", "video_url"),
                where({"mode": "text2video"}, need=("text", "voice_id")),
                where({"mode": "audio2video"}, need=("audio_type",)),
                where({"mode": "audio2video", "audio_type": "file"}, need=("audio_file",)),
                where({"mode": "audio2video", "audio_type": "url"}, need=("audio_url",)),
            ],
        ),
    },
    required=("input",),
    example={
        "input": {
            "video_id": _WITH_A_FACE,
            "mode": "text2video",
            "text": "Good morning. The first ferry leaves at nine.",
            "voice_id": "genshin_vindi2",
            "voice_language": "en",
            "voice_speed": 1.0,
        }
    },
    outputs=VIDEOS,
    values=LATER_VIDEO_VALUES,
    unknown=(
        "whether input.task_id is needed beside video_id: an older page of the gateway asks for it",
        "whether voice_language may be left out",
    ),
)

LIP_SYNC_OPERATIONS = (LIP_SYNC, IDENTIFY_FACE, ADVANCED_LIP_SYNC)
