"""OpenAI embeddings. Source: text.md section 5."""

from __future__ import annotations

import base64
import math
from array import array
from typing import Any

import pytest

PATH = "/v1/embeddings"
BODY = {"model": "text-embedding-3-small", "input": "a red kite"}


def likeness(one: list[float], other: list[float]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize(
    ("model", "length"), [("text-embedding-3-large", 3072), ("text-embedding-3-small", 1536), ("text-embedding-ada-002", 1536)]
)
def test_a_vector_has_the_model_s_length_and_the_size_one(simulator: Any, model: str, length: int) -> None:
    answer = simulator.post(PATH, {**BODY, "model": model}).json()

    (row,) = answer["data"]
    assert (answer["object"], row["object"], row["index"]) == ("list", "embedding", 0)
    assert len(row["embedding"]) == length
    assert math.hypot(*row["embedding"]) == pytest.approx(1)
    assert answer["usage"] == {"prompt_tokens": 3, "total_tokens": 3}
    assert simulator.ledger(event="paid_call")[0]["operation"] == "openai.embeddings"


def test_order_follows_the_input_and_shared_words_bring_vectors_together(simulator: Any) -> None:
    texts = ["a red kite over the lake", "a red kite over the hill", "quarterly tax report"]

    rows = simulator.post(PATH, {**BODY, "input": texts, "dimensions": 256}).json()["data"]

    assert [row["index"] for row in rows] == [0, 1, 2]
    kite, hill, tax = (row["embedding"] for row in rows)
    assert likeness(kite, hill) > 0.5 > abs(likeness(kite, tax))


def test_base64_holds_the_same_numbers_as_32_bit_floats(simulator: Any) -> None:
    plain = simulator.post(PATH, BODY).json()["data"][0]["embedding"]

    packed = simulator.post(PATH, {**BODY, "encoding_format": "base64"}).json()["data"][0]["embedding"]

    assert array("f", base64.b64decode(packed)).tolist() == pytest.approx(plain, abs=1e-7)


def test_token_numbers_are_an_input_too(simulator: Any) -> None:
    single = simulator.post(PATH, {**BODY, "input": [1, 2, 3]}).json()
    several = simulator.post(PATH, {**BODY, "input": [[1, 2, 3], [4]]}).json()

    assert (len(single["data"]), len(several["data"])) == (1, 2)
    assert single["data"][0] == several["data"][0]


@pytest.mark.parametrize(
    "wrong",
    [
        {"input": ""},
        {"input": []},
        {"input": None},
        {"input": [1, "two"]},
        {"input": ["a", " "]},
        {"input": "word " * 8192},
        {"input": ["x"] * 2049},
        {"encoding_format": "hex"},
        {"dimensions": 0},
        {"dimensions": 1537},
        {"model": "text-embedding-ada-002", "dimensions": 8},
    ],
    ids=lambda wrong: str(wrong)[:40],
)
def test_values_outside_the_field_table_are_refused(simulator: Any, wrong: dict[str, Any]) -> None:
    answer = simulator.post(PATH, {**BODY, **wrong})

    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_request")


def test_a_success_can_be_empty(simulator: Any) -> None:
    assert simulator.post(PATH, BODY, simulate="no_outputs").json()["data"] == []


def test_an_unknown_model_has_no_channel(simulator: Any) -> None:
    assert simulator.post(PATH, {**BODY, "model": "nobody-embeds"}).json()["error"]["code"] == "model_not_found"
