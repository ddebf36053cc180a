"""Where an S3 store is: what `s3://bucket/prefix?option=value` says, checked."""

import re
from dataclasses import dataclass
from typing import Literal, cast
from urllib.parse import parse_qsl, urlsplit

from storage.base import check_key
from storage.errors import InvalidKey, StorageRefused

AddressingStyle = Literal["auto", "path", "virtual"]

_STYLES = ("auto", "path", "virtual")
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,61}[A-Za-z0-9]")
_REGION = re.compile(r"[A-Za-z0-9-]{1,64}")

#: Every option, and what it may be. Credentials are no option: a URL ends up in logs and process lists.
OPTIONS = {
    "endpoint_url": "http(s)://host[:port] of a store that is not AWS, as the workers reach it",
    "public_endpoint_url": "http(s)://host[:port] of the same store as the readers of links reach it (default: endpoint_url)",
    "region": "such as eu-central-1 or auto (default: AWS_REGION, ~/.aws/config, us-east-1)",
    "addressing_style": "auto, path or virtual (default: path with endpoint_url, else auto)",
    "create": "true to make the bucket at the first check, if it is missing (default: false)",
}


@dataclass(frozen=True, slots=True)
class S3Place:
    """One bucket, and the prefix of our keys in it: "" or ends with "/". `region` None leaves it to AWS's own rules."""

    bucket: str
    prefix: str
    endpoint_url: str | None
    public_endpoint_url: str | None
    region: str | None
    addressing_style: AddressingStyle
    create: bool

    @classmethod
    def parse(cls, url: str) -> "S3Place":
        """Read a store's URL. Raises StorageRefused that names the part at fault, never quoting what may be a secret."""
        parts = urlsplit(url)
        if "@" in parts.netloc:
            raise StorageRefused("an s3:// URL holds no credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a role")
        if parts.fragment:
            raise StorageRefused("an s3:// URL has no #fragment: write %23 for a # inside an option")
        if not _BUCKET.fullmatch(parts.netloc):
            raise StorageRefused(
                "an s3:// URL is s3://bucket/prefix?options: a bucket has 3 to 63 letters, digits, '.', '_' or '-', "
                "and another host than AWS goes into endpoint_url"
            )
        options = _options(parts.query)
        endpoint_url = _endpoint(options, "endpoint_url")
        style = options.get("addressing_style", "path" if endpoint_url else "auto")
        if style not in _STYLES:
            raise StorageRefused(_bad("addressing_style"))
        region = options.get("region")
        if region is not None and not _REGION.fullmatch(region):
            raise StorageRefused(_bad("region"))
        if options.get("create", "false") not in ("true", "false"):
            raise StorageRefused(_bad("create"))
        return cls(
            bucket=parts.netloc,
            prefix=_prefix(parts.path),
            endpoint_url=endpoint_url,
            public_endpoint_url=_endpoint(options, "public_endpoint_url"),
            region=region,
            addressing_style=cast(AddressingStyle, style),
            create=options.get("create") == "true",
        )

    def __str__(self) -> str:
        """For messages: the bucket and who keeps it."""
        return f"bucket {self.bucket!r} at {self.endpoint_url or 'AWS'}"


def _options(query: str) -> dict[str, str]:
    options: dict[str, str] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name not in OPTIONS:
            raise StorageRefused(f"an s3:// URL has no option {name[:40]!r}; allowed are {', '.join(OPTIONS)}")
        if name in options:
            raise StorageRefused(f"the option {name} of the s3:// URL stands there twice")
        options[name] = value
    return options


def _endpoint(options: dict[str, str], name: str) -> str | None:
    if name not in options:
        return None
    parts = urlsplit(options[name])
    try:
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number
        good = False
    if not good or "@" in parts.netloc or parts.query or parts.fragment:
        raise StorageRefused(_bad(name))
    return options[name].rstrip("/")


def _prefix(path: str) -> str:
    prefix = path.strip("/")
    if not prefix:
        return ""
    try:
        return check_key(prefix) + "/"
    except InvalidKey as error:
        raise StorageRefused(f"the prefix in the s3:// URL is not usable: {error}") from None


def _bad(name: str) -> str:
    return f"the option {name} of the s3:// URL must be {OPTIONS[name]}"
