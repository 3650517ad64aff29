"""The rules of the tracker: search words, statistics and their uncertainty, words for every status."""

from datetime import date
from itertools import product
from random import Random
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.tracker.domain.search import query_of, words
from services.tracker.domain.statistics import (
    backlog,
    kaplan_meier,
    league,
    published,
    quantile,
    shrunk,
    wilson,
)
from services.tracker.domain.words import WORDS
from shared.contracts.lifecycle import CaseStatus, Change
from shared.contracts.wording import Spoken


@pytest.mark.parametrize(
    ("written", "typed"),
    [
        ("الإنارة", "الانارة"),
        ("المستشفى", "مستشفي"),
        ("مدرسة", "المدرسه"),
        ("مؤسســــة", "موسسه"),
        ("شِكَايَة", "شكاية"),
        ("وبالمدرسة", "مدرسة"),
        ("الماء", "ماء"),
        ("سنة ٢٠٢٦", "سنه 2026"),
        ("Électricité", "electricite"),
        ("l’hôpital", "HOPITAL"),
        ("œuvre", "oeuvre"),
        ("ﻻ", "لا"),
    ],
)
def test_a_word_is_found_however_it_is_written(written: str, typed: str) -> None:
    assert words(written) == words(typed) != []


def test_a_query_asks_for_all_words_and_the_last_one_as_a_beginning() -> None:
    assert query_of("L'eau du robi") == "'eau' & 'robi':*"
    assert query_of("de la !?") is None


@given(st.text())
def test_no_text_breaks_a_query(text: str) -> None:
    for word in words(text):
        assert word.isalnum()
    query = query_of(text)
    assert query is None or query.count("'") % 2 == 0


def test_every_status_and_change_has_words_in_every_language() -> None:
    assert set(WORDS) == set(get_args(Spoken))
    for texts in WORDS.values():
        assert set(texts.statuses) >= {status.value for status in CaseStatus}
        assert set(texts.changes) >= {change.value for change in Change}
        assert len(texts.months) == 12


@pytest.mark.parametrize(
    ("number", "arabic", "french"),
    [
        (1, "يوم واحد", "1 jour"),
        (2, "يومان", "2 jours"),
        (3, "3 أيام", "3 jours"),
        (11, "11 يوما", "11 jours"),
        (100, "100 يوم", "100 jours"),
        (103, "103 أيام", "103 jours"),
    ],
)
def test_days_are_counted_as_the_language_does(number: int, arabic: str, french: str) -> None:
    assert (WORDS["ar"].count(number), WORDS["fr"].count(number)) == (arabic, french)


def test_a_date_is_written_as_in_morocco() -> None:
    assert WORDS["fr"].day(date(2026, 8, 1)) == "1er août 2026"
    assert WORDS["ar"].day(date(2026, 8, 12)) == "12 غشت 2026"


def test_kaplan_meier_agrees_with_the_published_example() -> None:
    """Remission times of the 6-MP arm of Freireich et al. (1963), as in the textbooks: 21 patients, 9 relapses."""
    relapsed = {6: 3, 7: 1, 10: 1, 13: 1, 16: 1, 22: 1, 23: 1}
    censored = {6: 1, 9: 1, 10: 1, 11: 1, 17: 1, 19: 1, 20: 1, 25: 1, 32: 2, 34: 1, 35: 1}
    steps = kaplan_meier(relapsed, censored)
    assert [(step.days, step.at_risk) for step in steps] == [
        *((6, 21), (7, 17), (10, 15), (13, 12), (16, 11), (22, 7), (23, 6))
    ]
    assert [round(step.share, 3) for step in steps] == [0.857, 0.807, 0.753, 0.690, 0.627, 0.538, 0.448]
    assert quantile(steps, 0.5) == 23
    assert quantile(steps, 0.9) is None
    assert (round(steps[-1].low, 3), round(steps[-1].high, 3)) == (0.188, 0.680)


def test_leaving_open_complaints_out_would_lie() -> None:
    steps = kaplan_meier({3: 10}, {40: 90})
    assert steps[-1].share == pytest.approx(0.9)
    assert quantile(steps, 0.5) is None, "nine of ten still wait, though the answered ones took three days"


def test_wilson_agrees_with_the_published_example() -> None:
    """Newcombe (1998), table I: 81 of 263."""
    low, high = wilson(81, 263)
    assert (round(low, 4), round(high, 4)) == (0.2553, 0.3662)
    assert wilson(0, 0) == (0.0, 1.0)


def test_a_few_lucky_cases_do_not_lead_the_league() -> None:
    table = league({"lucky": (3, 3), "good": (950, 1000), "fair": (800, 1000), "poor": (500, 1000)})
    assert [row.value for row in table][-1] == "poor"
    assert table[0].value == "good"
    assert next(row for row in table if row.value == "lucky").ranks[1] > 1


def test_shrinking_brings_estimates_nearer_to_the_truth() -> None:
    random = Random(1)
    truth = {str(n): random.betavariate(8, 2) for n in range(200)}
    trials = {name: random.choice((3, 10, 50, 500)) for name in truth}
    results = {
        name: (sum(random.random() < share for _ in range(trials[name])), trials[name]) for name, share in truth.items()
    }
    estimates = shrunk(results)
    raw = sum((s / n - truth[name]) ** 2 for name, (s, n) in results.items())
    assert sum((estimates[name] - truth[name]) ** 2 for name in truth) < 0.8 * raw


def test_the_backlog_counts_ages_and_what_is_overdue() -> None:
    (row,) = backlog([("sante", 0, 2, 0), ("sante", 4, 4, 3)])
    ages = {"0-7": 2, "8-15": 0, "16-30": 0, "31-60": 0, "61+": 4}
    assert row == {"value": "sante", "open": 6, "overdue": 3, "by_age": ages}


@pytest.mark.parametrize("number", [2, 3])
def test_a_number_left_out_cannot_be_found_by_subtraction(number: int) -> None:
    """All parts up to 17 that would be shown in the same way, total included: small ones must differ among them.

    Not where all parts are small: then there is no other one to leave out.
    """
    alike: dict[tuple[object, ...], list[tuple[int, ...]]] = {}
    for parts in product(range(18), repeat=number):
        alike.setdefault((*published(parts), *published([sum(parts)])), []).append(parts)
    for (*shown, total), possible in alike.items():
        if total is None or max(map(max, possible)) < 5:
            continue
        for place in range(number):
            values = {parts[place] for parts in possible}
            if shown[place] is None and min(values) < 5:
                assert len(values) >= 2, (shown, total, possible)
