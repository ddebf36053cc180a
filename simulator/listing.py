"""What the model lists show about one model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class ModelCard:
    """A line of ``GET /v1/models`` and of ``GET /api/models``.

    Exactly one of the prices is set, as in the public list; amounts are made up. Source: text.md section 6.
    """

    id: str
    provider: str
    model_type: str
    feature: str
    input: float | None = None
    output: float | None = None
    per_request: float | None = None
    per_second: float | None = None

    #: 2023-11-14; the gateway gives one constant for every model.
    CREATED = 1_700_000_000

    def openai_row(self) -> dict[str, Any]:
        return {"id": self.id, "object": "model", "created": self.CREATED, "owned_by": self.provider.lower()}

    def catalog_row(self) -> dict[str, Any]:
        by_token = self.input is not None
        return {
            "id": self.id,
            "provider": self.provider,
            "model_type": self.model_type,
            "features": [self.feature],
            "pricing": {
                "currency": "USD / M Tokens" if by_token else "USD",
                "input": self.input,
                "output": self.output,
                "per_request": self.per_request,
                "per_second": self.per_second,
            },
            "api_doc_url": f"https://apidoc.cometapi.com/{self.id}",
        }
