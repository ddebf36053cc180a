"""Suno: what is sent for every operation, what the documented answers mean, and what is refused before it costs.

Paths and answers are copied from the upstream facts (suno.md), not from the catalogue.
"""

from __future__ import annotations

import json
from copy import deepcopy
from typing import Any

import pytest

from jobs import catalogue, references, submission
from jobs.catalogue import asking, media, wire
from jobs.catalogue.outcomes import Accepted, Answered, Done, Failed, Lost, NotAccepted, NotVisible, Puzzling, Rejected, Running
from jobs.catalogue.spec import Operation
from jobs.validation import Problem, Refused

#: Operation → where it is submitted.
TASKS = {
    "lyrics": "/suno/submit/lyrics",
    "music": "/suno/submit/music",
    "upload_clip": "/suno/uploads/audio-url",
    "concat": "/suno/submit/concat",
    "stems_full": "/suno/submit/music",
    "stems_single": "/suno/submit/music",
}
CALLS = {"persona": "/suno/persona/create", "style_tags": "/suno/act/tags"}
#: Asked for again until it is there.
REPEATS = {"mp4_video": "/suno/act/mp4/", "wav": "/suno/act/wav/", "midi": "/suno/act/midi/"}
SONGS = ("music", "concat", "stems_full", "stems_single")
EVERY = (*TASKS, *CALLS, *REPEATS, "timing")

CDN = "https://cdn1.example"
CLIP: dict[str, Any] = {
    "id": "aa11",
    "title": "Harbour",
    "status": "complete",
    "audio_url": f"{CDN}/aa11.mp3",
    "video_url": f"{CDN}/aa11.mp4",
    "image_url": f"{CDN}/image_aa11.jpeg",
    "image_large_url": f"{CDN}/image_large_aa11.jpeg",
    "model_name": "chirp-crow",
    "display_name": "backend account",
    "avatar_image_url": f"{CDN}/avatar.jpeg",
    "metadata": {
        "tags": "lofi",
        "prompt": "[Verse]...",
        "type": "gen",
        "duration": 128.9,
        "error_type": None,
        "error_message": None,
    },
}
BARE_CLIP = {
    "id": "bb22",
    "title": "Harbour",
    "status": "complete",
    "audio_url": f"{CDN}/bb22.mp3",
    "metadata": {"duration": 131.2},
}
STREAMING = CLIP | {"status": "streaming", "audio_url": "https://stream.example/?item_id=aa11", "video_url": ""}


def op_(name: str) -> Operation:
    found = catalogue.find(f"suno.{name}")
    assert found is not None
    return found


def body_(document: Any) -> bytes:
    return json.dumps(document).encode()


def envelope(data: Any, code: Any = "success", message: str = "") -> dict[str, Any]:
    return {"code": code, "message": message, "data": data}


def task(status: str, data: Any, **more: Any) -> dict[str, Any]:
    head = {"task_id": "5f1c", "action": "MUSIC", "status": status, "fail_reason": "", "submit_time": 1760000000, "progress": "30%"}
    return envelope({**head, "data": data, **more})


def polled(name: str, answer: Any, status: int = 200) -> Any:
    return wire.read_poll(op_(name), status, {}, body_(answer))


def submitted(name: str, answer: Any, status: int = 200) -> Any:
    return wire.read_submit(op_(name), status, {}, body_(answer))


def outputs_of(outcome: Any) -> list[tuple[str, str]]:
    done = outcome.result if isinstance(outcome, Answered) else outcome
    assert isinstance(done, Done), outcome
    return [(output["kind"], output.get("url") or output["text"]) for output in done.outputs]


# Requests -----------------------------------------------------------------------------------------------------------------


def filled(name: str) -> dict[str, Any]:
    """The example as it is when the jobs it waits for are done."""
    finished = {"upstream": {"task_id": "5f1c"}, "output": {"clips": [{"id": "aa11"}]}}

    def value(reference: references.Reference) -> Any:
        return f"{CDN}/speech.mp3" if reference.get is None else references.value_of(reference.get, finished)

    given: dict[str, Any] = references.replace(op_(name).example, value)
    return given


def test_every_operation_of_the_list_is_there() -> None:
    there_are = {name.partition(".")[2] for name, op in catalogue.all_operations().items() if op.provider == "suno"}
    assert there_are == set(EVERY)


@pytest.mark.parametrize("name", EVERY)
def test_the_example_is_a_whole_input_once_the_jobs_it_waits_for_are_done(name: str) -> None:
    assert [error.message for error in op_(name).validator.iter_errors(filled(name))] == []


STEMS = {
    "task": "gen_stem",
    "generation_type": "TEXT",
    "mv": "chirp-auk",
    "prompt": "",
    "make_instrumental": True,
    "continued_aligned_prompt": None,
    "continue_at": None,
    "stem_type_id": 91,
}
#: What is sent beside the input.
ALWAYS: dict[str, dict[str, Any]] = {
    "stems_full": STEMS | {"stem_type_group_name": "Twelve", "stem_task": "twelve"},
    "stems_single": STEMS | {"stem_type_group_name": "Two", "stem_task": "two"},
}
HOOK = {"notify_hook": "https://mill.example/in/x"}


@pytest.mark.parametrize("name", [*TASKS, *CALLS])
def test_an_example_is_submitted_as_documented(name: str) -> None:
    given = filled(name)
    request = asking.submit_request(op_(name), given, "ref-1", "https://mill.example/in/x")
    assert (request.method, request.path, request.auth) == ("POST", {**TASKS, **CALLS}[name], "bearer")
    told = HOOK if name in TASKS and name != "upload_clip" else {}
    assert request.json == ALWAYS.get(name, {}) | given | told


@pytest.mark.parametrize("name", TASKS)
def test_tasks_are_asked_after_alone_and_together(name: str) -> None:
    alone = asking.poll_request(op_(name), asking.Asked({}, "5f/1c"))
    assert (alone.method, alone.path) == ("GET", "/suno/fetch/5f%2F1c")
    many = asking.batch_poll_request(op_(name), ["t1", "t2"])
    action = "LYRICS" if name == "lyrics" else "MUSIC"
    assert (many.method, many.path, many.json) == ("POST", "/suno/fetch", {"ids": ["t1", "t2"], "action": action})


@pytest.mark.parametrize("name", REPEATS)
def test_a_file_of_a_clip_is_asked_for_without_buying(name: str) -> None:
    assert (op_(name).kind, op_(name).dedupe.grade) == ("repeat", "A")
    request = asking.poll_request(op_(name), asking.Asked({"clip_id": "aa11"}, "ours"))
    assert (request.method, request.path, request.json) == ("GET", f"{REPEATS[name]}aa11", None)


def test_the_timeline_is_one_question_that_may_be_asked_again() -> None:
    request = asking.submit_request(op_("timing"), {"clip_id": "aa11"}, "ref-1", "https://mill.example/in/x")
    assert (request.method, request.path, request.json) == ("GET", "/suno/act/timing/aa11", None)
    assert op_("timing").dedupe.grade == "A"


def test_an_upload_is_an_address() -> None:
    given = {"url": {"file": "file_" + "0" * 32}}
    assert [(place.path, place.forms) for place in media.places(op_("upload_clip"), given)] == [(("url",), ("url",))]


# Submits ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", TASKS)
@pytest.mark.parametrize(
    "answer",
    [
        envelope("5f1c"),
        envelope({"task_id": "5f1c"}),
        envelope({"id": "5f1c"}),
        {"id": "5f1c", "clips": [CLIP | {"id": "cc33", "status": "submitted"}]},
    ],
)
def test_a_task_is_accepted_in_every_shape_seen(name: str, answer: Any) -> None:
    assert submitted(name, answer) == Accepted("5f1c", None, None)


LOST = "upstream_outcome_unknown"


@pytest.mark.parametrize(
    ("status", "code", "outcome", "error"),
    [
        (400, "invalid_request", Rejected, "invalid_input"),
        (200, "invalid_request", Rejected, "invalid_input"),
        (400, "task_not_exist", Rejected, "invalid_input"),
        (400, "task_channel_disable", Rejected, "invalid_input"),
        (500, "model_price_error", Rejected, "model_unavailable"),
        (500, "do_request_failed", Lost, LOST),
        (200, "do_request_failed", Lost, LOST),
        (400, "read_response_body_failed", Lost, LOST),
        (500, "unmarshal_response_body_failed", Lost, LOST),
        (500, "fail_to_fetch_task", Lost, LOST),
        (429, "fail_to_fetch_task", NotAccepted, "rate_limited"),
        (503, "get_channel_failed", NotAccepted, "upstream_unavailable"),
    ],
)
def test_every_documented_refusal_means_the_same_for_every_call(status: int, code: str, outcome: type, error: str) -> None:
    for name in (*TASKS, *CALLS, "timing"):
        read = submitted(name, envelope(None, code, "as it says"), status)
        assert type(read) is outcome, (name, read)
        assert read.error.code == error, name


# Tasks --------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", TASKS)
@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        *((task(word, None), Running) for word in ("NOT_START", "SUBMITTED", "QUEUED", "IN_PROGRESS", "in_progress")),
        (task("UNKNOWN", []), Running),
        (task("SUCCESS", [STREAMING]), Running),
        (task("SUCCESS", []), Failed),
        (task("FAILURE", [], fail_reason="prompt rejected by moderation"), Failed),
        (task("IN_PROGRESS", [], fail_reason="prompt rejected by moderation", progress="100%"), Failed),
        (task("IN_PROGRESS", [], fail_reason="slow", progress="99%"), Running),
        (envelope({"task_id": "5f1c"}), Puzzling),
        (envelope(None, "fail_to_fetch_task"), Puzzling),
        (envelope(None, "task_not_exist"), NotVisible),
    ],
)
def test_a_task_goes_on_or_ends_as_it_says(name: str, answer: Any, outcome: type) -> None:
    assert type(polled(name, answer)) is outcome


def test_a_failed_task_says_why() -> None:
    outcome = polled("concat", task("FAILURE", [CLIP | {"status": "error", "metadata": {"error_message": "too loud"}}]))
    assert "too loud" in outcome.error.message


MP3S = [("audio", f"{CDN}/aa11.mp3"), ("audio", f"{CDN}/bb22.mp3")]
SHOWN = [("video", f"{CDN}/aa11.mp4"), ("image", f"{CDN}/image_large_aa11.jpeg")]


@pytest.mark.parametrize("name", SONGS)
def test_finished_clips_are_stored_and_their_ids_kept(name: str) -> None:
    outcome = polled(name, task("SUCCESS", [CLIP, BARE_CLIP], fail_reason="https://cdn1.example/aa11.mp4", progress="100%"))
    assert outputs_of(outcome) == (MP3S + SHOWN if name in ("music", "concat") else MP3S)
    assert outcome.values["task_id"] == "5f1c"
    assert [clip["id"] for clip in outcome.values["clips"]] == ["aa11", "bb22"]
    assert "backend account" not in json.dumps(outcome.values)


def test_a_track_says_which_instrument_it_is() -> None:
    metadata = {"duration": 24, "stem_from_id": "aa11", "stem_task": "twelve", "stem_type_group_name": "Drums"}
    outcome = polled("stems_full", task("SUCCESS", [BARE_CLIP | {"title": "Harbour - Drums", "metadata": metadata}]))
    assert outcome.values["clips"] == [
        {"id": "bb22", "title": "Harbour - Drums", "status": "complete", "stem": "Drums", "stem_from_id": "aa11", "duration_s": 24}
    ]


@pytest.mark.parametrize(
    ("data", "files"),
    [
        ([{"id": "aa11", "status": "complete", "audio_url": ""}], []),
        ([{"id": "aa11", "status": "complete", "audio_url": f"{CDN}/aa11.mp3"}], [("audio", f"{CDN}/aa11.mp3")]),
        ({"clip_id": "aa11", "id": "up-1"}, []),
        ({"id": "aa11"}, []),
    ],
)
def test_an_upload_yields_a_clip_and_need_not_yield_media(data: Any, files: list[tuple[str, str]]) -> None:
    outcome = polled("upload_clip", task("SUCCESS", data))
    assert outputs_of(outcome) == files
    assert [clip["id"] for clip in outcome.values["clips"]] == ["aa11"]


@pytest.mark.parametrize("data", [None, {}, [{}], {"status": "complete"}, {"clip_id": ""}])
def test_an_upload_without_a_clip_is_none(data: Any) -> None:
    assert polled("upload_clip", task("SUCCESS", data)).error.code == "no_output"


@pytest.mark.parametrize("shape", [lambda words: words, lambda words: [words]])
def test_lyrics_are_a_text_with_a_title(shape: Any) -> None:
    words = {"id": "77", "title": "Low Tide", "text": "[Verse]\nSo low", "status": "complete"}
    outcome = polled("lyrics", task("SUCCESS", shape(words), action="LYRICS"))
    assert outputs_of(outcome) == [("text", "[Verse]\nSo low")]
    assert outcome.values == {"title": "Low Tide", "text": "[Verse]\nSo low"}
    assert isinstance(polled("lyrics", task("SUCCESS", shape(words | {"status": "streaming"}))), Running)


# Calls that answer at once ------------------------------------------------------------------------------------------------

PERSONA = {
    "id": "p-1",
    "name": "Harbour voice",
    "description": "old",
    "image_s3_id": "s3",
    "root_clip_id": "aa11",
    "clip": CLIP,
    "user_display_name": "backend account",
    "persona_clips": [{"clip": CLIP}],
    "is_public": False,
}


@pytest.mark.parametrize("answer", [PERSONA, envelope(PERSONA), envelope(PERSONA, 200)])
def test_a_persona_is_its_id_and_nothing_of_the_account(answer: Any) -> None:
    outcome = submitted("persona", answer)
    kept = {"persona_id": "p-1", "name": "Harbour voice", "description": "old", "root_clip_id": "aa11", "is_public": False}
    assert outcome.result.values == kept
    [(kind, words)] = outputs_of(outcome)
    assert (kind, json.loads(words)) == ("text", kept)


@pytest.mark.parametrize(
    "answer", [{"upsampled_tags": "Warm acoustic", "request_id": "r-1"}, envelope({"upsampled_tags": "Warm acoustic"})]
)
def test_styles_are_a_text(answer: Any) -> None:
    outcome = submitted("style_tags", answer)
    assert outputs_of(outcome) == [("text", "Warm acoustic")]
    assert outcome.result.values == {"upsampled_tags": "Warm acoustic"}


TIMING = {
    "aligned_words": [{"word": "[Verse]\nHarbour ", "success": True, "start_s": 12.25, "end_s": 12.75, "p_align": 0.97}],
    "waveform_data": [0.01, 0.2],
    "hoot_cer": 0.05,
    "is_streamed": False,
}


@pytest.mark.parametrize("answer", [TIMING, envelope(TIMING)])
def test_the_timeline_is_kept_whole_as_json(answer: Any) -> None:
    outcome = submitted("timing", answer)
    [output] = outcome.result.outputs
    assert (output["kind"], output["extension"], json.loads(output["text"])) == ("text", "json", TIMING)
    assert outcome.result.values == {"words": 1, "hoot_cer": 0.05}


def test_a_song_without_words_has_a_timeline_too() -> None:
    assert isinstance(submitted("timing", TIMING | {"aligned_words": []}), Answered)


@pytest.mark.parametrize("name", [*CALLS, "timing"])
@pytest.mark.parametrize("answer", [{}, envelope({}), envelope(None), {"id": ""}])
def test_an_answer_without_a_result_is_none(name: str, answer: Any) -> None:
    outcome = submitted(name, answer)
    assert isinstance(outcome, Rejected)
    assert outcome.error.code == "no_output"


# Files that are asked for again -------------------------------------------------------------------------------------------

FILE = f"{CDN}/aa11.bin"


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("mp4_video", envelope({"mp4_file_url": FILE})),
        ("mp4_video", {"mp4_file_url": FILE}),
        ("mp4_video", {"mp4": FILE}),
        ("mp4_video", envelope({"video_url": FILE})),
        ("mp4_video", {"video_url": FILE}),
        ("wav", envelope({"wav_file_url": FILE})),
        ("wav", {"wav_file_url": FILE}),
        ("wav", envelope({"wav_url": FILE})),
        ("wav", envelope(FILE)),
    ],
)
def test_a_file_is_ready_when_it_has_an_address(name: str, answer: Any) -> None:
    outcome = polled(name, answer)
    assert outputs_of(outcome) == [("video" if name == "mp4_video" else "audio", FILE)]
    assert outcome.upstream_status == "ready"


@pytest.mark.parametrize("name", ["mp4_video", "wav"])
@pytest.mark.parametrize(
    ("status", "answer", "outcome"),
    [
        (200, envelope({"mp4_file_url": "", "wav_file_url": ""}), Running),
        (200, envelope(None), Running),
        (200, envelope("0b9f-a-token"), Running),
        (200, {}, Running),
        (400, envelope(None, "invalid_request"), Puzzling),
        (500, envelope(None, "fail_to_fetch_task"), Puzzling),
        (200, {"error": {"message": "x", "code": ""}}, Puzzling),
        (200, envelope(None, "task_not_exist"), NotVisible),
        (404, envelope(None, ""), NotVisible),
    ],
)
def test_no_answer_without_an_address_ends_the_wait(name: str, status: int, answer: Any, outcome: type) -> None:
    assert type(polled(name, answer, status)) is outcome
    poll = op_(name).poll
    assert poll is not None
    assert (poll.visible_after_s, poll.give_up_s) == (300, 300)


NOTES = {
    "state": "complete",
    "instruments": [{"name": "Piano", "notes": [{"pitch": 67, "start": 0.5, "end": 1.0, "velocity": 0.6}]}],
}


@pytest.mark.parametrize("shape", [lambda notes: notes, envelope])
def test_notes_are_json_when_the_state_says_so(shape: Any) -> None:
    assert isinstance(polled("midi", shape({"state": "running"})), Running)
    outcome = polled("midi", shape(NOTES))
    [output] = outcome.outputs
    assert (output["kind"], output["extension"], json.loads(output["text"])) == ("text", "json", NOTES)
    assert outcome.values == {"instruments": [{"name": "Piano", "notes": 1}]}
    assert isinstance(polled("midi", shape({"state": "complete", "instruments": []})), Done)


# Inputs -------------------------------------------------------------------------------------------------------------------

GONE = object()
STEM = {"title": "Harbour", "task_id": "5f1c", "continue_clip_id": "aa11"}
GOOD: dict[str, dict[str, Any]] = {
    "lyrics": {"prompt": "low tide"},
    "music": {"gpt_description_prompt": "a waltz"},
    "upload_clip": {"url": f"{CDN}/a.mp3"},
    "concat": {"clip_id": "aa11"},
    "stems_full": STEM,
    "stems_single": STEM,
    "persona": {"root_clip_id": "aa11", "name": "a", "description": "b", "clips": ["aa11"], "is_public": False},
    "style_tags": {"original_tags": "campfire"},
    **{name: {"clip_id": "aa11"} for name in (*REPEATS, "timing")},
}


def problems_of(name: str, changes: dict[str, Any]) -> list[Problem]:
    given = {field: value for field, value in (deepcopy(GOOD[name]) | changes).items() if value is not GONE}
    try:
        submission.check({"operation": f"suno.{name}", "input": given}, callback=lambda _: None, files_missing=lambda _: set())
    except Refused as refused:
        return refused.problems
    return []


@pytest.mark.parametrize(
    ("name", "changes", "loc", "code"),
    [
        ("lyrics", {"prompt": GONE}, "input.prompt", "missing_field"),
        ("lyrics", {"prompt": " "}, "input.prompt", "blank"),
        ("lyrics", {"notify_hook": "https://x"}, "input.notify_hook", "unknown_field"),
        ("music", {"task": "upload_extend", "continue_clip_id": "c"}, "input.continue_at", "missing_field"),
        ("music", {"task": "cover"}, "input.cover_clip_id", "missing_field"),
        ("music", {"task": "infill", "continue_clip_id": "c", "infill_start_s": 1}, "input.infill_end_s", "missing_field"),
        ("music", {"task": "artist_consistency", "artist_clip_id": "c"}, "input.persona_id", "missing_field"),
        ("music", {"continued_aligned_prompt": "x"}, "input.continued_aligned_prompt", "wrong_type"),
        ("music", {"mv": "chirp-v4-tau", "tags": "x" * 201}, "input.tags", "too_long"),
        ("upload_clip", {"url": GONE}, "input.url", "missing_field"),
        ("upload_clip", {"url": "ftp://x/a.mp3"}, "input.url", "wrong_form"),
        ("concat", {"clip_id": GONE}, "input.clip_id", "missing_field"),
        ("concat", {"is_infill": "no"}, "input.is_infill", "wrong_type"),
        *((name, {field: GONE}, f"input.{field}", "missing_field") for name in ("stems_full", "stems_single") for field in STEM),
        ("stems_single", {"task": "cover"}, "input.task", "not_one_of"),
        *(("persona", {field: GONE}, f"input.{field}", "missing_field") for field in GOOD["persona"]),
        ("persona", {"clips": []}, "input.clips", "too_few"),
        ("style_tags", {"original_tags": ""}, "input.original_tags", "too_short"),
        *((name, {"clip_id": GONE}, "input.clip_id", "missing_field") for name in (*REPEATS, "timing")),
        *(
            (name, {"clip_id": bad}, "input.clip_id", "wrong_form")
            for name in (*REPEATS, "timing")
            for bad in ("../a", "a/b", "a?b")
        ),
    ],
)
def test_what_the_provider_would_refuse_is_refused_before_it_costs(name: str, changes: dict[str, Any], loc: str, code: str) -> None:
    assert (loc, code) in {(problem.loc, problem.code) for problem in problems_of(name, changes)}


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("music", {"task": "extend", "continue_clip_id": "c", "continue_at": 30.5, "task_id": "t", "prompt": "", "tags": ""}),
        ("music", {"task": "infill", "continue_clip_id": "c", "infill_start_s": 1, "infill_end_s": 9, "infill_dur_s": 8}),
        ("music", {"task": "artist_consistency", "persona_id": "p", "artist_clip_id": "c", "mv": "chirp-v4-tau"}),
        ("music", {"task": "underpainting", "underpainting_clip_id": "c", "underpainting_start_s": 0, "underpainting_end_s": 9}),
        ("music", {"mv": "chirp-of-tomorrow", "continued_aligned_prompt": None, "title": ""}),
        ("upload_clip", {"url": {"file": "file_" + "0" * 32}}),
        ("concat", {"is_infill": True}),
        ("stems_full", {"stem_type_group_name": "Two", "stem_task": "two", "mv": "chirp-auk", "prompt": "", "continue_at": None}),
        ("persona", {"description": "", "clips": ["aa11", "bb22"], "is_public": True}),
        ("timing", {"clip_id": "0f0f0f0f-1111-4222-8333-444444444444"}),
    ],
)
def test_an_input_at_the_edge_of_what_is_allowed_is_accepted(name: str, changes: dict[str, Any]) -> None:
    assert problems_of(name, changes) == []
