"""The portal's pages against fakes of intake and the tracker."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, date, datetime
from typing import Any

import httpx
import pytest
from fastapi import APIRouter, FastAPI

from services.portal import service
from services.portal.api import make_router
from services.portal.clients import IntakeClient, TrackerClient
from services.portal.domain.languages import written_day, written_moment
from services.portal.settings import PortalSettings
from shared.contracts.reference import reference
from shared.runtime.http import Health, make_app
from shared.runtime.settings import HttpSettings

REFERENCE = reference(date(2026, 5, 4), 12345678)
CODE = "01234567"
LARGEST = 100_000
RECEIVED = "2026-05-04T22:30:00+00:00"
COMPLAINT = {
    "reference": REFERENCE,
    "status": "in_progress",
    "administration": {"code": "sante", "name_fr": "Ministère de la Santé", "name_ar": "وزارة الصحة"},
    "on_behalf_of": None,
    "since": RECEIVED,
    "received_at": RECEIVED,
    "forward_by": "2026-05-11T22:59:59+00:00",
    "answer_by": "2026-07-04T22:59:59+00:00",
    "answer": None,
    "timeline": [{"at": RECEIVED, "change": "opened", "administration": None}],
}


class Upstream:
    """Intake and tracker in one; keeps what was asked."""

    def __init__(self) -> None:
        self.filed: list[httpx.Request] = []
        self.down = False
        self.refused: tuple[str, ...] = ()
        """Fields to refuse."""

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if self.down:
            raise httpx.ConnectError("down", request=request)
        if request.method == "GET":
            right = request.url.path.endswith(REFERENCE) and request.headers["access-code"] == CODE
            return httpx.Response(200, json=COMPLAINT) if right else httpx.Response(404, json={"status": 404})
        self.filed.append(request)
        if self.refused:
            errors = [{"field": field, "message": f"intake on {field}"} for field in self.refused]
            return httpx.Response(400, json={"status": 400, "title": "الطلب غير صالح", "errors": errors})
        return httpx.Response(
            201, json={"id": "x", "reference": REFERENCE, "access_code": CODE, "received_at": RECEIVED}
        )


def portal(upstream: Upstream) -> httpx.AsyncClient:
    http = httpx.AsyncClient(transport=httpx.MockTransport(upstream), base_url="http://upstream")
    router = make_router(IntakeClient(http), TrackerClient(http), maximum_body=LARGEST)
    app: FastAPI = make_app("portal", HttpSettings(), Health(ready=True), [router])
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://portal")


async def test_home_is_in_the_language_of_the_browser() -> None:
    async with portal(Upstream()) as browser:
        for accepted, home in (("ar-MA,fr;q=0.5", "/ar"), ("en", "/fr"), ("", "/fr")):
            answer = await browser.get("/", headers={"accept-language": accepted})
            assert (answer.status_code, answer.headers["location"]) == (303, home)
        page = await browser.get("/ar")
        assert '<html lang="ar" dir="rtl">' in page.text
        assert "default-src 'none'; style-src 'self'" in page.headers["content-security-policy"]
        assert (await browser.get("/static/portal.css")).headers["content-type"].startswith("text/css")


async def test_filing_in_arabic_gives_reference_and_code() -> None:
    upstream = Upstream()
    async with portal(upstream) as browser:
        form = (await browser.get("/ar/file")).text
        key = re.search(r'name="key" value="([^"]+)"', form)
        assert key is not None
        answer = await browser.post(
            "/ar/file",
            data={"key": key[1], "kind": "complaint", "subject": "تأخر", "text": "لم أتوصل بالشهادة", "phone": ""},
        )
    assert answer.status_code == 201
    assert f">{REFERENCE}</bdi>" in answer.text and 'href="/ar/follow"' in answer.text
    assert f"<span>{CODE[:4]}</span><span>{CODE[4:]}</span>" in answer.text
    assert 'hreflang="fr"' not in answer.text  # it would lead away from the code
    assert answer.headers["cache-control"] == "no-store"
    [request] = upstream.filed
    assert (request.headers["idempotency-key"], request.headers["accept-language"]) == (key[1], "ar")
    assert json.loads(request.content) == {
        "kind": "complaint",
        "subject": "تأخر",
        "text": "لم أتوصل بالشهادة",
        "language": "ar",
        "channel": "web",
        "preferred_contact": "none",
    }


@pytest.mark.parametrize(
    ("page", "text", "language"),
    [
        ("ar", "لم أتوصل بالشهادة من l’arrondissement", "ar"),
        ("ar", "Je n’ai pas reçu mon attestation", None),
        ("fr", "Je n’ai pas reçu mon attestation", "fr"),
        ("fr", "لم أتوصل بالشهادة", None),
        ("fr", "ⵓⵔ ⵉⵢⵉ ⴷ ⵜⵓⵡⵉ", None),
        ("fr", "0612345678", "fr"),
    ],
)
async def test_the_language_is_the_page_s_unless_the_text_is_in_another_script(
    page: str, text: str, language: str | None
) -> None:
    upstream = Upstream()
    async with portal(upstream) as browser:
        await browser.post(f"/{page}/file", data={"subject": "Retard", "text": text, "phone": "٠٦١٢٣٤٥٦٧٨"})
    filing = json.loads(upstream.filed[0].content)
    assert filing.get("language") == language
    assert filing["complainant"] == {"phone": "0612345678"}


async def test_errors_stand_next_to_their_fields_and_keep_what_was_typed() -> None:
    upstream = Upstream()
    upstream.refused = ("text", "complainant.phone", "kind")
    async with portal(upstream) as browser:
        typed = {"key": "k-1", "subject": "<b>تأخر</b>", "text": "", "phone": "12", "administration": "sante"}
        answer = await browser.post("/ar/file", data=typed)
    assert answer.status_code == 400
    assert '<p class="error" id="text-error">صفوا ما حدث.</p>' in answer.text
    assert '<p class="error" id="phone-error">رقم الهاتف غير صحيح.' in answer.text
    assert '<p class="error" id="kind-error">اختاروا أحد الأجوبة.</p>' in answer.text
    assert 'value="&lt;b&gt;تأخر&lt;/b&gt;"' in answer.text and 'value="k-1"' in answer.text
    assert '<option value="sante" selected>' in answer.text
    assert 'hreflang="fr"' not in answer.text


@pytest.mark.parametrize(("wanted", "field"), [("sms", "phone"), ("email", "email")])
@pytest.mark.parametrize("refused", ["body", "text"])
async def test_a_contact_left_blank_shows_at_its_own_field(wanted: str, field: str, refused: str) -> None:
    upstream = Upstream()
    upstream.refused = (refused,)
    async with portal(upstream) as browser:
        answer = await browser.post("/fr/file", data={"subject": "Retard", "text": "", "preferred_contact": wanted})
    errors = set(re.findall(r'class="error" id="(\w+)-error"', answer.text))
    assert errors == ({field} if refused == "body" else {field, "text"})
    assert f'<a href="#{field}">' in answer.text and "intake on body" not in answer.text


async def test_an_error_of_the_whole_body_that_is_not_about_contact_stands_above_the_form() -> None:
    upstream = Upstream()
    upstream.refused = ("body",)
    async with portal(upstream) as browser:
        answer = await browser.post("/fr/file", data={"subject": "Retard", "text": "Bonjour"})
    assert "<p>intake on body</p>" in answer.text and 'class="error"' not in answer.text


async def test_following_shows_status_and_deadlines_in_moroccan_time() -> None:
    async with portal(Upstream()) as browser:
        given = {"reference": REFERENCE.replace("-", " "), "access_code": "٠١٢٣٤٥٦٧"}
        french = await browser.post("/fr/follow", data=given)
        arabic = await browser.post("/ar/follow", data=given)
    assert french.status_code == arabic.status_code == 200
    assert "L’administration traite votre réclamation" in french.text
    assert "Ministère de la Santé" in french.text and "وزارة الصحة" in arabic.text
    assert "lundi 4 mai 2026 à\u00a023\u00a0h\u00a030" in french.text
    assert '<time datetime="2026-07-04">samedi 4 juillet 2026</time>' in french.text
    assert "Transmission à l’administration au plus tard" not in french.text  # it is done
    assert '<time datetime="2026-07-04">السبت 4 يوليوز 2026</time>' in arabic.text
    assert CODE not in french.text and french.headers["cache-control"] == "no-store"


def test_dates_are_written_as_people_write_them() -> None:
    first = datetime(2026, 10, 31, 23, 30, tzinfo=UTC)
    assert written_day(first, "fr") == "dimanche 1er novembre 2026"
    assert written_day(first, "ar") == "الأحد فاتح نونبر 2026"
    assert written_moment(first, "ar") == "الأحد فاتح نونبر 2026 على\u00a0الساعة\u00a000:30"


async def test_wrong_reference_and_wrong_code_read_the_same() -> None:
    message = "La référence ou le code d’accès est inexact."
    other = reference(date(2026, 5, 4), 1)
    async with portal(Upstream()) as browser:
        for typed in ((REFERENCE, "99999999"), (other, CODE), ("abc", ""), (REFERENCE, "é")):
            answer = await browser.post("/fr/follow", data={"reference": typed[0], "access_code": typed[1]})
            assert answer.status_code == 404 and message in answer.text


async def test_an_unreachable_service_keeps_the_form() -> None:
    upstream = Upstream()
    upstream.down = True
    async with portal(upstream) as browser:
        filed = await browser.post("/fr/file", data={"key": "k-2", "subject": "Retard", "text": "Bonjour"})
        followed = await browser.post("/fr/follow", data={"reference": REFERENCE, "access_code": CODE})
    assert filed.status_code == followed.status_code == 503
    assert "momentanément indisponible" in filed.text and "momentanément indisponible" in followed.text
    assert "Rien de ce que vous avez saisi n’est perdu" in filed.text and "perdu" not in followed.text
    assert 'value="k-2"' in filed.text and "Bonjour</textarea>" in filed.text


async def test_a_misdirected_answer_of_intake_is_not_shown_to_the_citizen() -> None:
    async def lost(request: httpx.Request) -> httpx.Response:
        return httpx.Response(404, json={"status": 404, "title": "Introuvable"})

    http = httpx.AsyncClient(transport=httpx.MockTransport(lost), base_url="http://upstream")
    app = FastAPI()
    app.include_router(make_router(IntakeClient(http), TrackerClient(http), LARGEST))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://portal") as browser:
        assert (await browser.post("/fr/file", data={"text": "Bonjour"})).status_code == 503


@pytest.mark.parametrize(
    ("method", "path", "status", "said", "allow"),
    [
        ("GET", "/fr/nothing", 404, "Page introuvable", None),
        ("GET", "/nothing", 404, "الصفحة غير موجودة", None),
        ("POST", "/ar/nothing/", 404, "الصفحة غير موجودة", None),
        ("DELETE", "/fr/file", 405, "Cette action n’est pas possible ici", "GET, HEAD, POST"),
        ("POST", "/ar", 405, "هذه العملية غير ممكنة هنا", "GET, HEAD"),
    ],
)
async def test_people_get_pages_for_errors(method: str, path: str, status: int, said: str, allow: str | None) -> None:
    async with portal(Upstream()) as browser:
        answer = await browser.request(method, path, headers={"accept-language": "ar"})
    assert (answer.status_code, answer.headers.get("allow")) == (status, allow)
    assert answer.headers["content-type"].startswith("text/html") and f"<h1>{said}</h1>" in answer.text
    assert answer.headers["cache-control"] == "no-store" and "content-security-policy" in answer.headers


async def test_a_slash_too_many_is_forgiven() -> None:
    async with portal(Upstream()) as browser:
        answer = await browser.get("/ar/follow/")
        assert (answer.status_code, answer.headers["location"]) == (308, "/ar/follow")
        assert (await browser.get("http://portal//example.com/")).status_code == 404
        assert (await browser.head("/ar/file")).status_code == 200


async def test_a_body_too_large_gets_a_page() -> None:
    async def streamed() -> AsyncIterator[bytes]:
        for _ in range(3):
            yield b"text=" + b"x" * (LARGEST // 2)

    form = {"content-type": "application/x-www-form-urlencoded"}
    upstream = Upstream()
    async with portal(upstream) as browser:
        declared = await browser.post("/fr/file", data={"text": "x" * LARGEST})
        chunked = await browser.post("/fr/file", content=streamed(), headers=form)
    for answer in (declared, chunked):
        assert answer.status_code == 413 and "<h1>Votre envoi est trop volumineux</h1>" in answer.text
        assert answer.headers["connection"] == "close"
    assert not upstream.filed


async def test_a_file_or_a_broken_form_gets_a_page() -> None:
    async with portal(Upstream()) as browser:
        answer = await browser.post("/fr/file", files={"photo": b"x"})
    assert answer.status_code == 400 and "sans y joindre de fichier" in answer.text


async def test_a_failure_of_the_portal_gets_a_page() -> None:
    def broken(request: httpx.Request) -> httpx.Response:
        raise RuntimeError("a bug")

    http = httpx.AsyncClient(transport=httpx.MockTransport(broken), base_url="http://upstream")
    app = FastAPI()
    app.include_router(make_router(IntakeClient(http), TrackerClient(http), LARGEST))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://portal") as browser:
        answer = await browser.post("/ar/file", data={"text": "مرحبا"})
    assert answer.status_code == 500 and "<h1>حدث خطأ من جانبنا</h1>" in answer.text


async def test_health_and_metrics_stay_for_machines() -> None:
    async with portal(Upstream()) as browser:
        assert (await browser.get("/health/ready")).content == b""
        assert "python_info" in (await browser.get("/metrics")).text
        for path in ("/health/nothing", "/metrics/nothing"):
            assert (await browser.get(path)).headers["content-type"] == "application/problem+json"


def test_the_clients_are_closed_when_the_portal_stops(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[httpx.AsyncClient] = []

    class Watched(httpx.AsyncClient):
        def __init__(self, **settings: Any) -> None:
            super().__init__(**settings)
            opened.append(self)

    def run_web(name: str, settings: HttpSettings, build: Callable[[], Sequence[APIRouter]]) -> None:
        async def serve() -> None:
            build()
            await asyncio.sleep(0)

        asyncio.run(serve())

    settings = PortalSettings(intake_url="http://intake", tracker_url="http://tracker")
    monkeypatch.setattr(service, "PortalSettings", lambda: settings)
    monkeypatch.setattr(service, "run_web", run_web)
    monkeypatch.setattr(httpx, "AsyncClient", Watched)
    service.main()
    assert [client.is_closed for client in opened] == [True, True]
