"""Every setting, its default and its meaning: the one place for all three.

Read from `MEDIAMILL_*` environment variables, then from a `.env` file. `mediamill config` prints this table with the values in
force. An unknown or impossible setting stops the program with its name, its value and what is allowed.
"""

from __future__ import annotations

import difflib
import ipaddress
import json
import os
import re
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import quote, urlsplit

from dotenv import dotenv_values
from pydantic import (
    AliasChoices,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict
from standardwebhooks import Webhook

from jobs.states import MODALITIES

PREFIX = "MEDIAMILL_"
ENV_FILE = ".env"


class SettingsError(Exception):
    """One or more settings are unknown or impossible; the message has a line for each."""


_COMETAPI = "https://api.cometapi.com"
_COMETAPI_BALANCE = "https://query.cometapi.com/user/quota"

#: What the one key of `COMETAPI_KEY` is called, and what goes for a key where there is none.
DEFAULT_KEY = "default"
_KEY_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")


class UpstreamKey(BaseModel):
    """One of several keys of the gateway."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: SecretStr
    #: Its share of the work beside the others.
    weight: float = Field(1.0, gt=0, le=1000)
    #: Providers it is for; none: all.
    providers: tuple[str, ...] = ()


class Settings(BaseSettings):
    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_file=ENV_FILE, extra="ignore", env_ignore_empty=True, frozen=True, populate_by_name=True
    )

    # Where things are -------------------------------------------------------------------------------------------------
    data: Path = Field(Path(".mediamill"), description="folder of the embedded parts: database, media, keys, logs")
    database_url: str = Field(
        "", description="sqlite:///file or postgresql+psycopg://user:password@host/name; empty: a SQLite file in `data`"
    )
    broker_url: str = Field(
        "", description="redis://:password@host:6379/0, rediss://… or amqp://…; empty: `mediamill serve` brings its own"
    )
    storage_url: str = Field(
        "", description="file:///folder or s3://bucket/prefix?endpoint_url=…&region=…; empty: a folder in `data`"
    )
    public_url: str = Field("http://127.0.0.1:8080", description="where clients and receivers reach the API; links start with it")
    upstream_url: str = Field(_COMETAPI, description="the gateway that does the work")
    upstream_key: SecretStr | None = Field(
        None,
        validation_alias=AliasChoices("MEDIAMILL_UPSTREAM_KEY", "COMETAPI_KEY"),
        description="the gateway's API key, called `default`; COMETAPI_KEY is read as well",
    )
    upstream_keys: Annotated[dict[str, UpstreamKey], NoDecode] = Field(
        default_factory=dict,
        description='several keys by name, JSON: {"main": {"key": "sk-…", "weight": 3, "providers": ["kling"]}}; '
        "weight 1 and all providers where it does not say so",
    )
    balance_url: str = Field(
        "",
        description=f"where the balance of a key is asked for, as on {_COMETAPI_BALANCE}, which is the default with CometAPI only; "
        "none: nowhere",
    )
    low_balance_usd: Decimal | None = Field(
        None, ge=0, description="a key whose account holds less is paused until it holds more; empty: none is paused"
    )

    prices: Path | None = Field(
        None, description="a TOML file of your own prices; they go before the list's (docs/how-to/know-what-it-costs.md)"
    )
    gateway_discount: Decimal = Field(
        Decimal("0.8"), gt=0, le=1, description="what the gateway takes of an official price: 0.8 is a fifth off"
    )

    # Who may come in, and how receivers know us -----------------------------------------------------------------------
    bootstrap_key: SecretStr | None = Field(
        None, description="an API key (8 characters or more) of the tenant `default`, accepted from the first start on"
    )
    webhook_secret: SecretStr | None = Field(
        None, description="whsec_…: signs the callbacks of single jobs; empty: made once and kept in the database"
    )
    link_secret: SecretStr | None = Field(
        None, description="signs links to files of a file:// storage; empty: made once and kept in the database"
    )
    egress_allow_cidrs: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="private ranges that callbacks and downloads may reach, comma-separated, e.g. 10.0.0.0/8"
    )
    flower_user: str = Field("admin", description="user name of the Flower page")
    flower_password: SecretStr | None = Field(None, description="its password; Flower does not start without one")

    # How much at once -------------------------------------------------------------------------------------------------
    concurrency: int = Field(80, ge=1, le=1000, description="threads of one worker process")
    window: int = Field(
        48,
        ge=1,
        le=10_000,
        description="jobs of one modality released to the queue or on their way to the provider at once",
    )
    windows: Annotated[dict[str, int], NoDecode] = Field(
        default_factory=dict, description='`window` for single modalities, JSON: {"video": 200}'
    )
    collect_window: int = Field(16, ge=1, le=10_000, description="jobs of one modality whose outputs are fetched at once")
    ageing_s: float = Field(
        60, ge=1, le=86_400, description="a job that has waited so long counts as one of the next higher priority"
    )
    poll_batch: int = Field(200, ge=1, le=1000, description="jobs asked for by one poll task")

    # Times, in seconds ------------------------------------------------------------------------------------------------
    tick_s: float = Field(0.5, ge=0.05, le=60, description="how often beat looks for what is due")
    lease_s: float = Field(60, ge=1, le=600, description="a silent worker loses its job after this long")
    hint_s: float = Field(30, ge=1, le=600, description="a queue message nobody took is repeated after this long")
    submit_total_s: float = Field(90, ge=1, le=600, description="an asynchronous submit; synchronous operations name their own")
    poll_total_s: float = Field(60, ge=1, le=600, description="one status request")
    download_min_s: float = Field(60, ge=1, le=3600, description="one output; large ones get 1 s for each MB")
    webhook_total_s: float = Field(15, ge=0.1, le=120, description="one webhook try")
    link_ttl_s: int = Field(900, ge=10, le=604_800, description="life of the signed links in API answers")
    webhook_link_ttl_s: int = Field(
        604_800,
        ge=60,
        le=604_800,
        description="life of the signed links in webhook bodies, which are retried for three days",
    )
    idempotency_ttl_s: int = Field(604_800, ge=3600, le=31_536_000, description="how long an Idempotency-Key is remembered")

    # Sizes ------------------------------------------------------------------------------------------------------------
    max_body_bytes: int = Field(1 << 20, ge=1024, description="one JSON request")
    max_batch_bytes: int = Field(200 << 20, ge=1024, description="one batch")
    max_batch_jobs: int = Field(50_000, ge=1, le=1_000_000, description="jobs of one batch")
    max_line_bytes: int = Field(64 << 10, ge=1024, description="one line of a batch")
    max_upload_bytes: int = Field(256 << 20, ge=1024, description="one uploaded input file")
    max_answer_bytes: int = Field(2 << 20, ge=1024, description="one JSON answer of the upstream")
    max_inline_bytes: int = Field(96 << 20, ge=1024, description="one answer of the upstream that carries media inline")
    max_image_bytes: int = Field(64 << 20, ge=1024, description="one image output")
    max_audio_bytes: int = Field(256 << 20, ge=1024, description="one audio or music output")
    max_video_bytes: int = Field(4 << 30, ge=1024, description="one video or 3D output")
    max_outputs: int = Field(64, ge=1, le=1000, description="outputs of one job")

    # What is said and shown -------------------------------------------------------------------------------------------
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="how much is logged")
    log_format: Literal["text", "json"] = Field("text", description="text for people, json for machines")

    @field_validator("egress_allow_cidrs", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @field_validator("egress_allow_cidrs")
    @classmethod
    def _networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for cidr in value:
            ipaddress.ip_network(cidr)
        return value

    @field_validator("database_url")
    @classmethod
    def _database(cls, value: str) -> str:
        if value.startswith("postgresql://"):
            # The bare scheme means another driver to SQLAlchemy; people paste it from everywhere.
            return "postgresql+psycopg://" + value.removeprefix("postgresql://")
        if value and not value.startswith(("sqlite:///", "postgresql+psycopg://")):
            raise ValueError("must start with sqlite:/// or postgresql+psycopg://")
        return value

    @field_validator("broker_url")
    @classmethod
    def _broker(cls, value: str) -> str:
        if value and urlsplit(value).scheme not in ("redis", "rediss", "sentinel", "amqp", "amqps"):
            raise ValueError("must start with redis://, rediss://, sentinel://, amqp:// or amqps://")
        return value

    @field_validator("storage_url")
    @classmethod
    def _storage(cls, value: str) -> str:
        if value and urlsplit(value).scheme not in ("file", "s3"):
            raise ValueError("must start with file:// or s3://")
        return value

    @field_validator("public_url", "upstream_url", "balance_url")
    @classmethod
    def _http(cls, value: str, info: ValidationInfo) -> str:
        if info.field_name == "balance_url" and value in ("", "none"):
            return value
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("must be an http:// or https:// address")
        return value.rstrip("/")

    @field_validator("bootstrap_key")
    @classmethod
    def _bootstrap(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and len(value.get_secret_value()) < 8:
            raise ValueError("must have at least 8 characters")
        return value

    @field_validator("webhook_secret")
    @classmethod
    def _whsec(cls, value: SecretStr | None) -> SecretStr | None:
        if value is None:
            return None
        secret = value.get_secret_value()
        if not secret.startswith("whsec_"):
            raise ValueError("must start with whsec_ (`mediamill config --new-secret` makes one)")
        try:
            Webhook(secret)
        except Exception:  # what it raises is its own affair; without this every single delivery would meet it
            raise ValueError("must be whsec_ and then base64 (`mediamill config --new-secret` makes one)") from None
        return value

    @field_validator("upstream_keys", mode="before")
    @classmethod
    def _read_keys(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        try:
            return json.loads(value)
        except ValueError:
            raise ValueError('must be JSON like {"main": {"key": "sk-…"}}') from None

    @field_validator("upstream_keys")
    @classmethod
    def _keys(cls, value: dict[str, UpstreamKey]) -> dict[str, UpstreamKey]:
        from jobs import catalogue  # takes a second, and few installations have several keys

        known = {operation.provider for operation in catalogue.all_operations().values()}
        for name, key in value.items():
            if not _KEY_NAME.fullmatch(name):
                raise ValueError(f"{name!r} is no name for a key: small letters, digits, - and _, at most 40")
            if strange := set(key.providers) - known:
                raise ValueError(f"{sorted(strange)[0]!r} is no provider; there are {', '.join(sorted(known))}")
        return value

    @field_validator("windows", mode="before")
    @classmethod
    def _read_windows(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        try:
            return json.loads(value)
        except ValueError:
            raise ValueError('must be JSON like {"video": 200}') from None

    @field_validator("windows")
    @classmethod
    def _windows(cls, value: dict[str, int]) -> dict[str, int]:
        for name, size in value.items():
            if name not in MODALITIES:
                raise ValueError(f"{name!r} is no modality; there are {', '.join(MODALITIES)}")
            if not 1 <= size <= 10_000:
                raise ValueError(f"{name} must be between 1 and 10000")
        return value

    @model_validator(mode="after")
    def _depending_defaults(self) -> Self:
        data = self.data.absolute()
        # Frozen for everyone else; these are defaults that depend on another setting.
        if not self.database_url:
            object.__setattr__(self, "database_url", f"sqlite:///{_in_url(data / 'mediamill.db', '%?')}")
        if not self.storage_url:
            object.__setattr__(self, "storage_url", f"file://{_in_url(data / 'media', '%?#')}")
        if not self.balance_url and self.upstream_url == _COMETAPI:
            object.__setattr__(self, "balance_url", _COMETAPI_BALANCE)
        elif self.balance_url == "none":
            object.__setattr__(self, "balance_url", "")
        return self

    def window_of(self, modality: str) -> int:
        """How many jobs of this modality may be between release and the provider's answer."""
        return self.windows.get(modality, self.window)

    def keys_of(self, provider: str) -> dict[str, float]:
        """The names of the upstream keys that may be used for this provider, with their weights."""
        named = {name: key.weight for name, key in self.upstream_keys.items() if not key.providers or provider in key.providers}
        if DEFAULT_KEY not in self.upstream_keys and (self.upstream_key is not None or not self.upstream_keys):
            named[DEFAULT_KEY] = 1.0
        return named

    def named_keys(self) -> dict[str, SecretStr]:
        """Every upstream key by its name; none where there is none."""
        named = {name: key.key for name, key in self.upstream_keys.items()}
        return named if self.upstream_key is None else {DEFAULT_KEY: self.upstream_key} | named

    def key_named(self, name: str | None) -> SecretStr | None:
        """The upstream key of this name. One that is gone from the settings is replaced by one that is there."""
        if name in self.upstream_keys:
            return self.upstream_keys[name].key
        if self.upstream_key is not None or not self.upstream_keys:
            return self.upstream_key
        return next(iter(self.upstream_keys.values())).key

    @property
    def embedded_database(self) -> bool:
        return self.database_url.startswith("sqlite:")


def load(**overrides: Any) -> Settings:
    """The settings in force. Raises SettingsError that names each wrong one, its value and what is allowed."""
    problems = _unknown_names()
    try:
        settings = Settings(**overrides)
    except ValidationError as error:
        problems += [_explain(detail) for detail in error.errors()]
    else:
        problems += _wrong_prices(settings.prices)
        if not problems:
            return settings
    raise SettingsError("\n".join(problems))


def variable(field: str) -> str:
    """The environment variable that sets this field."""
    return PREFIX + field.upper()


def _in_url(path: Path, special: str) -> str:
    """The path with only those characters encoded that would mean something else in its URL: who opens it decodes once."""
    return re.sub(f"[{special}\t\r\n]", lambda found: quote(found[0]), str(path))


def _unknown_names() -> list[str]:
    known = {variable(name) for name in Settings.model_fields}
    given = {name for name in (*os.environ, *dotenv_values(ENV_FILE)) if name.upper().startswith(PREFIX)}
    problems = []
    for name in sorted(given):
        if name.upper() not in known:
            near = difflib.get_close_matches(name.upper(), known, n=1)
            problems.append(f"{name} is no setting" + (f"; did you mean {near[0]}?" if near else "; see `mediamill config`"))
    return problems


def _wrong_prices(file: Path | None) -> list[str]:
    """What is wrong with the operator's price list: found at the start, not by the first job that is priced."""
    if file is None:
        return []
    from jobs import pricing  # brings the catalogue, and few installations have prices of their own

    try:
        pricing.in_force(file)
    except pricing.PricesWrong as error:
        return [f"{variable('prices')}: {line}" for line in str(error).splitlines()]
    return []


def _explain(detail: Any) -> str:
    location = detail["loc"][0] if detail["loc"] else ""
    field = Settings.model_fields.get(str(location))
    name = str(location) if str(location).isupper() else variable(str(location))
    secret = field is not None and any(word in str(field.annotation) for word in ("SecretStr", "UpstreamKey"))
    # An address is shown without the password in it, which may hold any character, unescaped as people write it.
    value = "(hidden)" if secret else re.sub(r"://.*@", "://***@", repr(detail["input"]))[:80]
    reason = detail["msg"].removeprefix("Value error, ")
    return f"{name}={value}: {reason}" + (f" ({field.description})" if field is not None else "")
