"""One JSON question over HTTP, within a time and a size."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol
from urllib.parse import urlsplit

import orjson

from elanus.errors import InvalidParameter, ModelServiceFailed

TIMEOUT_S = 30.0
_LARGEST_ANSWER_BYTES = 32 << 20
_TOLD_CHARS = 200


class Post(Protocol):
    """Sends JSON to an address and returns the JSON of the answer."""

    def __call__(self, url: str, headers: Mapping[str, str], body: Any) -> Any:
        """Ask.

        Raises:
            ModelServiceFailed: there was no answer, or none of success.
        """
        ...


def check_endpoint(url: str) -> str:
    """The address of a service without a slash at its end.

    Raises:
        InvalidParameter: it is not of http or https.
    """
    try:
        parts = urlsplit(url)
        is_known = parts.scheme in ("http", "https") and bool(parts.hostname)
        _ = parts.port
    except ValueError:
        is_known = False
    if not is_known:
        raise InvalidParameter(f"endpoint: [{url}] is not a valid http/https link")
    return url.rstrip("/")


def origin_of(url: str) -> tuple[str, str, int | None]:
    """Whom an address belongs to: scheme, host, port."""
    parts = urlsplit(url)
    return parts.scheme, parts.hostname or "", parts.port


def post_json(url: str, headers: Mapping[str, str], body: Any) -> Any:
    """Ask a service, following no redirection: it might lead keys elsewhere.

    Raises:
        ModelServiceFailed: there was no answer, or none of success.
    """
    # a fifth of a second to import, and seldom needed
    import http.client
    import urllib.error
    import urllib.request

    class Unmoved(urllib.request.HTTPRedirectHandler):
        def redirect_request(self, *_args: Any, **_options: Any) -> None:
            return None

    sent = {"Content-Type": "application/json", **headers}
    request = urllib.request.Request(
        url, data=orjson.dumps(body), headers=sent, method="POST"
    )
    try:
        with urllib.request.build_opener(Unmoved).open(
            request, timeout=TIMEOUT_S
        ) as reply:
            content = reply.read(_LARGEST_ANSWER_BYTES + 1)
    except urllib.error.HTTPError as error:
        with error:
            text = error.read(_TOLD_CHARS).decode(errors="replace")
        raise ModelServiceFailed(f"status code {error.code}, {text}") from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise ModelServiceFailed(f"{reason}") from error
    if len(content) > _LARGEST_ANSWER_BYTES:
        raise ModelServiceFailed(f"more than {_LARGEST_ANSWER_BYTES} bytes came back")
    try:
        return orjson.loads(content)
    except ValueError as error:
        raise ModelServiceFailed(f"no JSON came back: {error}") from error
