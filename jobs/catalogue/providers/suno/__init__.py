"""Suno through the gateway. There is no official API behind it: paths and shapes are the gateway's own.

Songs are made of clips, and everything else is done to a clip by its id. Source: apidoc.cometapi.com (Suno).
"""

from jobs.catalogue.providers.suno.clips import CONCAT, STEMS_FULL, STEMS_SINGLE, UPLOAD_CLIP
from jobs.catalogue.providers.suno.files import MIDI, MP4_VIDEO, TIMING, WAV
from jobs.catalogue.providers.suno.music import MUSIC
from jobs.catalogue.providers.suno.words import LYRICS, PERSONA, STYLE_TAGS
from jobs.catalogue.spec import Provider

PROVIDER = Provider(
    name="suno",
    title="Suno",
    operations=(
        LYRICS,
        MUSIC,
        UPLOAD_CLIP,
        CONCAT,
        STEMS_FULL,
        STEMS_SINGLE,
        PERSONA,
        STYLE_TAGS,
        MP4_VIDEO,
        WAV,
        TIMING,
        MIDI,
    ),
)
