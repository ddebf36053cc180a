"""What an operation is: a declaration, checked when it is imported. An unknown option stops the program here, not a job later.

Expressions are JMESPath over the provider's JSON. Where a provider answers in several shapes, a tuple lists them and the first
that yields something wins. `jobs.catalogue.asking` turns these declarations into requests, `jobs.catalogue.wire` turns answers
into outcomes by them; nothing else reads them.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from enum import StrEnum
from fnmatch import fnmatchcase
from functools import cached_property, lru_cache
from typing import Annotated, Any, Literal

import jmespath
import jsonschema_rs
from pydantic import AfterValidator, BaseModel, ConfigDict, model_validator

from jobs import references
from jobs.catalogue import blanks
from jobs.references import Reference


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

    #: HTTP statuses that mean something else here than everywhere.
    statuses: dict[int, Fault] = {}

    code: Exprs = ("error.code", "code")
    message: Exprs = ("error.message", "message", "description", "detail")
    #: True when an answer with a good HTTP status is an error all the same.
    in_200: Expr | None = None
    #: The provider's code (in lower case) → what it means. Wins over the status. `*` stands for any part of a code.
    codes: dict[str, Fault] = {}

    def fault_of(self, code: str) -> Fault | None:
        """What this code means, if it is known: the exact one first, then patterns in their order."""
        code = code.lower()
        if (exact := self.codes.get(code)) is not None:
            return exact
        return next((fault for pattern, fault in self.codes.items() if "*" in pattern and fnmatchcase(code, pattern)), None)

    @model_validator(mode="after")
    def _lower_case(self) -> Errors:
        if strange := [code for code in self.codes if code != code.lower()]:
            raise ValueError(f"codes are written in lower case: {strange}")
        return self


class Callback(Declared):
    """The field that tells a provider where to call us. What it calls with is a hint to look, never the truth."""

    field: str
    #: The provider refuses a call without it.
    required: bool = False
    #: A field of its first call that must be sent back for the address to count.
    echo: str | None = None


#: How media may be handed to a provider: an address it fetches, text inside the JSON, or a part of a multipart body.
MediaForm = Literal["url", "data_uri", "base64", "bytes"]


class Submit(Declared):
    """The paid call. `path` may name fields of the input in braces; those are left out of the body."""

    path: str
    #: realtime: a WebSocket session with one reply (`jobs.catalogue.realtime`), whose result is read like an HTTP answer.
    protocol: Literal["http", "realtime"] = "http"
    method: Literal["POST", "GET"] = "POST"
    encoding: Literal["json", "multipart"] = "json"
    #: Multipart: the name that a list repeats, where it differs from the field's (several `image` are sent as `image[]`).
    parts: dict[str, str] = {}
    #: How files and artifacts are handed over where the schema does not say it (models that take anything).
    media: tuple[MediaForm, ...] = ("data_uri", "url")
    headers: dict[str, str] = {}
    #: The header our key travels in; `bearer` is `Authorization: Bearer …`.
    auth: Literal["bearer", "x-goog-api-key", "x-api-key"] = "bearer"
    callback: Callback | None = None
    #: Merged under the input: what we always say because the provider's own default differs between pages.
    defaults: dict[str, Any] = {}
    #: Field for our own random name of the call, where the provider takes one.
    client_ref: str | None = None
    #: Total time of the call in seconds; None: the setting `submit_total_s`.
    total_s: float | None = None
    #: JMESPath over the input: how many units the provider counts the call for in its limits; None: one.
    units: Expr | None = None
    #: The answer is the media itself, not JSON.
    raw: bool = False
    #: JMESPath over the input, true where the answer is plain text; it is read as the JSON `{"text": …}`.
    plain_when: Expr | None = None

    @model_validator(mode="after")
    def _bodiless(self) -> Submit:
        if self.method == "GET" and (self.encoding != "json" or self.callback or self.client_ref):
            raise ValueError("a GET has no body")
        return self


class BatchPoll(Declared):
    """One request that asks for many tasks."""

    method: Literal["POST", "GET"] = "POST"
    path: str
    #: Where the ids go in the JSON body, and what else it says.
    ids: str
    body: dict[str, Any] = {}
    most: int = 50
    #: The list of task objects in the answer, and each one's id. Items are read like single answers.
    items: Expr
    id: Expr
    #: The single answer's envelope put around an item, so that the same expressions read both; None: it has none.
    wrap: str | None


class Poll(Declared):
    """How a running task is asked after. `{id}` in path and body is the task's id; other names are fields of the input."""

    path: str
    method: Literal["GET", "POST"] = "GET"
    body: dict[str, str] = {}
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
    #: How long a job whose own deadline has passed is still waited for: it is paid already.
    grace_s: float = 300
    #: "No such task" right after the submit is believed only after this long.
    visible_after_s: float = 60
    batch: BatchPoll | None = None


class Dedupe(Declared):
    """What can be done when the answer of the paid call is lost.

    A: the same call may be made again without buying twice. B: the task can be found by our own name for it. C: neither.
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


class FollowUp(Declared):
    """One more request to the gateway that an output takes, made right before it is fetched."""

    #: `{ref}` is what `ref` yields of the final answer, or the task's id.
    path: str
    ref: Exprs = ()
    #: Where the output's address stands in the answer; empty: the answer is the media itself.
    address: Exprs = ()


class Links(Declared):
    """Addresses inside running text."""

    #: What holds the text.
    text: Exprs
    #: Endings of addresses that are the wanted media, in lower case; the query does not count.
    endings: tuple[str, ...]
    #: Markdown pictures win over plain links.
    pictures_first: bool = False
    #: Of several addresses the first that holds this is the one; None: all are outputs.
    prefer: str | None = None
    #: Addresses that hold one of these are copies of others: taken only where there is nothing else.
    avoid: tuple[str, ...] = ()
    #: Labels of links that are no result (a regular expression): taken only where there is nothing else.
    avoid_label: str | None = None


class Output(Declared):
    """One kind of output. `select` yields a list of strings (addresses) or of {url | b64 | text, …} objects."""

    kind: Kind
    select: Exprs = ()
    links: Links | None = None
    #: Where `select` finds nothing.
    follow_up: FollowUp | None = None
    #: Below this stands any JSON: addresses at any depth are media, text without any is text, the rest is kept as JSON.
    anything: Expr | None = None
    #: The whole answer body is the output (`Submit.raw`).
    body: bool = False
    #: Bare samples are stored as WAV, so that anybody can play them.
    samples: Samples | None = None
    #: File name ending for what cannot be told from the bytes.
    extension: str | None = None
    #: The same as JMESPath over the input, where it depends on what was asked.
    extension_by: Expr | None = None


class Deprecated(Declared):
    """The end of an operation, or of some of its models."""

    on: date
    #: Models it concerns; none: the whole operation.
    models: tuple[str, ...] = ()
    #: An operation or model to use instead; None: there is none.
    successor: str | None
    note: str


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
    #: None: there is no call to make; the first look at the result makes the gateway produce it, and looking again is harmless.
    submit: Submit | None
    #: Where the task's id stands in the submit answer; empty for synchronous operations.
    task_id: Exprs = ()
    #: JMESPath over the submit answer, true where the task named may belong to an earlier job as well.
    task_shared: Expr | None = None
    poll: Poll | None = None
    outputs: tuple[Output, ...]
    #: Values worth keeping beside the media (text results, clip ids): JMESPath over the final answer.
    values: Exprs = ()
    #: JMESPath over the final answer, true where a success rightly has no output.
    nothing_due: Expr | None = None
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
    #: What can be done about a task that is no longer wanted, in words.
    cancel: str = "not possible: the provider finishes its work, and may charge for it"
    deprecated: tuple[Deprecated, ...] = ()

    @model_validator(mode="after")
    def _consistent(self) -> Operation:
        if self.submit is None:
            if self.poll is None or self.task_id or self.dedupe.grade != "A":
                raise ValueError(f"{self.name}: what is not bought is polled without a task, and may be asked for again (grade A)")
        elif (self.poll is None) != (not self.task_id):
            raise ValueError(f"{self.name}: a task id and a way to poll it go together")
        elif self.submit.raw and self.poll is not None:
            raise ValueError(f"{self.name}: a raw answer is the output, there is nothing to poll")
        open_places = [one.path for one in references.find(self.example) if isinstance(one, Reference) and one.get is not None]
        problems = [error.message for error in blanks.errors(self.validator, self.example, open_places)]
        if problems:
            raise ValueError(f"{self.name}: the example does not fit its own schema: {problems}")
        return self

    @cached_property
    def validator(self) -> jsonschema_rs.Validator:
        return jsonschema_rs.validator_for(self.input_schema)

    @property
    def synchronous(self) -> bool:
        return self.poll is None

    @property
    def kind(self) -> Literal["sync", "async", "repeat", "websocket"]:
        """sync: one call brings the result. async: a task is submitted and polled. repeat: one call is repeated until it does.

        websocket: a conversation brings it.
        """
        if self.submit is None:
            return "repeat"
        if self.submit.protocol == "realtime":
            return "websocket"
        return "sync" if self.poll is None else "async"

    def units_of(self, given: Mapping[str, Any]) -> int:
        """What a call with this input counts for in the provider's limits: a whole number from 1."""
        counted = compiled(self.submit.units).search(given) if self.submit and self.submit.units else 1
        return counted if isinstance(counted, int) and counted > 0 else 1

    @property
    def grace_s(self) -> float:
        """Seconds for which a job past its deadline is still waited for, once the provider has it."""
        return self.poll.grace_s if self.poll else 300.0

    @property
    def answers_raw(self) -> bool:
        """The answer of the paid call is the media itself."""
        return self.submit is not None and self.submit.raw


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
