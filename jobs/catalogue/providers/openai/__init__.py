"""OpenAI's own formats: images, sound, text. One call, which may last minutes, returns the result.

Source: apidoc.cometapi.com, openai/openai-python types (read 2026-11); each operation names its page.
"""

from __future__ import annotations

from jobs.catalogue.providers.openai.chat import CHAT
from jobs.catalogue.providers.openai.chat_images import GPT4O_IMAGE
from jobs.catalogue.providers.openai.embeddings import EMBEDDINGS
from jobs.catalogue.providers.openai.images import IMAGE_EDIT, IMAGE_GENERATION
from jobs.catalogue.providers.openai.realtime import REALTIME
from jobs.catalogue.providers.openai.responses import RESPONSES
from jobs.catalogue.providers.openai.speech import SPEECH
from jobs.catalogue.providers.openai.transcripts import TRANSCRIPTION, TRANSLATION
from jobs.catalogue.spec import Provider

PROVIDER = Provider(
    name="openai",
    title="OpenAI",
    operations=(
        IMAGE_GENERATION,
        IMAGE_EDIT,
        GPT4O_IMAGE,
        SPEECH,
        TRANSCRIPTION,
        TRANSLATION,
        REALTIME,
        CHAT,
        RESPONSES,
        EMBEDDINGS,
    ),
)
