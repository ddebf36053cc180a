"""Kling behind the gateway: paths are `/kling` plus Kling's own.

Source: apidoc.cometapi.com/api/video/kling, app.klingai.com/global/dev/document-api.
"""

from jobs.catalogue.providers.kling.audio import AUDIO_OPERATIONS
from jobs.catalogue.providers.kling.editing import EDITING_OPERATIONS
from jobs.catalogue.providers.kling.film import FILM_OPERATIONS
from jobs.catalogue.providers.kling.images import IMAGE_OPERATIONS
from jobs.catalogue.providers.kling.lip_sync import LIP_SYNC_OPERATIONS
from jobs.catalogue.providers.kling.videos import VIDEO_OPERATIONS
from jobs.catalogue.spec import Provider

PROVIDER = Provider(
    name="kling",
    title="Kling",
    operations=(
        *FILM_OPERATIONS,
        *VIDEO_OPERATIONS,
        *LIP_SYNC_OPERATIONS,
        *AUDIO_OPERATIONS,
        *IMAGE_OPERATIONS,
        *EDITING_OPERATIONS,
    ),
)
