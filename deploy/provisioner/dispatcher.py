"""What the dispatcher wants of the provisioner, and what it is told."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import Literal

import httpx

from shared.contracts.topics import administration_inbox


class ReportRefused(Exception):
    """The dispatcher does not accept a report now: the task is looked at again in the next round."""


@dataclass(frozen=True)
class Task:
    """`provision` a generation of credentials, or `withdraw` everything but the topics."""

    code: str
    task: Literal["provision", "withdraw"]
    generation: int

    def __post_init__(self) -> None:
        """Raises ValueError for what is no code: it names files and rights."""
        administration_inbox(self.code)


class Dispatcher:
    """Its provisioning API, by bearer token. Every call may raise httpx.HTTPError."""

    def __init__(self, url: str, token: str) -> None:
        self._client = httpx.Client(base_url=url, headers={"Authorization": f"Bearer {token}"}, timeout=30.0)

    def __enter__(self) -> Dispatcher:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def tasks(self) -> list[Task]:
        """What waits to be done."""
        answer = self._client.get("/v1/provisioning").raise_for_status()
        return [Task(**one) for one in answer.json()["tasks"]]

    def report(self, task: Task, step: str, token_sha256: str | None = None) -> str | None:
        """Tells a step; after `provisioned` the id of the record to probe with. Raises ReportRefused."""
        body = {"step": step, "generation": task.generation, "token_sha256": token_sha256}
        answer = self._client.post(f"/v1/provisioning/{task.code}/reports", json=body)
        if answer.status_code == HTTPStatus.CONFLICT:
            raise ReportRefused(f"{task.code}: {answer.json().get('detail', '')}")
        probe: str | None = answer.raise_for_status().json()["probe"]
        return probe
