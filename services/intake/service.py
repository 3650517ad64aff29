"""Composition root of intake: was it received, and what proves it?"""

from collections.abc import Mapping, Sequence

from fastapi import APIRouter

from services.intake.api.actions import make_actions_router
from services.intake.api.attachments import PATH, Uploads, make_attachments_router, make_uploads_router
from services.intake.api.credentials import Credentials
from services.intake.api.development import ISSUER as DEVELOPMENT_ISSUER
from services.intake.api.development import make_development_router
from services.intake.api.filing import make_router
from services.intake.api.receipts import make_receipts_router
from services.intake.attachment_store import AttachmentQueries
from services.intake.client_store import ClientQueries
from services.intake.clients import Clients
from services.intake.domain.actions import Action
from services.intake.domain.attachments import MAXIMUM_SIZE
from services.intake.domain.filing import Submission
from services.intake.files import Clamd, Examination, Folder, NoScanner, Scanner
from services.intake.handlers import AcceptActions, AcceptSubmissions, Outcome, restore
from services.intake.limits import Limits
from services.intake.receipts import Receipts
from services.intake.settings import IntakeSettings
from services.intake.store import IntakeQueries
from shared.contracts.reference import AccessCodes
from shared.database.group_commit import GroupCommit
from shared.runtime.access_tokens import AccessTokens, FixedKeys, PublishedKeys
from shared.runtime.service import Parts, Platform, run_service
from shared.runtime.signatures import Signer


def main() -> None:
    """Runs intake until it is told to stop."""
    settings = IntakeSettings()
    run_service("intake", settings, lambda platform: build(settings, platform))


def build(settings: IntakeSettings, platform: Platform) -> Parts:
    """The parts of intake."""
    keys = _bytes(settings.access_code_keys)
    codes = AccessCodes(keys, current=list(keys)[-1])
    signer = Signer(_bytes(settings.signing_keys), _bytes(settings.retired_keys))
    receipts = Receipts(signer)
    clients = _clients(settings, platform)
    commits: GroupCommit[Submission, Outcome] = GroupCommit(AcceptSubmissions(platform.outbox))
    actions: GroupCommit[Action, bool] = GroupCommit(AcceptActions(platform.outbox))
    queries = IntakeQueries(platform.database)
    limits = Limits(settings.client_requests_a_minute, settings.person_requests_an_hour)
    credentials = Credentials(queries, codes, limits)
    attachments = AttachmentQueries(platform.database)
    files = Folder(settings.attachments_folder)
    uploads = Uploads(attachments, files, Examination(_scanner(settings)), platform.clock)
    return Parts(
        routers=[
            make_router(commits, platform.clock, codes, receipts, clients, limits, attachments),
            make_receipts_router(queries, credentials, receipts, clients),
            make_actions_router(actions, credentials, platform.clock, clients, limits, attachments),
            make_uploads_router(uploads, clients, limits),
            make_attachments_router(attachments, files, credentials),
            *_development_issuer(settings, platform),
        ],
        tasks=[commits.run_until, actions.run_until, uploads.clean],
        body_limits={PATH: MAXIMUM_SIZE},
        restore=restore,
        works_without_kafka=True,
    )


def _scanner(settings: IntakeSettings) -> Scanner:
    if settings.clamd is None:
        return NoScanner()
    host, _, port = settings.clamd.rpartition(":")
    return Clamd(host, int(port))


def _clients(settings: IntakeSettings, platform: Platform) -> Clients:
    tokens = None
    if settings.token_issuer and settings.token_keys:
        tokens = AccessTokens(PublishedKeys(settings.token_keys), settings.token_issuer, settings.token_audience)
    elif settings.development_clients:
        keys = FixedKeys(_development_signer(settings).key_set)
        tokens = AccessTokens(keys, DEVELOPMENT_ISSUER, settings.token_audience)
    queries = ClientQueries(platform.database)
    return Clients(queries, tokens, platform.clock, without_client=settings.filing_without_client)


def _development_issuer(settings: IntakeSettings, platform: Platform) -> Sequence[APIRouter]:
    if not settings.development_clients:
        return ()
    signer = _development_signer(settings)
    return (make_development_router(settings.development_clients, signer, settings.token_audience, platform.clock),)


def _development_signer(settings: IntakeSettings) -> Signer:
    return Signer(_bytes({"development": settings.development_key or ""}))


def _bytes(hexadecimal: Mapping[str, str]) -> dict[str, bytes]:
    return {key_id: bytes.fromhex(text) for key_id, text in hexadecimal.items()}


if __name__ == "__main__":
    main()
