"""Quality and drift of the classifier, as numbers: coverage, confidence, language mix, how often officers disagree."""

from prometheus_client import Counter, Histogram, Info

MODEL = Info("chikaya_classifier_model", "The model in use.")
CLASSIFIED = Counter(
    "chikaya_classified_total",
    "Complaints classified by the model. Coverage is the share of decision `route`; languages show the mix.",
    ["decision", "reason", "language"],
)
CONFIDENCE = Histogram(
    "chikaya_classifier_confidence",
    "Confidence of the first suggestion.",
    ["decision"],
    buckets=[place / 10 for place in range(1, 11)],
)
OFFICER_DECISIONS = Counter(
    "chikaya_officer_decisions_total",
    "Decisions of officers published. The override rate is `overridden` over `confirmed` and `overridden`.",
    ["outcome"],
)
REFUSALS = Counter(
    "chikaya_not_ours_total", "Complaints that an administration sent back as not its own.", ["administration"]
)
