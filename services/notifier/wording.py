"""A claimed delivery in words: the citizen's language, the facts of the case, and the access code where it is due."""

from services.notifier.domain.notices import CITIZEN, Facts
from services.notifier.rendering import CannotRender, Rendered, Renderer, spoken
from services.notifier.store.deliveries import Claimed
from shared.contracts.reference import AccessCodes

_WITH_CODE = "received"


class Words:
    """Puts deliveries in words. Access codes are derived when needed and never stored."""

    def __init__(self, renderer: Renderer, codes: AccessCodes) -> None:
        self._renderer = renderer
        self._codes = codes

    def __call__(self, claimed: Claimed) -> Rendered:
        """Raises CannotRender."""
        language = spoken(claimed.language) if claimed.recipient == CITIZEN else "fr"
        code = self._code(claimed) if claimed.template == _WITH_CODE else ""
        facts = Facts.model_validate(claimed.facts)
        return self._renderer.render(claimed.template, language, facts, claimed.reference, code, claimed.recipient)

    def _code(self, claimed: Claimed) -> str:
        try:
            return self._codes.code(claimed.complaint_id, claimed.access_code_key, claimed.access_code_issue)
        except KeyError:
            raise CannotRender(
                f"no access code key named {claimed.access_code_key!r}: add it to CHIKAYA_ACCESS_CODE_KEYS"
            ) from None
