"""Errors of the HTTP APIs: problem details (RFC 9457), naming the field, in the caller's language."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute, Match

from shared.contracts.wording import Spoken
from shared.database.group_commit import Overloaded
from shared.database.pool import TRANSIENT
from shared.runtime.languages import preferred_language

Text = Mapping[Spoken, str]

log = structlog.get_logger(__name__)

_TITLES: dict[str, Text] = {
    "invalid-request": {
        "ar": "الطلب غير صالح",
        "fr": "La demande n’est pas valable",
        "en": "The request is not valid",
    },
    "body-too-large": {
        "ar": "حجم الطلب يتجاوز الحد المسموح به",
        "fr": "La demande dépasse la taille permise",
        "en": "The request is larger than allowed",
    },
    "not-found": {"ar": "غير موجود", "fr": "Introuvable", "en": "Not found"},
    "unauthorized": {
        "ar": "يلزم التعريف بالهوية",
        "fr": "Identification requise",
        "en": "Authentication is required",
    },
    "forbidden": {
        "ar": "لا يُسمح لكم بهذه العملية",
        "fr": "Cette action ne vous est pas permise",
        "en": "You are not allowed to do this",
    },
    "too-many-attempts": {
        "ar": "محاولات كثيرة غير صحيحة، المرجو إعادة المحاولة لاحقا",
        "fr": "Trop d’essais inexacts, veuillez réessayer plus tard",
        "en": "Too many wrong attempts, please try again later",
    },
    "idempotency-key-reused": {
        "ar": "سبق استعمال مفتاح عدم التكرار هذا مع طلب مختلف",
        "fr": "Cette clé d’idempotence a déjà servi pour une autre demande",
        "en": "This idempotency key was already used for another request",
    },
    "not-yours": {
        "ar": "هذه الشكاية ليست بين أيديكم حاليا",
        "fr": "Vous n’avez pas cette réclamation en main",
        "en": "You do not hold this complaint",
    },
    "too-late": {
        "ar": "فات الأوان: القرار قد صدر",
        "fr": "Trop tard : la décision est déjà partie",
        "en": "Too late: the decision went out",
    },
    "not-possible-now": {
        "ar": "هذه العملية غير ممكنة في الحالة الراهنة",
        "fr": "Cette opération n’est pas possible dans l’état actuel",
        "en": "This is not possible in the present state",
    },
    "reply-refused": {
        "ar": "رُفض رد الإدارة",
        "fr": "La réponse de l’administration est refusée",
        "en": "The administration’s reply is refused",
    },
    "too-many-requests": {
        "ar": "طلبات كثيرة في وقت قصير، المرجو إعادة المحاولة لاحقا",
        "fr": "Trop de demandes en peu de temps, veuillez réessayer plus tard",
        "en": "Too many requests in a short time, please try again later",
    },
    "request-timeout": {
        "ar": "استغرق إرسال الطلب وقتا طويلا، المرجو إعادة المحاولة",
        "fr": "L’envoi de la demande a pris trop de temps, veuillez réessayer",
        "en": "Sending the request took too long, please try again",
    },
    "attachment-type": {
        "ar": "نوع الملف غير مقبول: الصور والتسجيلات الصوتية والفيديو وملفات PDF فقط",
        "fr": "Type de fichier non accepté : photos, enregistrements audio, vidéos et PDF seulement",
        "en": "This type of file is not accepted: photos, audio, video and PDF only",
    },
    "attachment-unreadable": {
        "ar": "تعذرت قراءة الصورة أو أن أبعادها كبيرة جدا",
        "fr": "L’image est illisible ou ses dimensions sont trop grandes",
        "en": "The picture cannot be read or its dimensions are too large",
    },
    "attachment-infected": {
        "ar": "رُفض الملف لاحتوائه على برنامج ضار",
        "fr": "Le fichier est refusé : il contient un programme malveillant",
        "en": "The file is refused: it contains malicious software",
    },
    "upload-conflict": {
        "ar": "لا يتطابق موضع الإرسال مع ما توصلنا به",
        "fr": "La position d’envoi ne correspond pas à ce qui est déjà reçu",
        "en": "The upload offset is not where the received content ends",
    },
    "upload-version": {
        "ar": "إصدار بروتوكول الإرسال غير مدعوم",
        "fr": "Version du protocole d’envoi non prise en charge",
        "en": "This version of the upload protocol is not supported",
    },
    "checksum-mismatch": {
        "ar": "وصل المحتوى ناقصا أو معدلا، المرجو إعادة إرساله",
        "fr": "Le contenu est arrivé altéré, veuillez le renvoyer",
        "en": "The content arrived altered, please send it again",
    },
    "unavailable": {
        "ar": "الخدمة غير متاحة مؤقتا، المرجو إعادة المحاولة بعد لحظات",
        "fr": "Service momentanément indisponible, veuillez réessayer dans un instant",
        "en": "Temporarily unavailable, please try again in a moment",
    },
    "error": {"ar": "حدث خطأ", "fr": "Une erreur est survenue", "en": "An error occurred"},
}

_FIELDS: dict[str, Text] = {
    "missing": {"ar": "هذا الحقل إلزامي", "fr": "Ce champ est obligatoire", "en": "This field is required"},
    "too_short": {
        "ar": "النص قصير جدا: {min_length} أحرف على الأقل",
        "fr": "Texte trop court : au moins {min_length} caractères",
        "en": "Too short: at least {min_length} characters",
    },
    "too_long": {
        "ar": "النص طويل جدا: {max_length} حرف على الأكثر",
        "fr": "Texte trop long : au plus {max_length} caractères",
        "en": "Too long: at most {max_length} characters",
    },
    "enum": {
        "ar": "قيمة غير معروفة؛ القيم الممكنة: {expected}",
        "fr": "Valeur inconnue ; valeurs possibles : {expected}",
        "en": "Unknown value; possible values: {expected}",
    },
    "json_invalid": {"ar": "ليس JSON صالحا", "fr": "Ce n’est pas du JSON valable", "en": "Not valid JSON"},
    "extra_forbidden": {"ar": "حقل غير معروف", "fr": "Champ inconnu", "en": "Unknown field"},
    "unknown_administration": {
        "ar": "إدارة غير معروفة",
        "fr": "Administration inconnue",
        "en": "Unknown administration",
    },
    "invalid_phone": {
        "ar": "رقم الهاتف غير صالح",
        "fr": "Numéro de téléphone non valable",
        "en": "Not a valid telephone number",
    },
    "invalid_email": {
        "ar": "البريد الإلكتروني غير صالح",
        "fr": "Adresse électronique non valable",
        "en": "Not a valid e-mail address",
    },
    "unknown_attachment": {
        "ar": "الملف المرفق غير موجود أو لم يكتمل إرساله",
        "fr": "Pièce jointe inconnue ou dont l’envoi n’est pas terminé",
        "en": "Unknown attachment, or its upload is not complete",
    },
    "contact_missing": {
        "ar": "المرجو إدخال رقم الهاتف أو البريد الإلكتروني الذي تودون أن نراسلكم عليه",
        "fr": "Indiquez le numéro ou l’adresse où vous voulez être prévenu",
        "en": "Give the number or address where you want to be told",
    },
    "invalid": {"ar": "قيمة غير صالحة", "fr": "Valeur non valable", "en": "Not a valid value"},
}


@dataclass(slots=True)
class Problem(Exception):
    """An error to answer with; `kind` is the last part of its type URI and selects its title."""

    status: int
    kind: str
    errors: Sequence[tuple[str, str, Mapping[str, Any]]] = ()
    """(field, message key, values of the message) of each field at fault."""
    headers: Mapping[str, str] = field(default_factory=dict)
    extensions: Mapping[str, str] = field(default_factory=dict)
    """Further members of the document (RFC 9457 section 3.2)."""


def problem_response(problem: Problem, language: Spoken) -> Response:
    """The `application/problem+json` answer."""
    body: dict[str, Any] = {
        "type": f"https://chikaya.ma/problems/{problem.kind}",
        "title": _TITLES[problem.kind][language],
        "status": problem.status,
        **problem.extensions,
    }
    if problem.errors:
        body["errors"] = [
            {"field": name, "message": _FIELDS.get(key, _FIELDS["invalid"])[language].format_map(values)}
            for name, key, values in problem.errors
        ]
    headers = {"content-language": language, "vary": "accept-language", **problem.headers}
    return Response(orjson.dumps(body), problem.status, headers, "application/problem+json")


def field_errors(error: ValidationError | RequestValidationError) -> list[tuple[str, str, dict[str, Any]]]:
    """The fields at fault of a validation error, for `Problem.errors`."""
    found = []
    for detail in error.errors():
        location = [str(part) for part in detail["loc"] if part not in ("body", "query", "header", "path")]
        kind = "missing" if detail["type"] in ("missing", "string_type") and detail["input"] is None else detail["type"]
        found.append((".".join(location) or "body", kind.removeprefix("string_"), detail.get("ctx") or {}))
    return found


def install_problem_handlers(app: FastAPI, routes: Sequence[BaseRoute]) -> None:
    """Makes every error of an application with these routes a problem document."""

    async def on_problem(request: Request, error: Exception) -> Response:
        assert isinstance(error, Problem)
        return problem_response(error, _language(request))

    async def on_validation(request: Request, error: Exception) -> Response:
        assert isinstance(error, ValidationError | RequestValidationError)
        return problem_response(Problem(400, "invalid-request", field_errors(error)), _language(request))

    async def on_http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        kind = "not-found" if error.status_code == 404 else "error"
        headers = dict(error.headers or {}) | (_allowed(request, routes) if error.status_code == 405 else {})
        return problem_response(Problem(error.status_code, kind, headers=headers), _language(request))

    async def on_transient(request: Request, error: Exception) -> Response:
        log.warning("answered_unavailable", error=repr(error))
        return problem_response(Problem(503, "unavailable", headers={"retry-after": "5"}), _language(request))

    for kind in (*TRANSIENT, Overloaded):
        app.add_exception_handler(kind, on_transient)
    app.add_exception_handler(Problem, on_problem)
    app.add_exception_handler(RequestValidationError, on_validation)
    app.add_exception_handler(ValidationError, on_validation)
    app.add_exception_handler(HTTPException, on_http)


def _allowed(request: Request, routes: Sequence[BaseRoute]) -> dict[str, str]:
    """The methods of all routes of the path: each route by itself knows its own only."""
    here = [route for route in routes if route.matches(request.scope)[0] is not Match.NONE]
    methods = {method for route in here for method in getattr(route, "methods", None) or ()}
    return {"allow": ", ".join(sorted(methods))} if methods else {}


def _language(request: Request) -> Spoken:
    return preferred_language(request.headers.get("accept-language"))
