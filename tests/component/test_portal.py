"""The portal's pages against fakes of intake and the tracker."""

import json
import re
from datetime import date

import httpx
from fastapi import FastAPI

from services.portal.api import make_router
from services.portal.clients import IntakeClient, TrackerClient
from shared.contracts.reference import reference

REFERENCE = reference(date(2026, 5, 4), 12345678)
CODE = "01234567"
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

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if self.down:
            raise httpx.ConnectError("down", request=request)
        if request.method == "GET":
            right = request.url.path.endswith(REFERENCE) and request.headers["access-code"] == CODE
            return httpx.Response(200, json=COMPLAINT) if right else httpx.Response(404, json={"status": 404})
        self.filed.append(request)
        if not json.loads(request.content)["text"]:
            errors = [
                {"field": "text", "message": "النص قصير جدا"},
                {"field": "complainant.phone", "message": "رقم الهاتف غير صالح"},
            ]
            return httpx.Response(400, json={"status": 400, "title": "الطلب غير صالح", "errors": errors})
        return httpx.Response(
            201, json={"id": "x", "reference": REFERENCE, "access_code": CODE, "received_at": RECEIVED}
        )


def portal(upstream: Upstream) -> httpx.AsyncClient:
    http = httpx.AsyncClient(transport=httpx.MockTransport(upstream), base_url="http://upstream")
    app = FastAPI()
    app.include_router(make_router(IntakeClient(http), TrackerClient(http)))
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
    assert REFERENCE in answer.text and CODE in answer.text and 'href="/ar/follow"' in answer.text
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


async def test_errors_stand_next_to_their_fields_and_keep_what_was_typed() -> None:
    async with portal(Upstream()) as browser:
        typed = {"key": "k-1", "subject": "<b>تأخر</b>", "text": "", "phone": "12", "administration": "sante"}
        answer = await browser.post("/ar/file", data=typed)
    assert answer.status_code == 400
    assert '<p class="error" id="text-error">النص قصير جدا</p>' in answer.text
    assert '<p class="error" id="phone-error">رقم الهاتف غير صالح</p>' in answer.text
    assert 'value="&lt;b&gt;تأخر&lt;/b&gt;"' in answer.text and 'value="k-1"' in answer.text
    assert '<option value="sante" selected>' in answer.text


async def test_following_shows_status_and_deadlines_in_moroccan_time() -> None:
    async with portal(Upstream()) as browser:
        given = {"reference": REFERENCE.replace("-", " "), "access_code": "٠١٢٣٤٥٦٧"}
        french = await browser.post("/fr/follow", data=given)
        arabic = await browser.post("/ar/follow", data=given)
    assert french.status_code == arabic.status_code == 200
    assert "L’administration traite votre réclamation" in french.text
    assert "Ministère de la Santé" in french.text and "وزارة الصحة" in arabic.text
    assert "lundi 4 mai 2026 à 23:30" in french.text
    assert "samedi 4 juillet 2026 à 23:59" in french.text
    assert "يوليوز" in arabic.text
    assert CODE not in french.text and french.headers["cache-control"] == "no-store"


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
    assert 'value="k-2"' in filed.text and "Bonjour</textarea>" in filed.text
