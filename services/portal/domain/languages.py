"""The two languages of the pages, and dates written in them."""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Literal
from zoneinfo import ZoneInfo

from babel.dates import format_datetime

PageLanguage = Literal["ar", "fr"]

LANGUAGES: tuple[PageLanguage, ...] = ("ar", "fr")

_ZONE = ZoneInfo("Africa/Casablanca")
_LOCALES: Mapping[PageLanguage, str] = {"ar": "ar_MA", "fr": "fr_MA"}
_DAY: Mapping[PageLanguage, str] = {"ar": "EEEE d MMMM y", "fr": "EEEE d MMMM y"}
_FIRST: Mapping[PageLanguage, str] = {"ar": "EEEE 'فاتح' MMMM y", "fr": "EEEE '1er' MMMM y"}
_TIME: Mapping[PageLanguage, str] = {"ar": " 'على\u00a0الساعة\u00a0'HH:mm", "fr": " 'à'\u00a0HH\u00a0'h'\u00a0mm"}


def other_language(language: PageLanguage) -> PageLanguage:
    """The language a page offers to switch to."""
    return "fr" if language == "ar" else "ar"


def local_day(moment: datetime) -> date:
    """The day it was, or will be, in Morocco."""
    return moment.astimezone(_ZONE).date()


def written_day(moment: datetime, language: PageLanguage) -> str:
    """The day of an instant as people in Morocco write it."""
    return _written(moment, language, "")


def written_moment(moment: datetime, language: PageLanguage) -> str:
    """The day and the time of an instant as people in Morocco write them."""
    return _written(moment, language, _TIME[language])


def _written(moment: datetime, language: PageLanguage, time: str) -> str:
    day = (_FIRST if local_day(moment).day == 1 else _DAY)[language]
    return format_datetime(moment, day + time, tzinfo=_ZONE, locale=_LOCALES[language])
