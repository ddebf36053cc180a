"""The catalogue: names and modalities, examples that run, and a table of bad inputs each refused before it costs money."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
from pydantic import ValidationError

from jobs import catalogue, submission
from jobs.catalogue.spec import Dedupe, Operation, Provider
from jobs.validation import Problem, Refused

#: name → modality, kind: every operation there is.
OPERATIONS = {
    "openai.image_generation": ("image", "sync"),
    "openai.image_edit": ("image", "sync"),
    "openai.gpt4o_image": ("image", "sync"),
    "midjourney.imagine": ("image", "async"),
    "midjourney.action": ("image", "async"),
    "midjourney.modal": ("image", "async"),
    "midjourney.blend": ("image", "async"),
    "midjourney.describe": ("text", "async"),
    "midjourney.edit": ("image", "async"),
    "midjourney.video": ("video", "async"),
    "replicate.prediction": ("image", "async"),
    "seedream.image_generation": ("image", "sync"),
    "seededit.image_edit": ("image", "sync"),
    "bria.image_generation": ("image", "sync"),
    "bria.vector_generation": ("image", "sync"),
    "bria.image_edit": ("image", "async"),
    "gemini.image": ("image", "sync"),
    "flux.image_generation": ("image", "async"),
    "hunyuan3d.generation": ("model3d", "async"),
    "sora.create_video": ("video", "async"),
    "sora.remix_video": ("video", "async"),
    "sora.self_developed_video": ("video", "async"),
    "veo.video": ("video", "async"),
    "veo.chat": ("video", "sync"),
    "kling.text_to_video": ("video", "async"),
    "kling.image_to_video": ("video", "async"),
    "kling.multi_image_to_video": ("video", "async"),
    "kling.video_extension": ("video", "async"),
    "kling.avatar": ("video", "async"),
    "kling.lip_sync": ("video", "async"),
    "kling.identify_face": ("text", "sync"),
    "kling.advanced_lip_sync": ("video", "async"),
    "kling.video_effects": ("video", "async"),
    "kling.text_to_audio": ("audio", "async"),
    "kling.video_to_audio": ("audio", "async"),
    "kling.tts": ("audio", "sync"),
    "kling.image_generation": ("image", "async"),
    "kling.multi_image_to_image": ("image", "async"),
    "kling.image_expansion": ("image", "async"),
    "kling.image_recognize": ("text", "sync"),
    "kling.virtual_try_on": ("image", "async"),
    "kling.edit_init_selection": ("text", "sync"),
    "kling.edit_add_selection": ("text", "sync"),
    "kling.edit_delete_selection": ("text", "sync"),
    "kling.edit_clear_selection": ("text", "sync"),
    "kling.edit_preview_selection": ("text", "sync"),
    "kling.edit_video": ("video", "async"),
    "runway.image_to_video": ("video", "async"),
    "runway.video_to_video": ("video", "async"),
    "runway.text_to_image": ("image", "async"),
    "runway.video_upscale": ("video", "async"),
    "runway.character_performance": ("video", "async"),
    "runway.reverse_text_to_video": ("video", "async"),
    "runway.reverse_image_to_video": ("video", "async"),
    "runway.reverse_video_style": ("video", "async"),
    "runway.reverse_act_one": ("video", "async"),
    "seedance.video": ("video", "async"),
    "minimax.video": ("video", "async"),
    "suno.lyrics": ("text", "async"),
    "suno.music": ("music", "async"),
    "suno.upload_clip": ("music", "async"),
    "suno.concat": ("music", "async"),
    "suno.stems_full": ("music", "async"),
    "suno.stems_single": ("music", "async"),
    "suno.persona": ("text", "sync"),
    "suno.style_tags": ("text", "sync"),
    "suno.mp4_video": ("video", "repeat"),
    "suno.wav": ("music", "repeat"),
    "suno.timing": ("text", "sync"),
    "suno.midi": ("text", "repeat"),
    "openai.speech": ("audio", "sync"),
    "openai.transcription": ("text", "sync"),
    "openai.translation": ("text", "sync"),
    "openai.realtime": ("audio", "websocket"),
    "openai.chat": ("text", "sync"),
    "openai.responses": ("text", "sync"),
    "anthropic.messages": ("text", "sync"),
    "gemini.generate_content": ("text", "sync"),
    "openai.embeddings": ("text", "sync"),
}


def check(operation: str, given: dict[str, Any]) -> list[Problem]:
    """The problems the API would answer with."""
    document = {"operation": operation, "input": given}
    try:
        submission.check(document, callback=lambda _: None, files_missing=lambda _: set())
    except Refused as refused:
        return refused.problems
    return []


def test_names_and_modalities_are_those_of_the_list() -> None:
    there_are = {name: (operation.modality, operation.kind) for name, operation in catalogue.all_operations().items()}
    assert there_are == OPERATIONS


def test_operations_come_in_order_of_name() -> None:
    assert list(catalogue.all_operations()) == sorted(OPERATIONS)


@pytest.mark.parametrize("name", OPERATIONS)
def test_the_example_of_every_operation_is_accepted_as_it_stands(name: str) -> None:
    operation = catalogue.find(name)
    assert operation is not None
    assert check(name, operation.example) == []


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_operation_says_where_it_is_from_and_what_is_not_known(name: str) -> None:
    operation = catalogue.find(name)
    assert operation is not None
    assert operation.source
    assert operation.summary
    assert operation.unknown
    assert operation.outputs
    assert operation.provider == name.partition(".")[0]
    assert operation.submit is None or operation.submit.path.startswith("/")


@pytest.mark.parametrize("name", OPERATIONS)
def test_no_field_is_taken_that_is_not_named(name: str) -> None:
    operation = catalogue.find(name)
    assert operation is not None
    found = check(name, {**operation.example, "surprise": 1})
    assert ("input.surprise", "unknown_field") in {(problem.loc, problem.code) for problem in found}


@pytest.mark.parametrize("name", OPERATIONS)
def test_no_operation_takes_our_own_name_for_the_call_from_a_user(name: str) -> None:
    """It is how a lost task is found again: a user who set it could claim somebody else's."""
    operation = catalogue.find(name)
    assert operation is not None
    if operation.submit and operation.submit.client_ref:
        assert operation.submit.client_ref not in operation.input_schema["properties"]


# Bad inputs ---------------------------------------------------------------------------------------------------------------

GOOD: dict[str, dict[str, Any]] = {
    "kling.text_to_video": {"model_name": "kling-v1-6", "prompt": "a boat", "duration": "5"},
    "suno.music": {"gpt_description_prompt": "a waltz"},
    "replicate.prediction": {"model": "black-forest-labs/flux-schnell", "input": {"prompt": "a fox"}},
    "openai.image_generation": {"model": "gpt-image-1", "prompt": "a lighthouse"},
    "seedream.image_generation": {"model": "doubao-seedream-4-0-250828", "prompt": "a tea house"},
    "openai.speech": {"model": "tts-1", "voice": "alloy", "input": "Hello."},
    "openai.chat": {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hello."}]},
}
GONE = object()

#: operation → (what is changed in a good input, where the problem is, its code). A dot walks into objects.
BAD: dict[str, list[tuple[dict[str, Any], str, str]]] = {
    "kling.text_to_video": [
        ({"prompt": GONE}, "input.prompt", "missing_field"),
        ({"prompt": ""}, "input.prompt", "too_short"),
        ({"prompt": " \n\t "}, "input.prompt", "blank"),
        ({"prompt": "x" * 2501}, "input.prompt", "too_long"),
        ({"prompt": 5}, "input.prompt", "wrong_type"),
        ({"prompt": None}, "input.prompt", "wrong_type"),
        ({"negative_prompt": "x" * 2501}, "input.negative_prompt", "too_long"),
        ({"cfg_scale": 1.01}, "input.cfg_scale", "out_of_range"),
        ({"cfg_scale": -0.01}, "input.cfg_scale", "out_of_range"),
        ({"cfg_scale": "0.5"}, "input.cfg_scale", "wrong_type"),
        ({"mode": "fast"}, "input.mode", "not_one_of"),
        ({"aspect_ratio": "4:3"}, "input.aspect_ratio", "not_one_of"),
        ({"duration": 5}, "input.duration", "not_one_of"),
        ({"duration": "7"}, "input.duration", "not_one_of"),  # v1-6: 5 or 10
        ({"model_name": GONE, "duration": "7"}, "input.duration", "not_one_of"),  # and so for the default
        ({"model_name": "kling-v3", "duration": "16"}, "input.duration", "not_one_of"),
        ({"sound": True}, "input.sound", "not_one_of"),
        ({"camera_control": {"type": "spin"}}, "input.camera_control.type", "not_one_of"),
        ({"camera_control": {}}, "input.camera_control.type", "missing_field"),
        ({"camera_control": {"type": "simple", "config": {"zoom": 11}}}, "input.camera_control.config.zoom", "out_of_range"),
        ({"camera_control": {"type": "simple", "config": {"spin": 1}}}, "input.camera_control.config.spin", "unknown_field"),
        ({"multi_shot": True, "shot_type": "customize"}, "input.multi_prompt", "missing_field"),
        ({"multi_prompt": []}, "input.multi_prompt", "too_few"),
        ({"multi_prompt": [{"index": 1, "prompt": "a", "duration": "5"}] * 7}, "input.multi_prompt", "too_many"),
        ({"multi_prompt": [{"index": 0, "prompt": "a", "duration": "5"}]}, "input.multi_prompt[0].index", "out_of_range"),
        ({"multi_prompt": [{"index": 1, "prompt": "x" * 513, "duration": "5"}]}, "input.multi_prompt[0].prompt", "too_long"),
        ({"multi_prompt": [{"index": 1, "prompt": "x"}]}, "input.multi_prompt[0].duration", "missing_field"),
        ({"watermark_info": {"enabled": "yes"}}, "input.watermark_info.enabled", "wrong_type"),
        ({"callback_url": "https://x"}, "input.callback_url", "unknown_field"),
        ({"external_task_id": "mine"}, "input.external_task_id", "unknown_field"),
    ],
    "suno.music": [
        ({"gpt_description_prompt": GONE}, "input", "wrong_form"),
        ({"gpt_description_prompt": "x" * 201}, "input.gpt_description_prompt", "too_long"),
        ({"gpt_description_prompt": "  "}, "input.gpt_description_prompt", "blank"),
        ({"prompt": "x" * 5001}, "input.prompt", "too_long"),
        ({"mv": "chirp-v4", "prompt": "x" * 3001}, "input.prompt", "too_long"),
        ({"mv": "chirp-v3-5", "tags": "x" * 201}, "input.tags", "too_long"),
        ({"tags": "x" * 1001}, "input.tags", "too_long"),
        ({"title": "x" * 81}, "input.title", "too_long"),
        ({"make_instrumental": "true"}, "input.make_instrumental", "wrong_type"),
        ({"task": "remix"}, "input.task", "not_one_of"),
        ({"task": "extend"}, "input.continue_clip_id", "missing_field"),
        ({"task": "extend", "continue_clip_id": "c", "continue_at": 1}, "input.task_id", "missing_field"),
        ({"metadata": {"vocal_gender": "x"}}, "input.metadata.vocal_gender", "not_one_of"),
        ({"metadata": {"control_sliders": {"style_weight": 2}}}, "input.metadata.control_sliders.style_weight", "out_of_range"),
        ({"notify_hook": "https://x"}, "input.notify_hook", "unknown_field"),
    ],
    "replicate.prediction": [
        ({"model": GONE}, "input.model", "missing_field"),
        ({"input": GONE}, "input.input", "missing_field"),
        ({"model": "flux-schnell"}, "input.model", "wrong_form"),
        ({"model": "../../etc/passwd"}, "input.model", "wrong_form"),
        ({"model": "a/b/c"}, "input.model", "wrong_form"),
        ({"model": "a/b?x=1"}, "input.model", "wrong_form"),
        ({"model": "a/%2e%2e"}, "input.model", "wrong_form"),
        ({"model": "a/.."}, "input.model", "wrong_form"),
        ({"model": "a/" + "b" * 101}, "input.model", "wrong_form"),
        ({"model": "a/b\n"}, "input.model", "wrong_form"),
        ({"input": []}, "input.input", "wrong_type"),
        ({"webhook": "https://x"}, "input.webhook", "unknown_field"),
    ],
    "openai.image_generation": [
        ({"model": GONE}, "input.model", "missing_field"),
        ({"prompt": GONE}, "input.prompt", "missing_field"),
        ({"prompt": " "}, "input.prompt", "blank"),
        ({"prompt": "x" * 32_001}, "input.prompt", "too_long"),
        ({"model": "dall-e-3", "prompt": "x" * 4001}, "input.prompt", "too_long"),
        ({"model": "dall-e-2", "prompt": "x" * 1001}, "input.prompt", "too_long"),
        ({"n": 0}, "input.n", "out_of_range"),
        ({"n": 11}, "input.n", "out_of_range"),
        ({"n": "1"}, "input.n", "wrong_type"),
        ({"n": 1.5}, "input.n", "wrong_type"),
        ({"n": True}, "input.n", "wrong_type"),
        ({"model": "dall-e-3", "n": 2}, "input.n", "out_of_range"),
        ({"model": "qwen-image", "n": 2}, "input.n", "out_of_range"),
        ({"size": "999x999"}, "input.size", "not_one_of"),
        ({"size": "huge", "model": "gpt-image-2"}, "input.size", "wrong_form"),
        ({"size": "256x256", "model": "dall-e-3"}, "input.size", "not_one_of"),
        ({"size": "1792x1024", "model": "dall-e-2"}, "input.size", "not_one_of"),
        ({"quality": "hd"}, "input.quality", "not_one_of"),
        ({"response_format": "url"}, "input.response_format", "not_with_this_model"),
        ({"output_format": "gif"}, "input.output_format", "not_one_of"),
        ({"output_compression": 101}, "input.output_compression", "out_of_range"),
        ({"background": "transparent", "output_format": "jpeg"}, "input.output_format", "not_one_of"),
        ({"stream": True}, "input.stream", "unknown_field"),
    ],
    "seedream.image_generation": [
        ({"model": "gpt-image-1"}, "input.model", "wrong_form"),
        ({"prompt": "x" * 4001}, "input.prompt", "too_long"),
        ({"size": "5K"}, "input.size", "wrong_form"),
        ({"size": 2048}, "input.size", "wrong_type"),
        ({"image": []}, "input.image", "wrong_form"),
        ({"image": ["https://x.example/a.png"] * 15}, "input.image", "wrong_form"),
        ({"image": {"file": "nonsense"}}, "input.image", "wrong_form"),
        ({"watermark": "no"}, "input.watermark", "wrong_type"),
        ({"sequential_image_generation": "yes"}, "input.sequential_image_generation", "not_one_of"),
        (
            {"sequential_image_generation_options": {"max_images": 16}},
            "input.sequential_image_generation_options.max_images",
            "out_of_range",
        ),
        ({"seed": -2}, "input.seed", "out_of_range"),
        ({"guidance_scale": 0.5}, "input.guidance_scale", "out_of_range"),
        ({"tools": [{"type": "web_search"}] * 2}, "input.tools", "too_many"),
        ({"stream": True}, "input.stream", "unknown_field"),
    ],
    "openai.speech": [
        ({"input": GONE}, "input.input", "missing_field"),
        ({"voice": GONE}, "input.voice", "missing_field"),
        ({"input": "x" * 4097}, "input.input", "too_long"),
        ({"input": "\t"}, "input.input", "blank"),
        ({"voice": 5}, "input.voice", "wrong_form"),
        ({"voice": {"name": "x"}}, "input.voice", "wrong_form"),
        ({"response_format": "ogg"}, "input.response_format", "not_one_of"),
        ({"speed": 0.2}, "input.speed", "out_of_range"),
        ({"speed": 4.1}, "input.speed", "out_of_range"),
        ({"instructions": "whisper"}, "input.instructions", "not_with_this_model"),
        ({"stream_format": "sse"}, "input.stream_format", "unknown_field"),
    ],
    "openai.chat": [
        ({"messages": GONE}, "input.messages", "missing_field"),
        ({"messages": []}, "input.messages", "too_few"),
        ({"messages": [{"content": "x"}]}, "input.messages[0].role", "missing_field"),
        ({"messages": [{"role": "robot", "content": "x"}]}, "input.messages[0].role", "not_one_of"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "input.messages[0].tool_call_id", "missing_field"),
        ({"messages": [{"role": "user", "content": 5}]}, "input.messages[0].content", "wrong_form"),
        ({"messages": [{"role": "user", "text": "x"}]}, "input.messages[0].text", "unknown_field"),
        ({"temperature": 2.1}, "input.temperature", "out_of_range"),
        ({"top_p": -0.1}, "input.top_p", "out_of_range"),
        ({"max_tokens": 0}, "input.max_tokens", "out_of_range"),
        ({"n": 17}, "input.n", "out_of_range"),
        ({"stop": ["a"] * 5}, "input.stop", "wrong_form"),
        ({"response_format": {}}, "input.response_format.type", "missing_field"),
        ({"tool_choice": 5}, "input.tool_choice", "wrong_type"),
        ({"stream": True}, "input.stream", "not_one_of"),
    ],
}


def _changed(name: str, changes: dict[str, Any]) -> dict[str, Any]:
    document = deepcopy(GOOD[name]) | changes
    return {field: value for field, value in document.items() if value is not GONE}


@pytest.mark.parametrize("name", GOOD)
def test_the_good_inputs_of_this_file_are_good(name: str) -> None:
    assert check(name, GOOD[name]) == []


@pytest.mark.parametrize(
    ("name", "changes", "loc", "code"),
    [
        pytest.param(name, changes, loc, code, id=f"{name}-{loc}-{code}-{n}")
        for name, rows in BAD.items()
        for n, (changes, loc, code) in enumerate(rows)
    ],
)
def test_a_bad_input_is_refused_where_it_is_wrong(name: str, changes: dict[str, Any], loc: str, code: str) -> None:
    found = check(name, _changed(name, changes))
    assert (loc, code) in {(problem.loc, problem.code) for problem in found}, found
    assert all(problem.msg and len(problem.msg) < 400 for problem in found)


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("kling.text_to_video", {"model_name": "kling-v3", "duration": "15"}),
        ("kling.text_to_video", {"model_name": "kling-v9-from-tomorrow"}),
        (
            "kling.text_to_video",
            {
                "model_name": "kling-v3",
                "prompt": GONE,
                "multi_shot": True,
                "shot_type": "customize",
                "multi_prompt": [{"index": 1, "prompt": "a", "duration": "5"}],
            },
        ),
        ("kling.text_to_video", {"prompt": "x" * 2500, "negative_prompt": ""}),
        ("suno.music", {"gpt_description_prompt": GONE, "prompt": "", "tags": "lofi", "make_instrumental": True}),
        ("suno.music", {"gpt_description_prompt": GONE, "prompt": "[Verse]" * 700, "mv": "chirp-crow"}),
        ("suno.music", {"task": "extend", "continue_clip_id": "c", "continue_at": 30.5, "task_id": "t"}),
        ("suno.music", {"continue_clip_id": None, "continue_at": None, "infill_start_s": None, "infill_end_s": None}),
        ("replicate.prediction", {"input": {"any": ["thing", {"at": "all"}], "n": 1e300}}),
        ("openai.image_generation", {"model": "gpt-image-2", "size": "3840x2160"}),
        ("openai.image_generation", {"model": "gpt-image-1", "size": "auto", "background": "transparent", "output_format": "webp"}),
        ("openai.image_generation", {"model": "dall-e-3", "quality": "hd", "style": "natural", "response_format": "b64_json"}),
        ("seedream.image_generation", {"size": "2848x1600", "image": "https://x.example/a.png", "watermark": True}),
        ("seedream.image_generation", {"image": ["data:image/png;base64,aaaa", {"file": "file_" + "0" * 32}]}),
        ("openai.speech", {"model": "gpt-4o-mini-tts", "instructions": "whisper", "voice": {"id": "voice_1"}}),
        ("openai.speech", {"input": "x" * 4096, "speed": 0.25, "response_format": "pcm"}),
        ("openai.chat", {"messages": [{"role": "user", "content": [{"type": "text", "text": "x"}]}], "stream": False}),
        ("openai.chat", {"messages": [{"role": "assistant", "content": None, "tool_calls": [{}]}], "tool_choice": "auto"}),
    ],
)
def test_an_input_at_the_edge_of_what_is_allowed_is_accepted(name: str, changes: dict[str, Any]) -> None:
    assert check(name, _changed(name, changes)) == []


# Declarations -------------------------------------------------------------------------------------------------------------


def _declaration(**changes: Any) -> dict[str, Any]:
    base = {
        "name": "acme.paint",
        "modality": "image",
        "provider": "acme",
        "summary": "s",
        "input_schema": {"type": "object", "required": ["prompt"]},
        "example": {"prompt": "x"},
        "submit": {"path": "/paint"},
        "task_id": ("id",),
        "poll": {"path": "/t/{id}", "status": ("status",), "words": {"done": "done"}, "give_up_s": 60},
        "outputs": ({"kind": "image", "select": ("urls",)},),
        "confidence": "documented",
        "source": "s",
    }
    return base | changes


def test_a_sensible_declaration_is_one() -> None:
    assert not Operation.model_validate(_declaration()).synchronous


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"example": {}}, "does not fit its own schema"),
        ({"task_id": ()}, "go together"),
        ({"poll": None}, "go together"),
        ({"submit": {"path": "/paint", "raw": True}}, "nothing to poll"),
        ({"task_id": ("data[?",)}, "parse|token|expression|Incomplete"),
        ({"speed": "fast"}, "Extra inputs"),
        ({"submit": {"path": "/paint", "retries": 3}}, "Extra inputs"),
        ({"dedupe": {"grade": "B"}}, "path to look the task up"),
        ({"dedupe": {"grade": "C", "path": "/x"}}, "path to look the task up"),
        ({"modality": "smell"}, "Input should be"),
    ],
)
def test_a_declaration_that_makes_no_sense_stops_the_program(changes: dict[str, Any], said: str) -> None:
    with pytest.raises((ValidationError, ValueError), match=f"(?i){said}"):
        Operation.model_validate(_declaration(**changes))


def test_an_operation_belongs_to_its_provider() -> None:
    with pytest.raises(ValidationError, match="does not belong"):
        Provider.model_validate({"name": "other", "title": "Other", "operations": (_declaration(),)})


def test_only_grade_b_is_searched() -> None:
    assert Dedupe(grade="B", path="/x/{client_ref}").path
    assert Dedupe().grade == "C"
