"""Whole histories of complaints, seeded: what the services would have published, for tests and benchmarks."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from random import Random
from uuid import UUID
from zoneinfo import ZoneInfo

from shared.contracts.administrations import registry
from shared.contracts.envelope import AnyEvent, Event, derived_id
from shared.contracts.events import (
    AssignmentState,
    CaseChanged,
    Channel,
    ClearPersonalData,
    ComplaintSubmitted,
    Deadlines,
    DeliveryState,
    Kind,
    Language,
    Nature,
    NotificationRecorded,
    PersonalContent,
    Place,
)
from shared.contracts.lifecycle import AssignmentStatus, CaseStatus, Change
from shared.contracts.reference import reference

_ZONE = ZoneInfo("Africa/Casablanca")
_FRENCH = (
    *("hôpital", "médecin", "retard", "dossier", "certificat", "résidence", "école", "élève", "route", "éclairage"),
    *("eau", "facture", "électricité", "taxe", "permis", "construire", "terrain", "pension", "retraite", "passeport"),
    *("carte", "commune", "guichet", "attente", "refus", "agent", "décision", "recours"),
)
_ARABIC = (
    *("المستشفى", "الطبيب", "التأخير", "الملف", "شهادة", "السكنى", "المدرسة", "التلميذ", "الطريق", "الإنارة"),
    *("الماء", "الفاتورة", "الكهرباء", "الضريبة", "رخصة", "البناء", "الأرض", "المعاش", "التقاعد", "جواز"),
    *("البطاقة", "الجماعة", "الشباك", "الانتظار", "الرفض", "الموظف", "القرار", "الطعن", "الجواب", "المصلحة"),
)
_WORDS = (*_FRENCH, *_ARABIC)
_RARE_WORDS = 20_000
_STEPS = (
    (CaseStatus.FORWARDED, AssignmentStatus.FORWARDED, Change.FORWARDED),
    (CaseStatus.ACKNOWLEDGED, AssignmentStatus.ACKNOWLEDGED, Change.ACKNOWLEDGED),
    (CaseStatus.IN_PROGRESS, AssignmentStatus.IN_PROGRESS, Change.WORK_STARTED),
    (CaseStatus.ANSWERED, AssignmentStatus.ANSWERED, Change.ANSWERED),
)


@dataclass(slots=True)
class History:
    """One complaint: its submission, the versions of its case, the messages sent."""

    complaint_id: UUID
    reference: str
    submitted: list[Event[ComplaintSubmitted]] = field(default_factory=list)
    changes: list[Event[CaseChanged]] = field(default_factory=list)
    messages: list[Event[NotificationRecorded]] = field(default_factory=list)

    def events(self) -> list[AnyEvent]:
        """All of them, in the order they happened."""
        return sorted([*self.submitted, *self.changes, *self.messages], key=lambda event: event.time)


def histories(number: int, seed: int, until: datetime, days: int = 365) -> Iterator[History]:
    """Complaints of the `days` before `until`, at the stage they would have reached by then; about 8 events each."""
    random = Random(seed)
    for place in range(number):
        yield history(random, place, until - timedelta(seconds=random.uniform(0, days * 86_400)), until)


def history(random: Random, number: int, received_at: datetime, until: datetime) -> History:
    """One complaint; `number` makes its reference, `until` is how far it has come."""
    complaint_id = UUID(int=random.getrandbits(128), version=4)
    found = History(complaint_id, reference(received_at.astimezone(_ZONE).date(), number % 10**8))
    submission = _submission(random, found, received_at)
    found.submitted.append(submission)
    for case in _versions(random, submission.data, until):
        event_id = derived_id(complaint_id, f"version-{case.version}")
        event = Event(event_id, "/chikaya/dispatcher", complaint_id, case.changed_at, submission.id, case)
        found.changes.append(event)
        if case.change in (Change.OPENED, Change.FORWARDED, Change.ANSWERED) and random.random() < 0.9:
            found.messages.append(_message(event))
    return found


def _submission(random: Random, found: History, received_at: datetime) -> Event[ComplaintSubmitted]:
    province = random.randrange(83)
    data = ComplaintSubmitted(
        complaint_id=found.complaint_id,
        reference=found.reference,
        received_at=received_at,
        kind=random.choices(tuple(Kind), (8, 1, 1))[0],
        channel=random.choices(tuple(Channel), (50, 30, 15, 4, 1))[0],
        language=random.choices(tuple(Language), (50, 25, 15, 7, 1, 2))[0],
        place=Place(
            region=f"{province % 12 + 1:02d}",
            province=f"{province:03d}",
            commune=f"{province:03d}{random.randrange(18):02d}",
        ),
        access_code_key="k1",
        access_code_issue=1,
        personal=ClearPersonalData(content=PersonalContent(subject="", text=_text(random))),
    )
    event_id = derived_id(found.complaint_id, "submit")
    return Event(event_id, "/chikaya/intake", found.complaint_id, received_at, event_id, data)


def _text(random: Random) -> str:
    """Thirty words: two of three common ones, the others from a long tail, as in real texts."""
    common = random.choices(_WORDS, k=20)
    return " ".join([*common, *(f"mot{int(_RARE_WORDS ** random.random())}" for _ in range(10))])


def _versions(random: Random, submitted: ComplaintSubmitted, until: datetime) -> Iterator[CaseChanged]:
    case = CaseChanged(
        complaint_id=submitted.complaint_id,
        reference=submitted.reference,
        version=1,
        change=Change.OPENED,
        status=CaseStatus.RECEIVED,
        received_at=submitted.received_at,
        changed_at=submitted.received_at + timedelta(milliseconds=50),
        kind=submitted.kind,
        deadlines=_deadlines(submitted.received_at),
    )
    yield case
    slowness = random.lognormvariate(0, 0.7)
    for update, pause in _life(random):
        moment = case.changed_at + timedelta(days=pause * slowness)
        if moment > until:
            return
        case = case.model_copy(
            update={"version": case.version + 1, "changed_at": moment, **_resolved(case, update, moment)}
        )
        yield case


def _life(random: Random) -> Iterator[tuple[dict[str, object], float]]:
    """What happens next, and after how many days."""
    codes = tuple(registry())
    nature = random.choice(tuple(Nature))
    if random.random() < 0.04:
        yield {"status": CaseStatus.IN_TRIAGE, "change": Change.SENT_TO_TRIAGE, "in_triage": True}, 0.01
        reason = "Cette affaire est devant un tribunal."
        update = {"status": CaseStatus.INADMISSIBLE, "change": Change.FOUND_INADMISSIBLE, "in_triage": False}
        yield {**update, "inadmissible_reason": reason, "nature": nature}, 3.0
        return
    hops = random.choices((0, 1, 2), (94, 5, 1))[0]
    for hop in range(hops):
        yield {"forward": codes[(random.randrange(len(codes)))], "nature": nature}, 1.0
        update = {"change": Change.RETURNED, "status": CaseStatus.IN_TRIAGE, "in_triage": True, "assignments": ()}
        yield {**update, "hops": hop + 1, "return_reason": "Hors de notre compétence."}, 3.0
    yield {"forward": codes[min(int(random.expovariate(0.15)), len(codes) - 1)], "nature": nature}, 4.0
    for _, assignment, _ in _STEPS[1:]:
        yield {"step": assignment}, random.choice((2.0, 8.0, 20.0))


def _resolved(case: CaseChanged, update: dict[str, object], moment: datetime) -> dict[str, object]:
    """The fields of a version, with the assignment that `forward` makes and `step` moves."""
    rest = {name: value for name, value in update.items() if name not in ("forward", "step")}
    if "forward" in update:
        assignment = AssignmentState(
            assignment_id=derived_id(case.complaint_id, f"assignment-{case.hops}"),
            administration=str(update["forward"]),
            status=AssignmentStatus.FORWARDED,
            assigned_at=moment,
            status_since=moment,
        )
        return {
            **rest,
            "status": CaseStatus.FORWARDED,
            "change": Change.FORWARDED,
            "in_triage": False,
            "assignments": (assignment,),
        }
    if "step" in update:
        status, to, change = next(step for step in _STEPS if step[1] is update["step"])
        answer = "Votre demande est satisfaite." if to is AssignmentStatus.ANSWERED else None
        moved = case.assignments[0].model_copy(update={"status": to, "status_since": moment, "answer": answer})
        return {**rest, "status": status, "change": change, "assignments": (moved,)}
    return rest


def _message(change: Event[CaseChanged]) -> Event[NotificationRecorded]:
    at = change.time + timedelta(seconds=2)
    message_id = derived_id(change.id, "sms")
    data = NotificationRecorded(
        message_id=message_id,
        complaint_id=change.subject,
        template=change.data.change.value,
        channel="sms",
        state=DeliveryState.SENT,
        at=at,
    )
    return Event(derived_id(message_id, "sent"), "/chikaya/notifier", change.subject, at, change.id, data)


def _deadlines(received_at: datetime) -> Deadlines:
    day = received_at.astimezone(_ZONE).date()

    def end_of(days: int) -> datetime:
        return datetime.combine(day + timedelta(days=days), time(23, 59, 59), _ZONE).astimezone(received_at.tzinfo)

    return Deadlines(forward_by=end_of(15), answer_by=end_of(60), policy="test")
