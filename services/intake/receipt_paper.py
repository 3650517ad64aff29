"""A receipt on paper: the page in French and Arabic, drawn as a PDF."""

from datetime import datetime
from io import BytesIO
from pathlib import Path

import fontpkg_ibm_plex_sans_arabic
import segno
from fpdf import FPDF
from fpdf.enums import Align, XPos, YPos

from services.intake.domain.filing import RECEIPT_ZONE

_FONTS = Path(fontpkg_ibm_plex_sans_arabic.ROOT) / "files"
_FAMILY = "Plex"
_WIDTH = 170.0
_QR_MILLIMETRES = 62.0

_TITLE = ("Récépissé de dépôt", "وصل إيداع")
_REFERENCE = ("Référence", "المرجع")
_RECEIVED = ("Reçu le (heure du Maroc)", "تاريخ التوصل (بتوقيت المغرب)")
_CONTENT = ("Empreinte du contenu (SHA-256)", "بصمة المحتوى (SHA-256)")
_EXPLANATION = (
    "Chikaya a bien reçu votre demande\u00a0: ce récépissé en est la preuve. Il est signé électroniquement\u00a0; le "
    "code carré contient cette signature, que chacun peut vérifier sans nous interroger. Votre code d’accès est "
    "secret\u00a0: il ne figure pas sur ce document, gardez-le à part.",
    "توصلت بوابة «شكاية» بطلبكم، وهذا الوصل يثبت ذلك. وهو موقع إلكترونيا: يتضمن الرمز المربع هذا التوقيع، "
    "ويمكن لأي شخص التحقق منه دون الرجوع إلينا. لا يظهر الرمز السري في هذه الوثيقة، فاحتفظوا به على حدة.",
)


def drawn(reference: str, received_at: datetime, content_sha256: str, signed: str) -> bytes:
    """The PDF; the signed receipt is in its QR code and in its keywords."""
    page = _page()
    page.set_title(f"{_TITLE[0]} – {_TITLE[1]} – {reference}")
    page.set_keywords(signed)
    page.set_creation_date(received_at)
    _heading(page)
    received = f"{received_at.astimezone(RECEIPT_ZONE):%d/%m/%Y %H:%M}"
    for labels, value, size in (
        (_REFERENCE, reference, 20),
        (_RECEIVED, received, 14),
        (_CONTENT, content_sha256, 9),
    ):
        _row(page, labels, value, size)
    for text, language in zip(_EXPLANATION, ("fr", "ar"), strict=True):
        _words(page, text, language, 11)
        page.ln(4)
    code = BytesIO()
    segno.make(signed, error="m", micro=False).save(code, kind="png", scale=4, border=4)
    page.image(code, x=Align.C, w=_QR_MILLIMETRES)
    return bytes(page.output())


def _page() -> FPDF:
    page = FPDF(format="A4")
    page.set_margin(20)
    page.set_lang("fr")
    page.add_font(_FAMILY, fname=_FONTS / "IBMPlexSansArabic-Regular.ttf")
    page.add_font(_FAMILY, "B", _FONTS / "IBMPlexSansArabic-Bold.ttf")
    page.add_page()
    return page


def _heading(page: FPDF) -> None:
    page.set_font(_FAMILY, "B", 18)
    _side_by_side(page, _TITLE, 12)
    page.ln(2)
    page.line(page.l_margin, page.get_y(), page.l_margin + _WIDTH, page.get_y())
    page.ln(6)


def _row(page: FPDF, labels: tuple[str, str], value: str, size: int) -> None:
    page.set_font(_FAMILY, "", 10)
    _side_by_side(page, labels, 6)
    page.set_font(_FAMILY, "B", size)
    page.set_text_shaping(use_shaping_engine=True, direction="ltr")
    page.cell(_WIDTH, size * 0.6, value, align=Align.C, new_x=XPos.LMARGIN, new_y=YPos.NEXT)
    page.ln(3)


def _side_by_side(page: FPDF, texts: tuple[str, str], height: float) -> None:
    page.set_text_shaping(use_shaping_engine=True, direction="ltr")
    page.cell(_WIDTH / 2, height, texts[0], align=Align.L)
    page.set_text_shaping(use_shaping_engine=True, direction="rtl", script="arab", language="ara")
    page.cell(_WIDTH / 2, height, texts[1], align=Align.R, new_x=XPos.LMARGIN, new_y=YPos.NEXT)


def _words(page: FPDF, text: str, language: str, size: int) -> None:
    page.set_font(_FAMILY, "", size)
    if language == "ar":
        page.set_text_shaping(use_shaping_engine=True, direction="rtl", script="arab", language="ara")
    else:
        page.set_text_shaping(use_shaping_engine=True, direction="ltr")
    align = Align.R if language == "ar" else Align.L
    page.multi_cell(_WIDTH, size * 0.6, text, align=align, new_x=XPos.LMARGIN, new_y=YPos.NEXT)
