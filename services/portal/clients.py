"""What the portal asks of intake and of the tracker."""

from typing import Any

import httpx
from pydantic import TypeAdapter, ValidationError

from services.portal.domain.complaints import FollowedComplaint, Receipt
from services.portal.domain.filing import Refusal
from services.portal.domain.languages import PageLanguage

TIMEOUT = httpx.Timeout(5.0)

_RECEIPT = TypeAdapter(Receipt)
_REFUSAL = TypeAdapter(Refusal)
_COMPLAINT = TypeAdapter(FollowedComplaint)


class ServiceUnreachable(Exception):
    """The service gave no usable answer; asking again later may help."""


class IntakeClient:
    """Files complaints. The client's base URL is intake's."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http

    async def file(self, filing: dict[str, Any], key: str, language: PageLanguage) -> Receipt | Refusal:
        """The receipt, or why intake refused. Safe to repeat with the same key. Raises ServiceUnreachable."""
        headers = {"accept-language": language, "idempotency-key": key}
        try:
            answer = await self._http.post("/v1/complaints", json=filing, headers=headers)
            if answer.status_code == 201:
                return _RECEIPT.validate_json(answer.content)
            if answer.status_code in (400, 413, 422):
                return _REFUSAL.validate_json(answer.content)
        except (httpx.HTTPError, ValidationError) as error:
            raise ServiceUnreachable("intake") from error
        raise ServiceUnreachable(f"intake answered {answer.status_code}")


class TrackerClient:
    """Reads complaints. The client's base URL is the tracker's."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http

    async def follow(self, reference: str, access_code: str) -> FollowedComplaint | None:
        """The complaint; None when reference or code is wrong. Both are canonical. Raises ServiceUnreachable."""
        try:
            answer = await self._http.get(f"/v1/complaints/{reference}", headers={"access-code": access_code})
            if answer.status_code == 200:
                return _COMPLAINT.validate_json(answer.content)
        except (httpx.HTTPError, ValidationError) as error:
            raise ServiceUnreachable("tracker") from error
        if answer.status_code == 404:
            return None
        raise ServiceUnreachable(f"tracker answered {answer.status_code}")
