"""What was said about each version's answers, counted."""

from collections import Counter, defaultdict

from sqlalchemy import select
from sqlalchemy.orm import Session

from rixin.renewal.opinions import VersionFeedback
from rixin.store import FeedbackRow


def summary_of(session: Session) -> list[VersionFeedback]:
    """One for each version that anybody said something about, the latest judged first."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    reasons: dict[str, Counter[str]] = defaultdict(Counter)
    signals: dict[str, Counter[str]] = defaultdict(Counter)
    models: dict[str, str] = {}
    query = select(
        FeedbackRow.version_id,
        FeedbackRow.other_version_id,
        FeedbackRow.model,
        FeedbackRow.rating,
        FeedbackRow.preferred,
        FeedbackRow.correction.is_not(None).label("corrected"),
        FeedbackRow.reasons,
        FeedbackRow.signals,
    ).where(FeedbackRow.withdrawn_at.is_(None))
    for row in session.execute(query.order_by(FeedbackRow.updated_at.desc(), FeedbackRow.id)):
        models.setdefault(row.version_id, row.model)
        count = counts[row.version_id]
        count["up"] += row.rating == 1
        count["down"] += row.rating == -1
        count["corrected"] += row.corrected
        reasons[row.version_id].update(row.reasons)
        signals[row.version_id].update(row.signals)
        if row.other_version_id is not None:
            models.setdefault(row.other_version_id, row.model)
        if row.preferred == "first":
            count["preferred"] += 1
        elif row.preferred == "second":
            counts[row.other_version_id]["preferred"] += 1
    return [
        VersionFeedback(
            version_id=version_id,
            model=model,
            up=counts[version_id]["up"],
            down=counts[version_id]["down"],
            corrected=counts[version_id]["corrected"],
            preferred=counts[version_id]["preferred"],
            reasons=dict(reasons[version_id]),
            signals=dict(signals[version_id]),
        )
        for version_id, model in models.items()
    ]
