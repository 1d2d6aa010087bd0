"""What a server knows of the services that it may ask: addresses and keys.

They come from the environment of the process, and no client learns them. A client may
name the address of some services; then no key is sent, unless it is the same server
that the environment names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from elanus.errors import InvalidParameter
from elanus.functions.providers.http import (
    Post,
    check_endpoint,
    origin_of,
    post_json,
)

# Names that Milvus' users have set already come first.
_KEY_NAMES = ("MILVUSAI_{}_API_KEY", "{}_API_KEY")
_URL_NAME = "ELANUS_{}_URL"
_ALLOWED = "ELANUS_MODEL_ENDPOINTS"


@dataclass(frozen=True, slots=True)
class Address:
    """Where a service is, and what it lets in.

    Attributes:
        key: empty for none.
    """

    url: str
    key: str = field(default="", repr=False)

    @property
    def headers(self) -> Mapping[str, str]:
        """What proves who asks."""
        return {"Authorization": f"Bearer {self.key}"} if self.key else {}


@dataclass(frozen=True, slots=True)
class Services:
    """The services that may be asked, and how.

    Attributes:
        environment: as of the process.
        post: sends a question.
    """

    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    post: Post = post_json

    def address(self, name: str, usual_url: str) -> Address:
        """Of a service that has one place, which the environment may name.

        Args:
            name: in capitals, as in the names of the variables.

        Raises:
            InvalidParameter: the environment has no key for it.
        """
        url = check_endpoint(self._url(name) or usual_url)
        key = self._key(name)
        if not key:
            raise InvalidParameter(
                f"missing credentials: set {_KEY_NAMES[-1].format(name)} in the "
                f"environment of the server"
            )
        return Address(url, key)

    def address_at(self, name: str, endpoint: str) -> Address:
        """Of a service that runs where the client says, else the environment.

        Raises:
            InvalidParameter: that is no address, or not one that may be asked.
        """
        own = self._url(name)
        url = check_endpoint(endpoint or own)
        is_own = bool(own) and origin_of(own) == origin_of(url)
        allowed = self.environment.get(_ALLOWED, "").split()
        if allowed and not is_own:
            known = {origin_of(place) for place in allowed}
            if origin_of(url) not in known:
                raise InvalidParameter(
                    f"endpoint: [{url}] may not be asked by this server"
                )
        return Address(url, self._key(name) if is_own else "")

    def _url(self, name: str) -> str:
        return self.environment.get(_URL_NAME.format(name), "")

    def _key(self, name: str) -> str:
        found = (self.environment.get(form.format(name), "") for form in _KEY_NAMES)
        return next((key for key in found if key), "")
