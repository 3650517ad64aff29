"""Texts as short messages: UCS-2, in one part or several (3GPP TS 23.040 section 9.2.3.24). Pure."""

from uuid import UUID

SINGLE_UNITS = 70
PART_UNITS = 67
"""Of 140 octets a user data header with an 8-bit reference takes 6, and each UTF-16 unit 2."""

MOST_PARTS = 3
"""The budget of every template; a test holds them to it."""


def parts_of(text: str) -> list[bytes]:
    """The text in UTF-16BE, cut into what fits into one short message each; never through a surrogate pair."""
    encoded = text.encode("utf-16-be")
    if len(encoded) <= 2 * SINGLE_UNITS:
        return [encoded]
    parts = []
    start = 0
    while start < len(encoded):
        end = min(start + 2 * PART_UNITS, len(encoded))
        if end < len(encoded) and 0xD8 <= encoded[end - 2] <= 0xDB:
            end -= 2
        parts.append(encoded[start:end])
        start = end
    return parts


def concatenation_reference(delivery_id: UUID) -> int:
    """The 8-bit reference that the parts of a message share; the same at every attempt, so that handsets join them."""
    return delivery_id.bytes[-1]


def user_data_header(reference: int, total: int, number: int) -> bytes:
    """The header before a part: information element 0, concatenated short message, 8-bit reference."""
    return bytes((5, 0, 3, reference, total, number))
