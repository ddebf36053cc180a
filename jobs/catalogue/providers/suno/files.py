"""Other forms of a finished clip: video, WAV, notes, and the times of its words."""

from jobs.catalogue.providers.suno.forms import CLIP_ID, SAME_ACCOUNT, call, file_of_clip
from jobs.catalogue.schema import fields
from jobs.catalogue.spec import Confidence, Dedupe, Exprs, Output, Progress, Submit

_A_CLIP = {"clip_id": {"job": "suno.music", "get": "output.clips[0].id"}}

#: An address that stands where a token may stand as well.
_BARE_ADDRESS = "[data][?type(@) == 'string' && starts_with(@, 'http')] | [0]"
_VIDEO = "data.mp4_file_url || mp4_file_url || mp4 || data.video_url || video_url"
_WAV = f"data.wav_file_url || wav_file_url || data.wav_url || wav_url || ({_BARE_ADDRESS})"

_WORDS = {"ready": Progress.DONE, "pending": Progress.RUNNING}


def _ready_with(address: str) -> Exprs:
    """No word says so: it is ready when there is an address."""
    return (f"({address}) && 'ready' || 'pending'",)


MP4_VIDEO = file_of_clip(
    "mp4_video",
    "/suno/act/mp4/{clip_id}",
    modality="video",
    summary="The video of a clip; look at the clip's own artifacts first, it often has one already",
    example=_A_CLIP,
    status=_ready_with(_VIDEO),
    words=_WORDS,
    outputs=(Output(kind="video", select=(_VIDEO,)),),
    unknown=("how it says that a video is not ready: any answer without an address is taken for that",),
)

WAV = file_of_clip(
    "wav",
    "/suno/act/wav/{clip_id}",
    modality="music",
    summary="A clip as WAV",
    example={"clip_id": {"job": "suno.stems_single", "get": "output.clips[0].id"}},
    status=_ready_with(_WAV),
    words=_WORDS,
    outputs=(Output(kind="audio", select=(_WAV,)),),
    unknown=("how it says that a file is not ready: any answer without an address is taken for that",),
)

MIDI = file_of_clip(
    "midi",
    "/suno/act/midi/{clip_id}",
    modality="text",
    summary="The notes of a clip as JSON (no .mid file): instruments, each with pitch, start, end in seconds and velocity",
    example={"clip_id": {"job": "suno.stems_full", "get": "output.clips[0].id"}},
    status=("state", "data.state"),
    words={"running": Progress.RUNNING, "complete": Progress.DONE},
    outputs=(
        Output(
            kind="text",
            extension="json",
            select=("state && [{text: to_string(@)}]", "data.state && [{text: to_string(data)}]"),
        ),
    ),
    values=("{instruments: (instruments || data.instruments)[].{name: name, notes: length(notes)}}",),
    confidence=Confidence.SEEN,
    unknown=("how it says that it failed",),
)

TIMING = call(
    "timing",
    Submit(path="/suno/act/timing/{clip_id}", method="GET", total_s=120),
    summary="When each word of a finished clip is sung, as JSON, with a waveform",
    input_schema=fields({"clip_id": CLIP_ID}, required=("clip_id",)),
    example=_A_CLIP,
    outputs=(
        Output(
            kind="text",
            extension="json",
            select=(
                "type(aligned_words) == 'array' && [{text: to_string(@)}] || `null`",
                "type(data.aligned_words) == 'array' && [{text: to_string(data)}] || `null`",
            ),
        ),
    ),
    values=(
        "aligned_words && {words: length(aligned_words), hoot_cer: hoot_cer}",
        "data | aligned_words && {words: length(aligned_words), hoot_cer: hoot_cer}",
    ),
    # A question buys nothing.
    dedupe=Dedupe(grade="A"),
    unknown=(SAME_ACCOUNT,),
)
