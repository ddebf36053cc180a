"""Prices: the list is sound, the arithmetic is right to the last digit, and what is not known stays unknown."""

from __future__ import annotations

import ast
import json
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs import pricing
from jobs.catalogue import all_operations
from jobs.catalogue.spec import Operation
from jobs.pricing import Kind, PriceList, Unit, actual, price_list, quote
from jobs.pricing.tariff import Own
from jobs.pricing.units import MOST, TOKENS

HERE = Path(pricing.__file__).parent
OPERATIONS = all_operations()
ROWS = list(price_list())
FULL = Decimal(1)
FIFTH_OFF = Decimal("0.8")
PICTURE = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNkYAAAAAYAAjCB0C8AAAAASUVORK5CYII="


@dataclass(frozen=True)
class Made:
    kind: str
    duration_s: float | None = None


def usd(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)


def chat(model: str = "gpt-4o-mini", content: Any = "Hi", **more: Any) -> dict[str, Any]:
    return {"model": model, "messages": [{"role": "user", "content": content}], **more}


# --------------------------------------------------------------------------------------------------------------- the list


def test_something_is_priced_and_the_example_of_the_gateways_own_page_is_among_it() -> None:
    assert len(ROWS) > 50
    [retrieval] = price_list().prices("minimax.video")
    assert retrieval.rates == {Unit.REQUEST: Decimal("0.004")}


@pytest.mark.parametrize(("name", "price"), ROWS, ids=lambda value: value if isinstance(value, str) else "")
def test_every_row_has_a_source_a_date_and_an_operation(name: str, price: pricing.Price) -> None:
    assert name in OPERATIONS
    assert price.source.startswith("https://")
    assert date(2025, 1, 1) < price.read < date(2100, 1, 1)
    for rates in (price.rates, price.long.rates if price.long else {}):
        assert all(type(rate) is Decimal and rate > 0 for rate in rates.values())


@pytest.mark.parametrize(("name", "price"), [(name, price) for name, price in ROWS if price.long])
def test_a_long_prompt_is_never_the_cheaper_one(name: str, price: pricing.Price) -> None:
    assert price.long is not None
    assert all(price.long.rates[unit] >= rate for unit, rate in price.rates.items()), name


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_operations_example_gets_an_answer(name: str) -> None:
    answer = quote(OPERATIONS[name], OPERATIONS[name].example, discount=FIFTH_OFF)
    assert (answer.usd is None) == (answer.kind is None)
    if answer.usd is None:
        assert answer.why
        assert not answer.lines
    else:
        assert answer.usd > 0
        assert answer.usd == answer.usd.quantize(Decimal("0.000001"))
        assert all(line.source.startswith("https://") and line.read for line in answer.lines)


def test_the_package_needs_nothing_but_the_catalogue_pydantic_and_the_language() -> None:
    named = [
        node.module if isinstance(node, ast.ImportFrom) else alias.name
        for path in HERE.glob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    ]
    allowed = ("pydantic", "jobs.catalogue", "jobs.pricing")
    assert [
        name for name in named if name and name.partition(".")[0] not in sys.stdlib_module_names and not name.startswith(allowed)
    ] == []


def test_no_file_of_the_package_knows_a_float() -> None:
    """The word stands in types of what comes in from JSON; no number and no conversion is one."""
    found = [
        f"{path.name}:{node.lineno}"
        for path in HERE.glob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if (isinstance(node, ast.Constant) and isinstance(node.value, float))
        or (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "float")
    ]
    assert found == []
    tables = [tomllib.loads((HERE / name).read_text()) for name in ("prices.toml", "measures.toml")]
    assert not any(isinstance(value, float) for table in tables for value in _leaves(table))


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, dict | list):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _leaves(part)
    else:
        yield value


MEASURES = '[[measure]]\noperations = ["flux.image_generation"]\nimages = "`1`"\n'
GOOD = """
[[price]]
operations = ["flux.image_generation"]
models = ["m"]
rates = { image = "0.04" }
basis = "official"
discounted = true
source = "https://prices.example/list"
read = 2026-11-22
"""


def listed(prices: str, measures: str = MEASURES) -> PriceList:
    return pricing.load(prices, measures, OPERATIONS)


def test_a_good_row_is_taken() -> None:
    [price] = listed(GOOD).prices("flux.image_generation")
    assert price.rates == {Unit.IMAGE: Decimal("0.04")}


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('"flux.image_generation"]', '"flux.no_such_thing"]', "no operation flux.no_such_thing"),
        ('"flux.image_generation"]', '"sora.remix_video"]', "nothing says how it is measured"),
        ('"flux.image_generation"]', '"flux.image_generation", "flux.image_generation"]', "priced twice"),
        ('"0.04"', "0.04", "never a float"),
        ('"0.04"', "4", "written as text"),
        ('"0.04"', '"0"', "greater than 0"),
        ('"0.04"', '"-1"', "greater than 0"),
        ('"0.04"', '"NaN"', "finite"),
        ('"0.04"', '"cheap"', "decimal"),
        ("image =", "acre =", "acre"),
        ("image =", "second_of_video =", "nothing counts"),
        ("image =", "million_input_tokens =", "nothing counts"),
        ('rates = { image = "0.04" }', "rates = {}", "at least 1"),
        ('source = "https://prices.example/list"\n', "", "source"),
        ('"https://prices.example/list"', '"I was told"', "source"),
        ("read = 2026-11-22\n", "", "read"),
        ("discounted = true\n", "", "discounted"),
        ('basis = "official"', 'basis = "gateway"', "has its discount in it"),
        ('basis = "official"', 'basis = "rumour"', "basis"),
        ("discounted = true", 'discounted = true\nwhen = { mood = ["good"] }', "no field mood"),
        ("discounted = true", 'discounted = true\nwhen = { output_format = ["gif"] }', "output_format is never"),
        ("discounted = true", 'discounted = true\nopen = ["width"]', "left open, but no condition"),
        ("discounted = true", "discounted = true\nper = 1", "Extra inputs"),
        ("[[price]]", "[[prize]]", "not a table of prices"),
    ],
)
def test_a_row_that_cannot_be_right_stops_the_program(old: str, new: str, said: str) -> None:
    assert old in GOOD
    with pytest.raises(ValueError, match=said):
        listed(GOOD.replace(old, new))


@pytest.mark.parametrize(
    ("first", "second", "twice"),
    [
        ('models = ["m"]', 'models = ["m", "n"]', True),
        ('models = ["m"]', 'models = ["n"]', False),
        ('models = ["m"]', "", True),
        ('when = { output_format = ["png"] }', 'when = { output_format = ["jpeg"] }', False),
        ('when = { output_format = ["png"] }', 'when = { output_format = ["p*"] }', True),
        ('when = { output_format = ["png"] }', 'when = { prompt = ["a"] }', True),
        ('use = "quote"', 'use = "actual"', False),
        ('use = "quote"', "", True),
    ],
)
def test_two_rows_for_one_call_stop_the_program(first: str, second: str, twice: bool) -> None:
    bare = GOOD.replace('models = ["m"]\n', "")
    both = "".join(bare.replace("rates =", f"{more}\nrates =") for more in (first, second))
    if twice:
        with pytest.raises(ValueError, match="priced twice"):
            listed(both)
    else:
        assert len(listed(both).prices("flux.image_generation")) == 2


@pytest.mark.parametrize(
    ("measures", "said"),
    [
        (MEASURES + MEASURES, "measured twice"),
        (MEASURES.replace("flux.image_generation", "flux.no_such_thing"), "no operation"),
        (MEASURES + 'usage = "smoke signals"\n', "no such way to read a usage"),
        (MEASURES.replace("`1`", "(("), "images"),
    ],
)
def test_a_measure_that_cannot_be_right_stops_the_program(measures: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        listed("", measures)


@pytest.mark.parametrize("discount", [0.8, 1, True, "0.8", None])
def test_a_discount_that_is_no_decimal_is_refused(discount: Any) -> None:
    operation = OPERATIONS["flux.image_generation"]
    with pytest.raises(TypeError):
        quote(operation, operation.example, discount=discount)
    with pytest.raises(TypeError):
        actual(operation, operation.example, {}, (), discount=discount)


@pytest.mark.parametrize("discount", ["0", "-0.8", "NaN", "Infinity"])
def test_a_discount_that_is_no_factor_is_refused(discount: str) -> None:
    operation = OPERATIONS["flux.image_generation"]
    with pytest.raises(ValueError, match="no discount"):
        quote(operation, operation.example, discount=Decimal(discount))


# -------------------------------------------------------------------------------------------------------- before the call

SORA = {"prompt": "a kite"}
RUNWAY = {"model": "gen4_turbo", "promptImage": PICTURE, "ratio": "1280:720"}
GPT_IMAGE = {"model": "gpt-image-1", "prompt": "x", "size": "1024x1024", "quality": "medium"}
SEEDREAM = {"model": "doubao-seedream-4-5-251128", "prompt": "x"}
FLUX = {"model": "flux-pro-1.1", "prompt": "x"}
SPEECH = {"model": "tts-1", "voice": "alloy", "input": "ä" * 1000}


@pytest.mark.parametrize(
    ("operation", "wanted", "discount", "expected", "kind"),
    [
        # 4 s, when it says nothing, at 0.10, a fifth off
        ("sora.create_video", SORA, "0.8", "0.320000", Kind.EXACT),
        ("sora.create_video", SORA | {"seconds": "12"}, "0.8", "0.960000", Kind.EXACT),
        ("sora.create_video", SORA | {"seconds": "12"}, "1", "1.200000", Kind.EXACT),
        # 8 s at 0.30
        ("sora.create_video", SORA | {"model": "sora-2-pro", "seconds": "8"}, "0.8", "1.920000", Kind.EXACT),
        # clips have 8 s: 0.4 × 0.8 = 0.32 a second
        ("veo.video", SORA | {"model": "veo3"}, "0.8", "2.560000", Kind.ESTIMATE),
        # the gateway's own price: no discount, whatever the setting
        ("veo.video", SORA | {"model": "veo3.1"}, "0.8", "0.400000", Kind.EXACT),
        ("veo.video", SORA | {"model": "veo3.1"}, "0.5", "0.400000", Kind.EXACT),
        # 5 s when it says nothing, at 5 credits of a cent
        ("runway.image_to_video", RUNWAY, "0.8", "0.200000", Kind.EXACT),
        ("runway.image_to_video", RUNWAY | {"duration": 10}, "0.8", "0.400000", Kind.EXACT),
        ("runway.image_to_video", RUNWAY | {"model": "gen4.5", "duration": 10}, "1", "1.200000", Kind.EXACT),
        ("runway.text_to_image", {"model": "gen4_image", "ratio": "1280:720"}, "1", "0.050000", Kind.EXACT),
        ("runway.text_to_image", {"model": "gen4_image", "ratio": "1920:1080"}, "1", "0.080000", Kind.EXACT),
        ("runway.text_to_image", {"model": "gen4_image_turbo", "ratio": "1808:768"}, "1", "0.020000", Kind.EXACT),
        ("flux.image_generation", FLUX, "0.8", "0.032000", Kind.EXACT),
        ("flux.image_generation", FLUX | {"model": "flux-pro-1.1-ultra"}, "0.8", "0.048000", Kind.EXACT),
        ("seedream.image_generation", SEEDREAM, "0.8", "0.032000", Kind.EXACT),
        # a group: as many as it allows, and 15 where it says nothing
        (
            "seedream.image_generation",
            SEEDREAM | {"sequential_image_generation": "auto", "sequential_image_generation_options": {"max_images": 3}},
            "1",
            "0.120000",
            Kind.UPPER_BOUND,
        ),
        ("seedream.image_generation", SEEDREAM | {"sequential_image_generation": "auto"}, "1", "0.600000", Kind.UPPER_BOUND),
        ("replicate.prediction", {"model": "black-forest-labs/flux-schnell", "input": {}}, "1", "0.003000", Kind.EXACT),
        (
            "replicate.prediction",
            {"model": "black-forest-labs/flux-schnell", "input": {"num_outputs": 4}},
            "0.8",
            "0.009600",
            Kind.EXACT,
        ),
        # characters, not bytes: 1000 at 15 a million
        ("openai.speech", SPEECH, "1", "0.015000", Kind.EXACT),
        ("openai.speech", SPEECH | {"model": "tts-1-hd"}, "0.8", "0.024000", Kind.EXACT),
        ("openai.speech", SPEECH | {"input": "x"}, "0.8", "0.000012", Kind.EXACT),
        ("midjourney.blend", {"base64Array": [], "route": "mj-turbo/mj"}, "0.8", "0.168000", Kind.EXACT),
        (
            "midjourney.action",
            {"taskId": "1", "customId": "MJ::JOB::variation::1::0f0f", "route": "mj-fast/mj"},
            "0.8",
            "0.056000",
            Kind.EXACT,
        ),
    ],
)
def test_a_quote_is_right_to_the_last_digit(
    operation: str, wanted: dict[str, Any], discount: str, expected: str, kind: Kind
) -> None:
    answer = quote(OPERATIONS[operation], wanted, discount=Decimal(discount))
    assert (answer.usd, answer.kind) == (Decimal(expected), kind)


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({}, "0.042"),
        ({"n": 3}, "0.126"),
        ({"quality": "low"}, "0.011"),
        ({"quality": "high", "size": "1536x1024"}, "0.25"),
        # left to the provider: the dearest that it can choose
        ({"quality": "auto"}, "0.167"),
        ({"quality": "auto", "size": "auto", "n": 2}, "0.50"),
    ],
)
def test_pictures_of_a_token_model_are_estimated_by_the_picture(more: dict[str, Any], expected: str) -> None:
    answer = quote(OPERATIONS["openai.image_generation"], GPT_IMAGE | more, discount=FULL)
    pictures, prompt = sorted(answer.lines, key=lambda line: line.unit)
    assert pictures.total == Decimal(expected)
    assert prompt.unit == Unit.INPUT
    assert prompt.total < Decimal("0.001")
    assert answer.kind is Kind.ESTIMATE


def test_a_field_left_out_counts_as_left_to_the_provider() -> None:
    said = quote(OPERATIONS["openai.image_generation"], GPT_IMAGE | {"quality": "auto", "size": "auto"}, discount=FULL)
    bare = {"model": "gpt-image-1", "prompt": "x"}
    unsaid = quote(OPERATIONS["openai.image_generation"], bare, discount=FULL)
    assert unsaid.usd is not None
    assert said.usd is not None
    assert abs(said.usd - unsaid.usd) < Decimal("0.001")


def test_text_is_quoted_by_its_bytes_and_by_the_longest_answer() -> None:
    # {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 1000000}: 96 bytes
    answer = quote(OPERATIONS["openai.chat"], chat(max_tokens=1_000_000), discount=FULL)
    assert [(line.unit, line.amount) for line in answer.lines] == [(Unit.INPUT, Decimal(96)), (Unit.OUTPUT, Decimal(1_000_000))]
    # 96 × 0.15 / 10⁶ + 0.60
    assert (answer.usd, answer.kind) == (Decimal("0.600014"), Kind.UPPER_BOUND)
    halves = quote(OPERATIONS["openai.chat"], chat(max_tokens=1_000_000, n=2), discount=FULL)
    assert halves.usd is not None
    assert halves.usd > Decimal("1.2")


def test_tools_bring_more_tokens_than_they_are_written_with() -> None:
    wanted = chat(max_tokens=1, tools=[{"type": "function", "function": {"name": "f"}}])
    read = quote(OPERATIONS["openai.chat"], wanted, discount=FULL).lines[0].amount
    assert read == len(json.dumps(wanted)) + 1_000


def test_a_prompt_that_is_to_be_kept_is_quoted_at_the_price_of_keeping_it() -> None:
    message = {"type": "text", "text": "x" * 1000}
    plain = chat("claude-sonnet-4-5", [message], max_tokens=1)
    kept = chat("claude-sonnet-4-5", [message | {"cache_control": {"type": "ephemeral"}}], max_tokens=1)
    units = [quote(OPERATIONS["anthropic.messages"], one, discount=FULL).lines[0].unit for one in (plain, kept)]
    assert units == [Unit.INPUT, Unit.CACHE_WRITE_1H]


def test_a_long_prompt_is_quoted_at_the_price_of_long_prompts() -> None:
    short, long = (
        quote(OPERATIONS["anthropic.messages"], chat("claude-sonnet-4-5", "x" * size, max_tokens=10), discount=FULL)
        for size in (1_000, 200_001)
    )
    assert [line.usd for line in short.lines] == [Decimal(3), Decimal(15)]
    assert [line.usd for line in long.lines] == [Decimal(6), Decimal("22.5")]


def test_what_may_be_spoken_is_quoted_as_spoken() -> None:
    wanted = {"model": "gpt-realtime-1.5", "text": "Hi", "instructions": "Be brief.", "max_output_tokens": 1_000}
    answer = quote(OPERATIONS["openai.realtime"], wanted, discount=FULL)
    assert [(line.unit, line.usd) for line in answer.lines] == [(Unit.INPUT, Decimal(4)), (Unit.AUDIO_OUTPUT, Decimal(64))]


def test_a_quote_names_what_it_is_based_on() -> None:
    [line] = quote(OPERATIONS["sora.create_video"], SORA, discount=FIFTH_OFF).lines
    assert (line.unit, line.amount, line.usd, line.factor) == (Unit.SECOND_OF_VIDEO, Decimal(4), Decimal("0.10"), FIFTH_OFF)
    assert line.basis == "official"
    assert "sora-2" in line.source


GEMINI = {"model": "gemini-2.5-flash", "contents": [{"role": "user", "parts": [{"text": "Hi"}]}]}
CAPPED = {"generationConfig": {"maxOutputTokens": 10}}
CLAUDE = chat("claude-sonnet-4-5", max_tokens=10)
RESPONSES = {"model": "gpt-4o-mini", "input": "Hi", "max_output_tokens": 10}


@pytest.mark.parametrize(
    ("operation", "wanted"),
    [
        ("openai.chat", chat(max_tokens=10)),
        ("openai.chat", chat(max_tokens=10, service_tier="auto", tools=[{"type": "function", "function": {"name": "f"}}])),
        ("anthropic.messages", CLAUDE | {"tools": [{"name": "f", "input_schema": {"type": "object"}}]}),
        ("gemini.generate_content", GEMINI | CAPPED | {"tools": [{"functionDeclarations": [{"name": "f"}]}]}),
        ("openai.responses", RESPONSES | {"tools": [{"type": "function", "name": "f"}]}),
    ],
)
def test_text_with_a_longest_answer_has_a_quote(operation: str, wanted: dict[str, Any]) -> None:
    assert quote(OPERATIONS[operation], wanted, discount=FULL).kind is Kind.UPPER_BOUND


@pytest.mark.parametrize(
    ("operation", "wanted", "why"),
    [
        ("suno.music", {"gpt_description_prompt": "x"}, "no price is known for this operation"),
        ("minimax.video", {"model": "MiniMax-Hailuo-02", "prompt": "x"}, "only a part of the price is known"),
        ("sora.create_video", SORA | {"model": "sora-3"}, "for the model sora-3"),
        ("sora.create_video", SORA | {"model": "sora-2-pro", "size": "1792x1024"}, "for size 1792x1024"),
        ("midjourney.blend", {"base64Array": []}, "for route mj"),
        (
            "midjourney.action",
            {"taskId": "1", "customId": "MJ::JOB::upsample::1::0f0f", "route": "mj-fast/mj"},
            "for customId MJ::JOB::upsample",
        ),
        (
            "midjourney.action",
            {"taskId": "1", "customId": {"job": "a", "get": "output.buttons[0].customId"}, "route": "mj-fast/mj"},
            "which another job will make",
        ),
        ("runway.text_to_image", {"model": "gen4_image", "promptText": "x"}, "without ratio"),
        ("openai.image_generation", GPT_IMAGE | {"quality": "standard"}, "for quality standard"),
        ("openai.image_generation", GPT_IMAGE | {"size": "512x512"}, "for size 512x512"),
        ("openai.image_generation", GPT_IMAGE | {"model": "gpt-image-2"}, "known only after the call"),
        ("openai.image_edit", GPT_IMAGE | {"image": PICTURE}, "known only after the call"),
        ("openai.transcription", {"model": "whisper-1", "file": PICTURE}, "before it is heard"),
        ("runway.video_to_video", {"model": "gen4_aleph", "videoUri": PICTURE, "promptText": "x"}, "how many seconds"),
        ("openai.speech", SPEECH | {"input": {"job": "a", "get": "output.text"}}, "text is not known"),
        ("openai.chat", chat(), "how long the answer may become"),
        ("openai.chat", chat("gpt-9", max_tokens=10), "for the model gpt-9"),
        ("openai.chat", chat(max_tokens=10, service_tier="priority"), "service tier"),
        ("openai.chat", chat(max_tokens=10, tools=[{"type": "web_search"}]), "tools that the provider runs"),
        ("openai.chat", chat(content={"job": "a", "get": "output.text"}, max_tokens=10), "tokens of media"),
        (
            "openai.chat",
            chat(content=[{"type": "image_url", "image_url": {"url": "https://pictures.example/a.png"}}], max_tokens=10),
            "tokens of media",
        ),
        (
            "openai.chat",
            chat(content=[{"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}], max_tokens=10),
            "tokens of media",
        ),
        ("openai.responses", RESPONSES | {"previous_response_id": "resp_1"}, "an earlier response"),
        ("openai.responses", RESPONSES | {"tools": [{"type": "web_search_preview"}]}, "tools that the provider runs"),
        ("openai.responses", RESPONSES | {"input": [{"type": "item_reference", "id": "msg_1"}]}, "tokens of media"),
        ("anthropic.messages", CLAUDE | {"tools": [{"type": "web_search_20250305"}]}, "tools that the provider runs"),
        ("anthropic.messages", CLAUDE | {"service_tier": "priority"}, "service tier"),
        ("gemini.generate_content", GEMINI, "how long the answer may become"),
        ("gemini.generate_content", GEMINI | CAPPED | {"cachedContent": "cachedContents/a"}, "a cached context"),
        ("gemini.generate_content", GEMINI | CAPPED | {"tools": [{"googleSearch": {}}]}, "tools that the provider runs"),
        (
            "gemini.generate_content",
            GEMINI | CAPPED | {"contents": [{"parts": [{"fileData": {"fileUri": "https://films.example/a"}}]}]},
            "tokens of media",
        ),
        (
            "gemini.generate_content",
            GEMINI | CAPPED | {"contents": [{"parts": [{"inlineData": {"mimeType": "image/png", "data": PICTURE}}]}]},
            "tokens of media",
        ),
        (
            "openai.realtime",
            {"model": "gpt-realtime-1.5", "audio": PICTURE, "instructions": "x", "max_output_tokens": 9},
            "tokens of media",
        ),
        ("openai.realtime", {"model": "gpt-realtime-1.5", "text": "Hi", "max_output_tokens": 9}, "provider's own instructions"),
        (
            "openai.realtime",
            {"model": "gpt-realtime-1.5", "text": "Hi", "instructions": "x", "max_output_tokens": "inf"},
            "how long the answer may become",
        ),
    ],
)
def test_what_is_not_known_is_unknown_and_says_why(operation: str, wanted: dict[str, Any], why: str) -> None:
    answer = quote(OPERATIONS[operation], wanted, discount=FIFTH_OFF)
    assert (answer.usd, answer.kind, answer.lines) == (None, None, ())
    assert answer.why is not None
    assert why in answer.why


# ---------------------------------------------------------------------------------------------------------- after the end


def usage(**counts: Any) -> dict[str, Any]:
    return {"usage": counts}


@pytest.mark.parametrize(
    ("operation", "wanted", "values", "expected"),
    [
        # 1000 × 0.15 + 500 × 0.60, a million apiece
        ("openai.chat", chat(), usage(prompt_tokens=1000, completion_tokens=500), "0.00045"),
        # 600 × 0.15 + 400 × 0.075 + 500 × 0.60
        (
            "openai.chat",
            chat(),
            usage(prompt_tokens=1000, completion_tokens=500, prompt_tokens_details={"cached_tokens": 400, "audio_tokens": 0}),
            "0.00042",
        ),
        ("openai.responses", RESPONSES, usage(input_tokens=2_000_000, output_tokens=0), "0.30"),
        (
            "openai.responses",
            RESPONSES,
            usage(input_tokens=1000, input_tokens_details={"cached_tokens": 1000}, output_tokens=1000),
            # 1000 × 0.075 + 1000 × 0.60
            "0.000675",
        ),
        ("openai.embeddings", {"model": "text-embedding-3-large", "input": "x"}, usage(prompt_tokens=100_000), "0.013"),
        # 100 × 3 + 1000 × 0.30 + 200 × 3.75 + 300 × 6 + 50 × 15
        (
            "anthropic.messages",
            CLAUDE,
            usage(
                input_tokens=100,
                cache_read_input_tokens=1000,
                cache_creation_input_tokens=500,
                cache_creation={"ephemeral_5m_input_tokens": 200, "ephemeral_1h_input_tokens": 300},
                output_tokens=50,
                service_tier="standard",
            ),
            "0.0039",
        ),
        # at 200 000 the short price, above it the long one: 3 → 6, 15 → 22.50
        ("anthropic.messages", CLAUDE, usage(input_tokens=200_000, output_tokens=1000), "0.615"),
        ("anthropic.messages", CLAUDE, usage(input_tokens=200_001, output_tokens=1000), "1.222506"),
        ("anthropic.messages", CLAUDE, usage(input_tokens=1, cache_read_input_tokens=200_000, output_tokens=0), "0.120006"),
        # thoughts are output: 100 × 0.30 + (20 + 80) × 2.50
        (
            "gemini.generate_content",
            GEMINI,
            usage(promptTokenCount=100, candidatesTokenCount=20, thoughtsTokenCount=80, totalTokenCount=200),
            "0.00028",
        ),
        # 68 of text at 0.30, 32 of sound at 1.00
        (
            "gemini.generate_content",
            GEMINI | {"contents": [{"parts": [{"fileData": {"fileUri": "https://sounds.example/a"}}]}]},
            usage(
                promptTokenCount=100,
                candidatesTokenCount=0,
                promptTokensDetails=[{"modality": "TEXT", "tokenCount": 68}, {"modality": "AUDIO", "tokenCount": 32}],
            ),
            "0.000052",
        ),
        # 10 × 0.30 + 1290 × 30 + 5 × 2.50
        (
            "gemini.image",
            {"model": "gemini-2.5-flash-image", "contents": GEMINI["contents"]},
            usage(
                promptTokenCount=10,
                candidatesTokenCount=1295,
                candidatesTokensDetails=[{"modality": "IMAGE", "tokenCount": 1290}],
            ),
            "0.038716",
        ),
        # 12 × 5 + 1056 × 40
        (
            "openai.image_generation",
            GPT_IMAGE,
            usage(input_tokens=12, input_tokens_details={"text_tokens": 12, "image_tokens": 0}, output_tokens=1056),
            "0.0423",
        ),
        # 12 × 5 + 200 × 10 + 1000 × 40
        (
            "openai.image_edit",
            GPT_IMAGE | {"image": PICTURE},
            usage(input_tokens=212, input_tokens_details={"text_tokens": 12, "image_tokens": 200}, output_tokens=1000),
            "0.04206",
        ),
        # 20 s at 0.006 a minute
        ("openai.transcription", {"model": "whisper-1"}, usage(type="duration", seconds=20), "0.002"),
        ("openai.translation", {"model": "whisper-1"}, {"text": "…", "duration_s": 4.2}, "0.00042"),
        # 100 × 2.50 + 10 × 10
        (
            "openai.transcription",
            {"model": "gpt-4o-transcribe"},
            usage(type="tokens", input_tokens=100, output_tokens=10, input_token_details={"audio_tokens": 100, "text_tokens": 0}),
            "0.00035",
        ),
        # 60 × 4 + 20 × 16 + 100 × 64
        (
            "openai.realtime",
            {"model": "gpt-realtime-1.5", "text": "Hi"},
            usage(
                input_tokens=60,
                output_tokens=120,
                input_token_details={"text_tokens": 60, "audio_tokens": 0, "cached_tokens": 0},
                output_token_details={"text_tokens": 20, "audio_tokens": 100},
            ),
            "0.00696",
        ),
        ("openai.speech", SPEECH, {}, "0.015"),
        # what the provider says it made wins over what was asked
        ("seedream.image_generation", SEEDREAM | {"sequential_image_generation": "auto"}, usage(generated_images=3), "0.12"),
    ],
)
def test_the_bill_is_right_to_the_last_digit(operation: str, wanted: dict[str, Any], values: Any, expected: str) -> None:
    full = actual(OPERATIONS[operation], wanted, values, (), discount=FULL)
    assert full == Decimal(expected)
    half = actual(OPERATIONS[operation], wanted, values, (), discount=Decimal("0.5"))
    assert half is not None
    assert abs(half - Decimal(expected) / 2) <= Decimal("0.0000005")


@pytest.mark.parametrize(
    ("operation", "wanted", "made", "expected"),
    [
        ("flux.image_generation", FLUX, [Made("image")], "0.04"),
        (
            "replicate.prediction",
            {"model": "black-forest-labs/flux-schnell", "input": {"num_outputs": 4}},
            [Made("image")] * 3,
            "0.009",
        ),
        ("seedream.image_generation", SEEDREAM, [Made("image"), Made("image"), Made("text")], "0.08"),
        ("seedream.image_generation", SEEDREAM, [], None),
        # what was asked for, not what the file says to a hair
        ("sora.create_video", SORA | {"seconds": "8"}, [Made("video", 8.041)], "0.80"),
        ("runway.video_to_video", {"model": "gen4_aleph"}, [Made("video", 5.2)], "0.78"),
        ("runway.video_to_video", {"model": "gen4_aleph"}, [Made("video", 0.1), Made("video", 0.2)], "0.045"),
        # exactly half of a millionth too many: a float would be a hair above it
        ("runway.character_performance", {"model": "act_two"}, [Made("video", 0.00005)], "0.000002"),
        ("runway.video_to_video", {"model": "gen4_aleph"}, [Made("video")], None),
        ("runway.video_to_video", {"model": "gen4_aleph"}, [Made("video", 5.0), Made("video")], None),
        ("runway.video_to_video", {"model": "gen4_aleph"}, [], None),
        ("runway.character_performance", {"model": "act_two"}, [Made("video", 12.0), Made("image")], "0.60"),
        ("veo.video", SORA | {"model": "veo3.1"}, [Made("video", 8.0)], "0.40"),
        ("midjourney.blend", {"route": "mj-turbo/mj"}, [Made("image")] * 4, "0.168"),
    ],
)
def test_what_is_billed_by_the_piece_is_billed_as_delivered(
    operation: str, wanted: dict[str, Any], made: list[Made], expected: str | None
) -> None:
    assert actual(OPERATIONS[operation], wanted, {}, made, discount=FULL) == usd(expected)


@pytest.mark.parametrize(
    ("operation", "wanted", "values"),
    [
        ("suno.music", {}, {}),
        ("minimax.video", {"model": "MiniMax-Hailuo-02"}, {}),
        ("openai.chat", chat(), None),
        ("openai.chat", chat(), "only text"),
        ("openai.chat", chat(), {"text": "Hi"}),
        ("openai.chat", chat(), usage(prompt_tokens=10)),
        ("openai.chat", chat(), usage(prompt_tokens="10", completion_tokens=1)),
        ("openai.chat", chat(), usage(prompt_tokens=-10, completion_tokens=1)),
        ("openai.chat", chat(), usage(prompt_tokens=10.5, completion_tokens=1)),
        ("openai.chat", chat(), usage(prompt_tokens=True, completion_tokens=1)),
        ("openai.chat", chat(), usage(prompt_tokens=0, completion_tokens=0)),
        ("openai.chat", chat(), usage(prompt_tokens=10, completion_tokens=1, prompt_tokens_details={"cached_tokens": 11})),
        # spoken, and this model has no price for that
        ("openai.chat", chat(), usage(prompt_tokens=10, completion_tokens=9, completion_tokens_details={"audio_tokens": 5})),
        ("openai.chat", chat(service_tier="priority"), usage(prompt_tokens=10, completion_tokens=1)),
        ("openai.chat", chat("gpt-9"), usage(prompt_tokens=10, completion_tokens=1)),
        # a price without one for what is kept
        (
            "openai.responses",
            RESPONSES | {"model": "gpt-5-pro"},
            usage(input_tokens=10, output_tokens=1, input_tokens_details={"cached_tokens": 5}),
        ),
        ("anthropic.messages", CLAUDE, usage(input_tokens=10, output_tokens=1, server_tool_use={"web_search_requests": 1})),
        ("anthropic.messages", CLAUDE, usage(input_tokens=10, output_tokens=1, service_tier="priority")),
        # sound or not is not told
        (
            "gemini.generate_content",
            GEMINI | {"contents": [{"parts": [{"fileData": {"fileUri": "https://sounds.example/a"}}]}]},
            usage(promptTokenCount=10, candidatesTokenCount=1),
        ),
        # picture or text is not told
        (
            "gemini.image",
            {"model": "gemini-2.5-flash-image", "contents": []},
            usage(promptTokenCount=10, candidatesTokenCount=1290),
        ),
        ("openai.image_generation", GPT_IMAGE, {"revised_prompts": ["x"]}),
        ("openai.image_generation", GPT_IMAGE, usage(input_tokens=12, output_tokens=1056)),
        ("openai.transcription", {"model": "whisper-1"}, {"text": "…"}),
        (
            "openai.realtime",
            {"model": "gpt-realtime-1.5"},
            usage(
                input_tokens=60,
                output_tokens=1,
                input_token_details={"text_tokens": 60, "cached_tokens": 30},
                output_token_details={"text_tokens": 1},
            ),
        ),
    ],
)
def test_a_bill_that_cannot_be_made_is_not_guessed(operation: str, wanted: dict[str, Any], values: Any) -> None:
    assert actual(OPERATIONS[operation], wanted, values, (), discount=FIFTH_OFF) is None


def test_what_the_provider_chose_is_not_guessed_after_the_end() -> None:
    row = GOOD.replace('models = ["m"]', 'models = ["m"]\nopen = ["output_format"]')
    jpeg = row.replace("rates =", 'when = { output_format = ["jpeg"] }\nrates =')
    png = row.replace("rates =", 'when = { output_format = ["png"] }\nrates =').replace("0.04", "0.05")
    prices, operation, made = listed(jpeg + png), OPERATIONS["flux.image_generation"], [Made("image")]
    unsaid = {"model": "m", "prompt": "x"}
    answer = quote(operation, unsaid, discount=FULL, prices=prices)
    assert (answer.usd, answer.kind) == (Decimal("0.05"), Kind.UPPER_BOUND)
    assert actual(operation, unsaid, {}, made, discount=FULL, prices=prices) is None
    said = unsaid | {"output_format": "jpeg"}
    assert actual(operation, said, {}, made, discount=FULL, prices=prices) == Decimal("0.04")


def test_sums_are_rounded_once_half_to_even() -> None:
    # 0.15 a million, at half price: 0.075 of a millionth a token
    counts = {20: "0.000002", 34: "0.000003", 60: "0.000004", 100: "0.000008", 6: "0"}
    billed = {
        count: actual(
            OPERATIONS["openai.chat"], chat(), usage(prompt_tokens=count, completion_tokens=0), (), discount=Decimal("0.5")
        )
        for count in counts
    }
    assert billed == {count: Decimal(text) for count, text in counts.items()}


# ---------------------------------------------------------------------------------------------------- what must always hold

DISCOUNTS = st.decimals(min_value="0.01", max_value="2", places=2)


def cost(operation: str, wanted: dict[str, Any], discount: Decimal = FIFTH_OFF) -> Decimal:
    answer = quote(OPERATIONS[operation], wanted, discount=discount)
    assert isinstance(answer.usd, Decimal), answer.why
    return answer.usd


@given(st.integers(1, 9), st.sampled_from(["low", "medium", "high", "auto"]), st.sampled_from(["1024x1024", "1536x1024", "auto"]))
def test_more_pictures_are_never_cheaper(n: int, quality: str, size: str) -> None:
    fewer, more = (GPT_IMAGE | {"quality": quality, "size": size, "n": count} for count in (n, n + 1))
    assert cost("openai.image_generation", fewer) < cost("openai.image_generation", more)


@given(st.integers(1, 14), st.integers(0, 14))
def test_a_larger_group_is_never_cheaper(most: int, more: int) -> None:
    def group(size: int) -> dict[str, Any]:
        return SEEDREAM | {"sequential_image_generation": "auto", "sequential_image_generation_options": {"max_images": size}}

    assert cost("seedream.image_generation", group(most)) <= cost("seedream.image_generation", group(min(most + more, 15)))


@given(st.integers(2, 9), st.sampled_from(["gen4_turbo", "gen4.5"]))
def test_a_longer_film_is_never_cheaper(seconds: int, model: str) -> None:
    shorter, longer = (RUNWAY | {"model": model, "duration": length} for length in (seconds, seconds + 1))
    assert cost("runway.image_to_video", shorter) < cost("runway.image_to_video", longer)


@given(st.text(min_size=1, max_size=200), st.text(max_size=200))
def test_a_longer_text_to_speak_is_never_cheaper(text: str, more: str) -> None:
    assert cost("openai.speech", SPEECH | {"input": text}) <= cost("openai.speech", SPEECH | {"input": text + more})


@given(DISCOUNTS, DISCOUNTS)
def test_a_smaller_discount_is_never_cheaper(one: Decimal, other: Decimal) -> None:
    low, high = sorted((one, other))
    assert cost("sora.create_video", SORA, low) <= cost("sora.create_video", SORA, high)


@given(st.integers(1, 4), st.integers(0, 4))
def test_fewer_delivered_are_never_dearer_than_quoted(delivered: int, missing: int) -> None:
    wanted = {"model": "black-forest-labs/flux-schnell", "input": {"num_outputs": delivered + missing}}
    billed = actual(OPERATIONS["replicate.prediction"], wanted, {}, [Made("image")] * delivered, discount=FIFTH_OFF)
    assert billed is not None
    assert billed <= cost("replicate.prediction", wanted)


@settings(max_examples=200, deadline=None)
@given(
    st.text(max_size=300),
    st.integers(1, 5_000),
    st.sampled_from([("openai.chat", "gpt-4o-mini"), ("anthropic.messages", "claude-sonnet-4-5")]),
    st.data(),
)
def test_text_is_never_billed_above_its_quote(text: str, most: int, priced: tuple[str, str], data: st.DataObject) -> None:
    operation, model = priced
    wanted = chat(model, text, max_tokens=most)
    read, cached = data.draw(st.integers(0, len(text.encode()))), data.draw(st.integers(0, 100))
    written = data.draw(st.integers(1, most))
    cached = min(read, cached)
    values = (
        usage(prompt_tokens=read, completion_tokens=written, prompt_tokens_details={"cached_tokens": cached})
        if operation == "openai.chat"
        else usage(input_tokens=read - cached, cache_read_input_tokens=cached, output_tokens=written)
    )
    billed = actual(OPERATIONS[operation], wanted, values, (), discount=FIFTH_OFF)
    assert billed is not None
    assert billed <= cost(operation, wanted)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(), lambda some: st.lists(some) | st.dictionaries(st.text(), some)
    )
)
def test_a_strange_result_is_no_bill_and_no_error(values: Any) -> None:
    for wrapped in (values, {"usage": values}):
        billed = actual(OPERATIONS["openai.chat"], chat(), wrapped, (), discount=FIFTH_OFF)
        assert billed is None or (isinstance(billed, Decimal) and billed >= 0)


# -------------------------------------------------------------------------------------------------- what nobody can mean

#: Numbers and other values that are no count of anything.
NO_COUNTS: list[Any] = [
    *(0, -1, -(10**30), 2**53, 10**30, 10**4000, -0.0, 1e300, 1e-300, float("inf"), float("-inf"), float("nan")),
    *(True, False, "", "0", "-3", "many", "NaN", "sNaN", "Infinity", "1e300", "1e-300", "1e99999999999999999999", "\ud800", "\0"),
    *([], [1], {}, {"a": 1}),
]
ODD: list[Any] = [*NO_COUNTS, None, 1, 2.5, "5", "2.5", " 7 ", "1_0", "٣", "1" * 5_000, "auto", "inf"]
#: Fields within fields that say how much is asked for, or for what.
WITHIN = [
    ("input", "num_outputs"),
    ("generationConfig", "candidateCount"),
    ("generationConfig", "maxOutputTokens"),
    ("sequential_image_generation_options", "max_images"),
    ("watermark_info", "enabled"),
]
#: What results say, by the way their usage is read.
RESULTS: dict[str | None, dict[str, Any]] = {
    None: {"usage": {"generated_images": 2, "seconds": 3}, "duration_s": 3.5},
    "chat": {
        "usage": {
            "prompt_tokens": 10,
            "completion_tokens": 9,
            "prompt_tokens_details": {"cached_tokens": 2, "audio_tokens": 3},
            "completion_tokens_details": {"audio_tokens": 4},
        }
    },
    "embeddings": {"usage": {"prompt_tokens": 10}},
    "responses": {"usage": {"input_tokens": 10, "output_tokens": 9, "input_tokens_details": {"cached_tokens": 2}}},
    "messages": {
        "usage": {
            "input_tokens": 10,
            "output_tokens": 9,
            "cache_read_input_tokens": 3,
            "cache_creation_input_tokens": 5,
            "cache_creation": {"ephemeral_1h_input_tokens": 2},
            "server_tool_use": {"web_search_requests": 0},
            "service_tier": "standard",
        }
    },
    "gemini": {
        "usage": {
            "promptTokenCount": 10,
            "candidatesTokenCount": 9,
            "thoughtsTokenCount": 3,
            "toolUsePromptTokenCount": 2,
            "cachedContentTokenCount": 1,
            "promptTokensDetails": [{"modality": "AUDIO", "tokenCount": 4}],
        }
    },
    "gemini pictures": {
        "usage": {
            "promptTokenCount": 10,
            "candidatesTokenCount": 1295,
            "candidatesTokensDetails": [{"modality": "IMAGE", "tokenCount": 1290}],
        }
    },
    "images": {
        "usage": {
            "input_tokens": 10,
            "input_tokens_details": {"text_tokens": 4, "image_tokens": 6, "cached_tokens": 0},
            "output_tokens": 9,
            "output_tokens_details": {"text_tokens": 1},
        }
    },
    "transcripts": {
        "usage": {
            "input_tokens": 10,
            "input_token_details": {"text_tokens": 4, "audio_tokens": 6},
            "output_tokens": 9,
            "seconds": 3,
        },
        "duration_s": 3.5,
    },
    "realtime": {
        "usage": {
            "input_tokens": 10,
            "input_token_details": {"text_tokens": 4, "audio_tokens": 6, "cached_tokens": 0},
            "output_tokens": 9,
            "output_token_details": {"text_tokens": 4, "audio_tokens": 5},
        }
    },
}
TOTALS = {
    *("prompt_tokens", "completion_tokens", "input_tokens", "output_tokens", "cache_read_input_tokens", "thoughtsTokenCount"),
    *("cache_creation_input_tokens", "promptTokenCount", "candidatesTokenCount", "toolUsePromptTokenCount"),
}
MEASURED = sorted(price_list().measured())


def own(operation: str, *units: Unit, rate: str = "1000000") -> PriceList:
    """A price of one's own, so dear that none of what is counted is rounded to nothing."""
    row = Own(operations=(operation,), rates=dict.fromkeys(units, rate), basis="gateway", discounted=False, source="ours")
    return price_list().with_own([row])


def with_one_replaced(value: Any, odd: Any) -> Iterator[Any]:
    """The value with one part of it, each in turn, replaced."""
    yield odd
    if isinstance(value, dict):
        yield from ({**value, name: new} for name, part in value.items() for new in with_one_replaced(part, odd))
    elif isinstance(value, list):
        yield from ([*value[:n], new, *value[n + 1 :]] for n, part in enumerate(value) for new in with_one_replaced(part, odd))


def inputs_with(operation: Operation, odd: Any) -> Iterator[dict[str, Any]]:
    fields = operation.input_schema.get("properties", {})
    yield from (new for new in with_one_replaced(operation.example, odd) if isinstance(new, dict))
    yield from ({**operation.example, field: new} for field in fields for new in (odd, [odd]))
    yield from ({**operation.example, field: {name: odd}} for field, name in WITHIN if field in fields)


def price_lists(operation: str) -> list[PriceList]:
    """The list, and for all that can be counted a price of one's own."""
    return [price_list(), own(operation, *TOKENS), *(own(operation, unit) for unit in Unit if unit not in TOKENS)]


def is_an_amount(usd: Decimal | None) -> bool:
    return usd is None or (isinstance(usd, Decimal) and 0 < usd <= MOST and usd == usd.quantize(Decimal("0.000001")))


@pytest.mark.parametrize("name", MEASURED)
def test_whatever_is_asked_has_a_quote_or_a_reason(name: str) -> None:
    operation = OPERATIONS[name]
    for prices in price_lists(name):
        for asked in (asked for odd in ODD for asked in inputs_with(operation, odd)):
            answer = quote(operation, asked, discount=FULL, prices=prices)
            assert is_an_amount(answer.usd), asked
            assert answer.why or answer.kind is Kind.EXACT, asked


@pytest.mark.parametrize("name", MEASURED)
def test_whatever_a_result_says_is_a_bill_or_none(name: str) -> None:
    operation, said = OPERATIONS[name], RESULTS[price_list().measure(name).usage]
    for prices in price_lists(name)[1:]:
        for odd in ODD:
            for values in with_one_replaced(said, odd):
                assert is_an_amount(actual(operation, operation.example, values, (), discount=FULL, prices=prices)), values
            for asked in inputs_with(operation, odd):
                assert is_an_amount(actual(operation, asked, said, [Made("image")], discount=FULL, prices=prices)), asked


@pytest.mark.parametrize("name", [name for name in MEASURED if price_list().measure(name).usage])
def test_the_results_above_have_a_bill(name: str) -> None:
    said = RESULTS[price_list().measure(name).usage]
    billed = actual(OPERATIONS[name], OPERATIONS[name].example, said, (), discount=FULL, prices=own(name, *TOKENS))
    assert billed == sum(count for key, count in said["usage"].items() if key in TOTALS)


@pytest.mark.parametrize("count", NO_COUNTS, ids=lambda value: repr(value)[:20])
def test_what_is_no_count_is_unknown_before_the_call_and_after_it(count: Any) -> None:
    pictures, prices = OPERATIONS["replicate.prediction"], own("replicate.prediction", Unit.IMAGE, rate="0.05")
    # What is empty says nothing, and stands for one picture.
    if count not in ("", [], {}) and count is not False:
        answer = quote(pictures, {"model": "a/b", "input": {"num_outputs": count}}, discount=FULL, prices=prices)
        assert (answer.usd, answer.why) == (None, "how many images is not known")
    # No tokens are a count of tokens.
    if count != 0 or type(count) is not int:
        assert actual(OPERATIONS["openai.chat"], chat(), usage(prompt_tokens=count, completion_tokens=1), (), discount=FULL) is None
    film = [Made("video", count), Made("video", 5.0)]
    assert actual(OPERATIONS["runway.video_to_video"], {"model": "gen4_aleph"}, {}, film, discount=FULL) is None


def test_films_of_endless_length_both_ways_do_not_add_up() -> None:
    films = [Made("video", float("inf")), Made("video", float("-inf"))]
    assert actual(OPERATIONS["runway.video_to_video"], {"model": "gen4_aleph"}, {}, films, discount=FULL) is None


def test_there_are_no_halves_of_pictures() -> None:
    def asked(count: Any) -> Decimal | None:
        wanted = {"model": "a/b", "input": {"num_outputs": count}}
        return quote(OPERATIONS["replicate.prediction"], wanted, discount=FULL, prices=own("replicate.prediction", Unit.IMAGE)).usd

    assert asked(2.5) is None
    assert asked(2.0) == asked("2") == asked(2) == 2_000_000


def test_the_largest_count_is_still_one() -> None:
    def billed(count: int) -> Decimal | None:
        return actual(OPERATIONS["openai.chat"], chat(), usage(prompt_tokens=count, completion_tokens=0), (), discount=FULL)

    assert billed(MOST) == 150
    assert billed(MOST + 1) is None


def test_a_sum_that_no_call_costs_is_unknown() -> None:
    """A ledger keeps whole millionths in 64 bits."""
    wanted = {"model": "a/b", "input": {"num_outputs": 1_001}}
    prices = own("replicate.prediction", Unit.IMAGE)
    answer = quote(OPERATIONS["replicate.prediction"], wanted, discount=FULL, prices=prices)
    assert (answer.usd, answer.kind, answer.lines) == (None, None, ())
    assert answer.why == "it comes to more than any call costs"
    made = [Made("image")] * 1_001
    assert actual(OPERATIONS["replicate.prediction"], wanted, {}, made, discount=FULL, prices=prices) is None
    assert actual(OPERATIONS["replicate.prediction"], wanted, {}, made[1:], discount=FULL, prices=prices) == 1_000_000_000


@pytest.mark.parametrize(
    ("operation", "wanted", "values"),
    [
        ("anthropic.messages", CLAUDE, usage(input_tokens=10, output_tokens=1, server_tool_use={"web_search_requests": "1"})),
        (
            "openai.image_generation",
            GPT_IMAGE,
            usage(input_tokens=4, output_tokens=1, input_tokens_details={"text_tokens": 4, "cached_tokens": "3"}),
        ),
    ],
)
def test_a_word_in_the_place_of_a_number_is_no_bill(operation: str, wanted: dict[str, Any], values: Any) -> None:
    assert actual(OPERATIONS[operation], wanted, values, (), discount=FULL) is None


@pytest.mark.parametrize("tools", [["search"], [1], [[1]]])
def test_tools_of_no_form_have_no_quote_and_no_bill(tools: list[Any]) -> None:
    wanted, said = GEMINI | CAPPED | {"tools": tools}, usage(promptTokenCount=10, candidatesTokenCount=1)
    answer = quote(OPERATIONS["gemini.generate_content"], wanted, discount=FULL)
    assert (answer.usd, answer.kind) == (None, None)
    assert actual(OPERATIONS["gemini.generate_content"], wanted, said, (), discount=FULL) is None


def test_an_input_nested_too_deep_has_no_quote_and_no_bill() -> None:
    deep: Any = "x"
    for _ in range(sys.getrecursionlimit() + 100):
        deep = [deep]
    wanted = chat(content=deep, max_tokens=10)
    answer = quote(OPERATIONS["openai.chat"], wanted, discount=FULL)
    assert (answer.usd, answer.why) == (None, "the input is nested too deep to be counted")
    prices = own("openai.chat", *TOKENS)
    said = usage(prompt_tokens=1, completion_tokens=1)
    assert actual(OPERATIONS["openai.chat"], wanted, said, (), discount=FULL, prices=prices) is None


@pytest.mark.parametrize("unit", sorted(TOKENS))
@pytest.mark.parametrize("name", [name for name in MEASURED if price_list().measure(name).usage])
def test_a_price_of_some_tokens_raises_nothing_even_if_nobody_checked_it(name: str, unit: Unit) -> None:
    operation, prices = OPERATIONS[name], own(name, unit)
    for asked in (operation.example, operation.example | {"max_tokens": 5, "max_output_tokens": 5}):
        answer = quote(operation, asked, discount=FULL, prices=prices)
        assert is_an_amount(answer.usd)
        assert answer.why


def test_nothing_is_changed_by_asking() -> None:
    operation: Operation = OPERATIONS["sora.create_video"]
    wanted = dict(SORA)
    quote(operation, wanted, discount=FIFTH_OFF)
    actual(operation, wanted, {}, (), discount=FIFTH_OFF)
    assert wanted == SORA
