"""The language to answer in: Arabic, French or English, by Accept-Language (RFC 9110 section 12.5.4)."""

from shared.contracts.wording import Spoken

_SPOKEN: tuple[Spoken, ...] = ("ar", "fr", "en")


def preferred_language(accept_language: str | None, default: Spoken = "fr") -> Spoken:
    """The offered language with the highest weight; `default` when none is offered or the header is malformed."""
    best: tuple[float, Spoken] | None = None
    for item in (accept_language or "").split(","):
        tag, _, parameters = item.strip().partition(";")
        primary = tag.split("-")[0].strip().lower()
        weight = _weight(parameters)
        for spoken in _SPOKEN:
            if primary == spoken and weight > 0 and (best is None or weight > best[0]):
                best = (weight, spoken)
    return best[1] if best is not None else default


def _weight(parameters: str) -> float:
    name, _, value = parameters.strip().partition("=")
    if name.strip() != "q":
        return 1.0
    try:
        return float(value)
    except ValueError:
        return 0.0
