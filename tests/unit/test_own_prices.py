"""The operator's own prices: they go before the list's, and a wrong file says which row and field of it is wrong, and how."""

from __future__ import annotations

import re
from decimal import Decimal
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from jobs import pricing
from jobs.catalogue import all_operations, showing
from jobs.pricing import Kind, PriceList, PricesWrong, Unit, actual, price_list, quote
from jobs.pricing.own import with_own

OPERATIONS = all_operations()
FULL = Decimal(1)
FIFTH_OFF = Decimal("0.8")

SONG = {"gpt_description_prompt": "a waltz in the harbour"}
FLUX = {"model": "flux-pro-1.1", "prompt": "a boat"}


def in_force(folder: Path, text: str, encoding: str = "utf-8") -> PriceList:
    file = folder / "own.toml"
    file.write_text(text, encoding)
    return pricing.in_force(file)


def cost(prices: PriceList, operation: str, given: dict[str, Any], discount: Decimal = FIFTH_OFF) -> tuple[str | None, Kind | None]:
    answer = quote(OPERATIONS[operation], given, discount=discount, prices=prices)
    return None if answer.usd is None else str(answer.usd), answer.kind


# ------------------------------------------------------------------------------------------------------------ right files


def test_without_a_file_the_list_is_in_force() -> None:
    assert pricing.in_force(None) is price_list()


def test_a_price_for_each_call_makes_a_known_quote_of_an_unknown_one(tmp_path: Path) -> None:
    assert cost(price_list(), "suno.music", SONG) == (None, None)
    prices = in_force(tmp_path, '[[price]]\noperations = ["suno.music"]\nusd = "0.50"\n')
    # Their own word: no discount is taken off it.
    assert cost(prices, "suno.music", SONG) == ("0.500000", Kind.EXACT)
    [line] = quote(OPERATIONS["suno.music"], SONG, discount=FIFTH_OFF, prices=prices).lines
    assert (line.source, line.read, line.factor) == ("your own price list", None, Decimal(1))
    assert actual(OPERATIONS["suno.music"], SONG, {}, (), discount=FIFTH_OFF, prices=prices) == Decimal("0.5")


def test_what_is_free_is_known_to_cost_nothing(tmp_path: Path) -> None:
    prices = in_force(tmp_path, '[[free]]\noperations = ["flux.image_generation"]\n')
    assert cost(prices, "flux.image_generation", FLUX) == ("0.000000", Kind.EXACT)
    assert actual(OPERATIONS["flux.image_generation"], FLUX, {}, (), discount=FULL, prices=prices) == 0


def test_an_official_price_has_the_gateways_discount_taken_off(tmp_path: Path) -> None:
    prices = in_force(tmp_path, '[[price]]\noperations = ["suno.music"]\nusd = "0.50"\ndiscounted = true\nsource = "their page"\n')
    assert cost(prices, "suno.music", SONG) == ("0.400000", Kind.EXACT)


def test_a_row_takes_the_place_of_all_rows_of_the_list_for_its_operation(tmp_path: Path) -> None:
    prices = in_force(tmp_path, '[[price]]\noperations = ["flux.image_generation"]\nrates = { image = "0.01" }\n')
    for model in ("flux-pro-1.1", "flux-pro-1.1-ultra", "one that is not in the list"):
        assert cost(prices, "flux.image_generation", FLUX | {"model": model}) == ("0.010000", Kind.EXACT)
    [row] = prices.prices("flux.image_generation")
    assert row.rates == {Unit.IMAGE: Decimal("0.01")}
    assert prices.own() == {"flux.image_generation"}
    # All others stay as they are.
    assert prices.prices("openai.chat") == price_list().prices("openai.chat")


def test_a_row_for_models_leaves_the_other_models_to_the_list(tmp_path: Path) -> None:
    text = '[[price]]\noperations = ["flux.image_generation"]\nmodels = ["flux-pro-1.1"]\nusd = "0.01"\n'
    prices = in_force(tmp_path, text)
    assert cost(prices, "flux.image_generation", FLUX) == ("0.010000", Kind.EXACT)
    ultra = FLUX | {"model": "flux-pro-1.1-ultra"}
    assert cost(prices, "flux.image_generation", ultra) == cost(price_list(), "flux.image_generation", ultra)
    shown = prices.prices("flux.image_generation")
    assert shown[0].source == "your own price list"
    assert [row.models for row in shown].count(("flux-pro-1.1",)) == 1


def test_a_row_for_a_model_goes_before_one_for_any(tmp_path: Path) -> None:
    text = """
[[price]]
operations = ["flux.image_generation"]
usd = "0.01"

[[price]]
operations = ["flux.image_generation"]
models = ["flux-pro-1.1"]
usd = "0.02"
"""
    prices = in_force(tmp_path, text)
    assert cost(prices, "flux.image_generation", FLUX)[0] == "0.020000"
    assert cost(prices, "flux.image_generation", FLUX | {"model": "flux-dev"})[0] == "0.010000"


def test_a_model_is_named_as_the_operation_names_it(tmp_path: Path) -> None:
    text = '[[price]]\noperations = ["suno.music"]\nmodels = ["chirp-v5"]\nusd = "0.30"\n'
    prices = in_force(tmp_path, text)
    assert cost(prices, "suno.music", SONG | {"mv": "chirp-v5"})[0] == "0.300000"
    answer = quote(OPERATIONS["suno.music"], SONG | {"mv": "chirp-v4"}, discount=FULL, prices=prices)
    assert (answer.usd, answer.why) == (None, "no price is known for the model chirp-v4")


def test_a_price_for_each_call_holds_whatever_is_in_the_call(tmp_path: Path) -> None:
    """The list knows no price for tools of the provider; who names one for the whole call has thought of them."""
    chat = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hi"}], "tools": [{"type": "web_search"}]}
    by_call = in_force(tmp_path, '[[price]]\noperations = ["openai.chat"]\nusd = "0.02"\n')
    assert cost(by_call, "openai.chat", chat) == ("0.020000", Kind.EXACT)
    text = '[[price]]\noperations = ["openai.chat"]\nrates = { million_input_tokens = "1", million_output_tokens = "1" }\n'
    (tmp_path / "b").mkdir()
    by_token = in_force(tmp_path / "b", text)
    assert cost(by_token, "openai.chat", chat | {"max_tokens": 5}) == (None, None)


KLING = {"prompt": "a boat", "model_name": "kling-v2-1-master"}


@pytest.mark.parametrize(
    ("operation", "given", "unit", "amount"),
    [
        ("kling.text_to_video", KLING, "second_of_video", "5"),
        ("kling.text_to_video", KLING | {"duration": "10"}, "second_of_video", "10"),
        ("minimax.video", {"model": "MiniMax-Hailuo-02", "prompt": "x"}, "second_of_video", "6"),
        ("minimax.video", {"model": "MiniMax-Hailuo-02", "prompt": "x", "duration": 10}, "second_of_video", "10"),
        ("seedance.video", {"model": "doubao-seedance-1-0-pro-250528"}, "second_of_video", "5"),
        ("seedance.video", {"model": "doubao-seedance-1-0-pro-250528", "frames": 29}, "second_of_video", None),
        ("kling.image_generation", {"prompt": "x", "n": 3}, "image", "3"),
        ("kling.image_generation", {"prompt": "x", "n": 3, "watermark_info": {"enabled": True}}, "image", None),
        ("bria.vector_generation", {"prompt": "x"}, "image", "4"),
    ],
)
def test_what_no_list_prices_can_be_priced_by_what_is_asked(
    tmp_path: Path, operation: str, given: dict[str, Any], unit: str, amount: str | None
) -> None:
    prices = in_force(tmp_path, f'[[price]]\noperations = ["{operation}"]\nrates = {{ {unit} = "1" }}\n')
    answer = quote(OPERATIONS[operation], given, discount=FULL, prices=prices)
    assert answer.usd == (None if amount is None else Decimal(amount)), answer.why


def test_the_catalogue_shows_the_prices_in_force(tmp_path: Path) -> None:
    prices = in_force(tmp_path, '[[price]]\noperations = ["suno.music"]\nusd = "0.50"\n[[free]]\noperations = ["suno.lyrics"]\n')
    assert showing.view(OPERATIONS["suno.music"])["price"] is None
    [song] = showing.view(OPERATIONS["suno.music"], prices)["price"]
    assert (song["usd"], song["source"], song["read"]) == ({"request": "0.50"}, "your own price list", None)
    assert showing.priced(song) == "0.50 USD per request"
    [lyrics] = showing.view(OPERATIONS["suno.lyrics"], prices)["price"]
    assert showing.priced(lyrics) == "free"


def test_a_mark_at_the_beginning_of_the_file_is_no_mistake(tmp_path: Path) -> None:
    prices = in_force(tmp_path, '[[free]]\noperations = ["suno.lyrics"]\n', encoding="utf-8-sig")
    assert prices.own() == {"suno.lyrics"}


def test_the_file_on_the_how_to_page_is_right_and_its_words_are_those_of_the_program(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "how-to" / "know-what-it-costs.md").read_text("utf-8")
    (example,) = re.findall(r"^```toml\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    prices = in_force(tmp_path, example)
    assert prices.own() == {"suno.music", "suno.concat", "kling.text_to_video", "openai.chat", "suno.lyrics"}
    assert cost(prices, "kling.text_to_video", KLING | {"mode": "pro"}) == ("0.400000", Kind.EXACT)
    (units,) = re.findall(r"^\| `rates` \| or USD by unit: (.*?) and other", page, re.MULTILINE)
    assert set(re.findall(r"`(\w+)`", units)) <= set(Unit)
    assert all(f"`{kind}`" in page for kind in Kind)


# ------------------------------------------------------------------------------------------------------------ wrong files

HEAD = '[[price]]\noperations = ["suno.music"]\n'
SOME = "prices tokens, and not those that every call takes; write "


def row(operation: str, *units: str) -> str:
    rates = ", ".join(f'{unit} = "1"' for unit in units)
    return f'[[price]]\noperations = ["{operation}"]\nrates = {{ {rates} }}\n'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (HEAD + "usd = 0.5\n", 'usd: an amount of money is written as text ("0.50")'),
        (HEAD + "usd = 1\n", 'usd: an amount of money is written as text ("0.50")'),
        (HEAD + 'usd = "0.00"\n', "usd: must be greater than 0; what costs nothing has a row [[free]]"),
        (HEAD + 'usd = "-1"\n', "usd: must be greater than 0"),
        (HEAD + 'usd = "cheap"\n', "usd: must be a valid decimal"),
        (HEAD + 'usd = "NaN"\n', "usd: must be a finite number"),
        (HEAD + 'usd = "1e9"\n', "usd: must be less than or equal to 1000000"),
        (HEAD, 'says no price: usd = "0.50" for each call, or rates'),
        (HEAD + 'usd = "1"\nrates = { request = "1" }\n', "says its price twice"),
        (HEAD + 'rates = { acre = "1" }\n', "rates.acre: must be 'request', 'image'"),
        (HEAD + 'rates = { million_input_tokens = "1" }\n', "rates: suno.music: nothing counts million_input_tokens"),
        (row("openai.embeddings", "million_audio_input_tokens"), "rates: openai.embeddings: " + SOME + "million_input_tokens too"),
        (row("openai.chat", "million_cached_input_tokens", "million_output_tokens"), SOME + "million_input_tokens too"),
        (row("openai.chat", "million_output_tokens"), SOME + "million_input_tokens too"),
        (row("openai.realtime", "million_audio_input_tokens", "million_audio_output_tokens"), SOME + "million_input_tokens too"),
        (row("openai.responses", "million_input_tokens"), SOME + "million_output_tokens too"),
        (row("openai.chat", "million_input_tokens"), SOME + "million_audio_output_tokens or million_output_tokens too"),
        (HEAD + 'rates = "1"\n', "rates: must be a table"),
        (HEAD + 'usd = "1"\nmodle = ["a"]\n', "modle: is no field of [[price]] (did you mean models?)"),
        (HEAD + 'usd = "1"\nmodels = "chirp-v5"\n', "models: must be a list"),
        (HEAD + 'usd = "1"\nwhen = { mood = ["sad"] }\n', "when.mood: suno.music has no field mood"),
        (HEAD + 'usd = "1"\nbasis = "gateway"\ndiscounted = true\n', "has its discount in it"),
        (HEAD + 'usd = "1"\nread = "lately"\n', "read: must be a valid date"),
        ('[[price]]\nusd = "1"\n', "operations: is missing"),
        ('[[price]]\noperations = "suno.music"\nusd = "1"\n', "operations: must be a list"),
        ('[[price]]\noperations = []\nusd = "1"\n', "operations: "),
        ('[[price]]\noperations = ["suno.musik"]\nusd = "1"\n', "there is no operation suno.musik (did you mean suno.music?)"),
        ('[[price]]\noperations = ["suno.music", "suno.music"]\nusd = "1"\n', "operations: names one twice"),
        ('[[free]]\noperations = ["suno.music"]\nusd = "1"\n', "usd: is no field of [[free]]"),
    ],
)
def test_a_wrong_row_is_named_with_its_file_its_line_and_its_field(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(PricesWrong) as wrong:
        in_force(tmp_path, "# ours\n\n" + text)
    [line] = str(wrong.value).splitlines()
    table = "free" if "[[free]]\n" in text else "price"
    assert line.startswith(f"{tmp_path / 'own.toml'}: [[{table}]] 1 (line 3)")
    assert said in line


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[price]\noperations = ["suno.music"]\n', "[price] is written [[price]], with two brackets"),
        ('[[prise]]\noperations = ["suno.music"]\n', "prise is no table of prices (did you mean price?)"),
        ("[[price]\n", "line 1"),
        ('price = ["suno.music"]\n', "[[price]] 1: must be a table"),
        (
            HEAD + 'usd = "1"\n' + HEAD + 'usd = "2"\n',
            "[[price]] 2 (line 4): prices suno.music for calls that [[price]] 1 (line 1)",
        ),
        ('[[free]]\noperations = ["suno.music"]\n' + HEAD + 'usd = "1"\n', "for calls that [[free]] 1 (line 1) prices too"),
    ],
)
def test_a_file_of_the_wrong_form_is_named_with_what_is_wrong(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(PricesWrong) as wrong:
        in_force(tmp_path, text)
    [line] = str(wrong.value).splitlines()
    assert line.startswith(f"{tmp_path / 'own.toml'}: ")
    assert said in line


@pytest.mark.parametrize(
    ("operation", "units"),
    [
        ("openai.embeddings", ["million_input_tokens"]),
        # What is heard may be all that goes in.
        ("openai.transcription", ["million_audio_input_tokens", "million_output_tokens"]),
        # The picture stands for the tokens that come out.
        ("openai.image_generation", ["image", "million_input_tokens"]),
    ],
)
def test_a_price_of_all_tokens_that_every_call_takes_is_right(tmp_path: Path, operation: str, units: list[str]) -> None:
    assert in_force(tmp_path, row(operation, *units)).own() == {operation}


@pytest.mark.parametrize("name", sorted(price_list().measured()))
def test_no_price_that_passes_the_check_raises_at_a_quote_or_a_bill(name: str) -> None:
    operation, passed = OPERATIONS[name], 0
    for units in (*combinations(Unit, 1), *combinations(Unit, 2), *combinations(Unit, 3)):
        try:
            prices = with_own(row(name, *units), price_list(), OPERATIONS, called="own.toml")
        except PricesWrong:
            continue
        passed += 1
        answer = quote(operation, operation.example | {"max_tokens": 5, "max_output_tokens": 5}, discount=FULL, prices=prices)
        assert answer.kind or answer.why
        actual(operation, operation.example, {}, (), discount=FULL, prices=prices)
    assert passed


def test_every_mistake_has_its_line(tmp_path: Path) -> None:
    text = HEAD + "usd = 1\n" + '[[price]]\noperations = ["suno.lyrics"]\nmodle = 1\nusd = "1"\n' + "[[prise]]\n"
    with pytest.raises(PricesWrong) as wrong:
        in_force(tmp_path, text)
    said = str(wrong.value).splitlines()
    assert len(said) == 3
    assert ["usd" in said[0], "modle" in said[1], "prise" in said[2]] == [True] * 3


def test_rows_for_different_calls_are_no_doubles(tmp_path: Path) -> None:
    def row(more: str) -> str:
        return f'[[price]]\noperations = ["kling.text_to_video"]\nusd = "1"\n{more}\n'

    text = row('when = { mode = ["std"] }') + row('when = { mode = ["pro"] }') + row('models = ["kling-v2-1-master"]')
    prices = in_force(tmp_path, text)
    assert len(prices.prices("kling.text_to_video")) == 3


def test_a_file_that_cannot_be_read_says_why(tmp_path: Path) -> None:
    with pytest.raises(PricesWrong, match=r"nowhere\.toml: cannot be read: No such file"):
        pricing.in_force(tmp_path / "nowhere.toml")
    with pytest.raises(PricesWrong, match="cannot be read: Is a directory"):
        pricing.in_force(tmp_path)
    (tmp_path / "own.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(PricesWrong, match=r"own\.toml: is no text in UTF-8"):
        pricing.in_force(tmp_path / "own.toml")
