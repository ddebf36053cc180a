"""botocore's errors, as ours. By HTTP status and S3's error code, never by searching the text."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    CredentialRetrievalError,
    EndpointConnectionError,
    NoCredentialsError,
    ParamValidationError,
    PartialCredentialsError,
    ProxyConnectionError,
    ReadTimeoutError,
    SSLError,
)
from botocore.parsers import ResponseParserError

from storage.errors import StorageRefused, StorageUnavailable
from storage.s3_place import S3Place

_ABSENT = {"NoSuchKey", "404", "NotFound"}

#: Temporary although the status is 4xx.
_LATER = {
    "RequestTimeout": "timed out while reading the request",
    "RequestTimeoutException": "timed out while reading the request",
    "SlowDown": "asks to slow down",
    "SlowDownRead": "asks to slow down",
    "SlowDownWrite": "asks to slow down",
    "Throttling": "asks to slow down",
    "ThrottlingException": "asks to slow down",
    "TooManyRequests": "asks to slow down",
    "TooManyRequestsException": "asks to slow down",
    "RequestLimitExceeded": "asks to slow down",
    "ExpiredToken": "says that the session credentials have expired: they should renew themselves",
    "OperationAborted": "is busy with another change of the same object",
    "ConditionalRequestConflict": "is busy with another change of the same object",
    "NoSuchUpload": "has lost the multipart upload",
    "InvalidPart": "has lost a part of the multipart upload",
    "IncompleteBody": "received only a part of the body",
    "BadDigest": "received a damaged body",
    "XAmzContentSHA256Mismatch": "received a damaged body",
    "XMinioStorageFull": "is full: free some space",
    "QuotaExceeded": "is full: free some space or raise the quota",
}

_MEND = {
    "NoSuchBucket": "does not exist: create it, or add create=true to the storage URL",
    "AccessDenied": "denies access: the credentials need s3:PutObject, GetObject, DeleteObject and AbortMultipartUpload on it",
    "403": "denies access: the credentials need s3:PutObject, GetObject, DeleteObject and AbortMultipartUpload on it",
    "AllAccessDisabled": "is disabled for everyone: look at the account's billing and the bucket's policy",
    "InvalidAccessKeyId": "does not know this access key: check AWS_ACCESS_KEY_ID",
    "SignatureDoesNotMatch": "rejects the signature: check AWS_SECRET_ACCESS_KEY",
    "InvalidToken": "rejects the session token: check AWS_SESSION_TOKEN",
    "RequestTimeTooSkewed": "rejects the request's time: set this machine's clock",
    "AuthorizationHeaderMalformed": "is in another region: set region= in the storage URL",
    "IllegalLocationConstraintException": "is in another region: set region= in the storage URL",
    "PermanentRedirect": "is in another region or at another endpoint: set region= or endpoint_url= in the storage URL",
    "301": "is in another region or at another endpoint: set region= or endpoint_url= in the storage URL",
    "302": "is redirected elsewhere: set endpoint_url= to where the store itself answers, https included",
    "307": "is redirected elsewhere: set endpoint_url= to where the store itself answers, https included",
    "308": "is redirected elsewhere: set endpoint_url= to where the store itself answers, https included",
    "BucketAlreadyExists": "belongs to somebody else: choose another bucket name",
    "InvalidBucketName": "has a name that this store does not allow",
}


@contextmanager
def translated(place: S3Place, key: str | None = None) -> Iterator[None]:
    """Turn botocore's errors from the block into ours. With `key`, an absent object becomes FileNotFoundError(key).

    `from None` keeps botocore's text, which may hold an access key or a signed URL, out of tracebacks.
    """
    try:
        yield
    except ClientError as error:
        raise _of_answer(error, place, key) from None
    except BotoCoreError as error:
        raise _of_transport(error, place) from None
    except ResponseParserError:  # no BotoCoreError
        raise StorageUnavailable(
            f"{place} answers, but not as S3 does: is endpoint_url its S3 port, and no proxy's page?"
        ) from None


def told(answer: Mapping[str, Any], name: str) -> str:
    """The field `name` of an answer. Raises ResponseParserError, for `translated`, if something else than S3 answered."""
    if not answer.get(name):
        raise ResponseParserError(f"the answer has no {name}")
    return str(answer[name])


def code_of(error: ClientError) -> str:
    """S3's error code; the HTTP status as text where the answer names none, as for HEAD."""
    return str(error.response.get("Error", {}).get("Code") or status_of(error))


def status_of(error: ClientError) -> int:
    """The HTTP status; 0 if there was none."""
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def _of_answer(error: ClientError, place: S3Place, key: str | None) -> Exception:
    code, status = code_of(error), status_of(error)
    if key is not None and code in _ABSENT:
        return FileNotFoundError(key)
    if code in _LATER:
        return StorageUnavailable(f"{place} {_LATER[code]}")
    if code in _MEND:
        return StorageRefused(f"{place} {_MEND[code]}")
    # A 200 with an error in its body, as CompleteMultipartUpload may send, is the server's fault like a 5xx.
    if status in (408, 429) or status >= 500 or status < 300:
        return StorageUnavailable(f"{place} failed with {code} (HTTP {status})")
    return StorageRefused(f"{place} refused with {code} (HTTP {status}): check the storage URL")


def _of_transport(error: BotoCoreError, place: S3Place) -> Exception:
    match error:
        case SSLError():
            return StorageRefused(f"{place} shows a certificate that this machine does not trust: check it and AWS_CA_BUNDLE")
        case NoCredentialsError() | PartialCredentialsError():
            return StorageRefused(f"{place}: no credentials. Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a role")
        case ParamValidationError():
            return StorageRefused(f"{place}: the bucket, the key or the type is not one that S3 allows")
        case CredentialRetrievalError():
            return StorageUnavailable(f"{place}: the provider of credentials does not answer")
        case ConnectTimeoutError() | EndpointConnectionError():
            return StorageUnavailable(f"{place} cannot be reached: is it running, and is endpoint_url right?")
        case ProxyConnectionError():
            return StorageUnavailable(f"{place} cannot be reached through the proxy: check HTTPS_PROXY and NO_PROXY")
        case ReadTimeoutError():
            return StorageUnavailable(f"{place} does not answer in time")
        case _:
            return StorageUnavailable(f"{place}: the connection failed ({type(error).__name__})")
