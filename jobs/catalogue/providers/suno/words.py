"""Words: lyrics, styles, and a persona, which is a name for a voice."""

from jobs.catalogue.providers.suno.forms import CLIP_ID, SAME_ACCOUNT, call, task
from jobs.catalogue.schema import array, fields, flag, text
from jobs.catalogue.spec import Confidence, Output, Submit

LYRICS = task(
    "lyrics",
    "/suno/submit/lyrics",
    modality="text",
    summary="Lyrics and a title from a description",
    input_schema=fields({"prompt": text(pattern=r"\S", description="what the song is about")}, required=("prompt",)),
    example={"prompt": "A ferry that leaves at nine, and somebody who stays on the pier"},
    action="LYRICS",
    outputs=(Output(kind="text", select=("data.data.text", "data.data[0].text")),),
    values=(
        "data.data.text && {title: data.data.title, text: data.data.text}",
        "data.data[0].{title: title, text: text}",
    ),
    confidence=Confidence.SEEN,
    unknown=("the longest prompt",),
)

#: Alone, or in the envelope. What tells of the gateway's own account stays out.
_PERSONA = "{persona_id: id, name: name, description: description, root_clip_id: root_clip_id, is_public: is_public}"

PERSONA = call(
    "persona",
    Submit(path="/suno/persona/create", total_s=180),
    summary="The voice and style of a generated clip as a persona, to sing other songs (suno.music, artist_consistency)",
    input_schema=fields(
        {
            "root_clip_id": CLIP_ID | {"description": "`output.clips[0].id` of a suno.music job; not of an upload"},
            "name": text(pattern=r"\S"),
            "description": text(shortest=0),
            "clips": array(CLIP_ID, least=1) | {"description": "clips that show it, the root clip among them"},
            "is_public": flag(),
        },
        required=("root_clip_id", "name", "description", "clips", "is_public"),
    ),
    example={
        "root_clip_id": {"job": "suno.music", "get": "output.clips[0].id"},
        "name": "Harbour voice",
        "description": "An old voice over a slow waltz",
        "clips": [{"job": "suno.music", "get": "output.clips[0].id"}],
        "is_public": False,
    },
    outputs=(
        Output(
            kind="text",
            extension="json",
            select=(f"id && [{{text: to_string({_PERSONA})}}]", f"data | id && [{{text: to_string({_PERSONA})}}]"),
        ),
    ),
    values=(f"id && {_PERSONA}", f"data | id && {_PERSONA}"),
    unknown=("limits of name and description", SAME_ACCOUNT),
)

STYLE_TAGS = call(
    "style_tags",
    Submit(path="/suno/act/tags", total_s=180),
    summary="A few style words made into a full description of a style, for suno.music's tags",
    input_schema=fields({"original_tags": text(1000, pattern=r"\S")}, required=("original_tags",)),
    example={"original_tags": "harbour waltz"},
    outputs=(Output(kind="text", select=("upsampled_tags", "data.upsampled_tags")),),
    values=("upsampled_tags && {upsampled_tags: upsampled_tags}", "data.upsampled_tags && {upsampled_tags: data.upsampled_tags}"),
    confidence=Confidence.INFERRED,
    unknown=("the path: other gateways with the same backend have it there",),
)
