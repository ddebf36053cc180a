"""What an operation is: a declaration, checked when it is imported. An unknown option stops the program here, not a job later.

Expressions are JMESPath over the provider's JSON. Where a provider answers in several shapes, a tuple lists them and the first
that yields something wins. `jobs.catalogue.wire` turns these declarations into requests and outcomes; nothing else reads them.
"""

from __future__ import annotations

from enum import StrEnum
from functools import cached_property, lru_cache
from typing import Annotated, Any, Literal

import jmespath
import jsonschema_rs
from pydantic import AfterValidator, BaseModel, ConfigDict, model_validator


@lru_cache(maxsize=4096)
def compiled(expression: str) -> Any:
    return jmespath.compile(expression)


def _must_compile(expression: str) -> str:
    compiled(expression)
    return expression


Expr = Annotated[str, AfterValidator(_must_compile)]
Exprs = tuple[Expr, ...]

Kind = Literal["image", "video", "audio", "text", "model3d", "other"]


class Confidence(StrEnum):
    """How sure we are that the gateway behaves as declared."""

    DOCUMENTED = "documented"
    SEEN = "seen in code"
    INFERRED = "inferred"
    UNKNOWN = "unknown"


class Declared(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", ignored_types=(cached_property,))


class Progress(StrEnum):
    """What a provider's status word means to us."""

    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


class Fault(StrEnum):
    """What an error answer means, whoever words it. `jobs.catalogue.wire` says what follows from each."""

    INVALID_INPUT = "invalid_input"
    CONTENT_REJECTED = "content_rejected"
    MODEL_UNAVAILABLE = "model_unavailable"
    AUTH = "upstream_auth"
    PAYMENT = "upstream_payment"
    FORBIDDEN = "upstream_forbidden"
    RATE_LIMITED = "rate_limited"
    #: Refused for now, and surely not taken.
    BUSY = "upstream_unavailable"
    #: Failed in a way that leaves open whether the request was taken.
    BROKEN = "upstream_failed"
    NOT_VISIBLE = "not_visible"


class Errors(Declared):
    """Reads an error answer: HTTP status first, then the provider's own code. Never by searching text."""

    code: Exprs = ("error.code", "code")
    message: Exprs = ("error.message", "message", "description", "detail")
    #: True when an answer with a good HTTP status is an error all the same.
    in_200: Expr | None = None
    #: The provider's code (as text, any case) → what it means. Wins over the status.
    codes: dict[str, Fault] = {}


class Submit(Declared):
    """The paid call. `path` may name fields of the input in braces; those are left out of the body."""

    path: str
    method: Literal["POST"] = "POST"
    #: Media in: how a `{"file": …}` in the input is handed over.
    media: Literal["url", "data_uri", "base64"] = "data_uri"
    headers: dict[str, str] = {}
    #: Merged under the input: what we always say because the provider's own default differs between pages.
    defaults: dict[str, Any] = {}
    #: Field for our own random name of the call, where the provider takes one.
    client_ref: str | None = None
    #: Total time of the call in seconds; None: the setting `submit_total_s`.
    total_s: float | None = None
    #: The answer is the media itself, not JSON.
    raw: bool = False


class BatchPoll(Declared):
    """One request that asks for many tasks."""

    method: Literal["POST", "GET"] = "POST"
    path: str
    #: Where the ids go in the JSON body, and what else it says.
    ids: str
    body: dict[str, Any] = {}
    most: int = 50
    #: The list of task objects in the answer, and each one's id. Items are read like single answers, under `wrap`.
    items: Expr
    id: Expr
    #: The single answer's envelope put around an item, so that the same expressions read both.
    wrap: str


class Poll(Declared):
    """How a running task is asked after."""

    path: str
    status: Exprs
    #: Status words in lower case. One that is not here is reported and waited on, not guessed.
    words: dict[str, Progress]
    progress: Exprs = ()
    reason: Exprs = ()
    #: A machine-readable code of a failed task, looked up in `Errors.codes`.
    failure_code: Exprs = ()
    #: Outputs that are not final although the task is: JMESPath true while there are any.
    not_ready: Expr | None = None
    #: Seconds before the first look, then between looks: walks the list, repeats the last.
    every_s: tuple[float, ...] = (1, 1.5, 2, 3, 5, 8, 10)
    give_up_s: float
    #: "No such task" right after the submit is believed only after this long.
    visible_after_s: float = 60
    batch: BatchPoll | None = None


class Dedupe(Declared):
    """What can be done when the answer of the paid call is lost.

    A: an idempotency key is honoured. B: the task can be found by our own name for it. C: neither.
    """

    grade: Literal["A", "B", "C"] = "C"
    #: B: a GET that finds the task; `{client_ref}` is our name for it.
    path: str | None = None
    #: B: True only where "not found" surely means "never taken". Otherwise a miss leaves the question open.
    absence_proves: bool = False

    @model_validator(mode="after")
    def _searchable(self) -> Dedupe:
        if (self.grade == "B") != (self.path is not None):
            raise ValueError("grade B is the one with a path to look the task up")
        return self


class Samples(Declared):
    """Audio without a header: what it takes to put one in front."""

    #: JMESPath over the job's input, true where the answer is bare 16-bit samples.
    when: Expr
    rate_hz: int
    channels: int = 1


class Output(Declared):
    """One kind of output. `select` yields a list of strings (addresses) or of {url | b64 | text, …} objects."""

    kind: Kind
    select: Exprs = ()
    #: Below this stands any JSON: addresses at any depth are media, text without any is text, the rest is kept as JSON.
    anything: Expr | None = None
    #: The whole answer body is the output (`Submit.raw`).
    body: bool = False
    #: Bare samples are stored as WAV, so that anybody can play them.
    samples: Samples | None = None
    #: File name ending for what cannot be told from the bytes.
    extension: str | None = None


class Operation(Declared):
    """What a job may ask."""

    name: str
    modality: Literal["image", "video", "music", "audio", "text", "model3d"]
    provider: str
    summary: str
    #: JSON Schema (2020-12) of the provider's own fields. Refuses what the provider would refuse, before money is spent.
    input_schema: dict[str, Any]
    #: An input that runs as it stands.
    example: dict[str, Any]
    submit: Submit
    #: Where the task's id stands in the submit answer; empty for synchronous operations.
    task_id: Exprs = ()
    poll: Poll | None = None
    outputs: tuple[Output, ...]
    #: Values worth keeping beside the media (text results, clip ids): JMESPath over the final answer.
    values: Exprs = ()
    #: JMESPath over the final answer, true where the provider withheld outputs for their content.
    withheld: Expr | None = None
    errors: Errors = Errors()
    dedupe: Dedupe = Dedupe()
    #: How long output links live, in words; None: unknown.
    output_lifetime: str | None = None
    confidence: Confidence
    #: What is not known about this operation at this gateway; shown to the user.
    unknown: tuple[str, ...] = ()
    source: str
    deprecated: str | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Operation:
        if (self.poll is None) != (not self.task_id):
            raise ValueError(f"{self.name}: a task id and a way to poll it go together")
        if self.submit.raw and self.poll is not None:
            raise ValueError(f"{self.name}: a raw answer is the output, there is nothing to poll")
        problems = [error.message for error in self.validator.iter_errors(self.example)]
        if problems:
            raise ValueError(f"{self.name}: the example does not fit its own schema: {problems}")
        return self

    @cached_property
    def validator(self) -> jsonschema_rs.Validator:
        return jsonschema_rs.validator_for(self.input_schema)

    @property
    def synchronous(self) -> bool:
        return self.poll is None


class Provider(Declared):
    """Who answers, and what it offers. One file each."""

    name: str
    title: str
    operations: tuple[Operation, ...]

    @model_validator(mode="after")
    def _named_after_it(self) -> Provider:
        for operation in self.operations:
            if operation.provider != self.name or not operation.name.startswith(f"{self.name}."):
                raise ValueError(f"{operation.name} does not belong to provider {self.name}")
        return self
