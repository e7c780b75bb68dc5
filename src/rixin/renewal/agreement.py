"""Whether a person's feedback may be learned from: what they said themselves, and the organisation's rules."""

from datetime import datetime
from typing import Literal

from msgspec import Struct
from sqlalchemy import select
from sqlalchemy.orm import Session

from rixin.gateway import name_key
from rixin.settings import Settings
from rixin.store import Database, TrainingConsentRow, UserRow, new_id, now

Rule = Literal["each", "all", "nobody"]


class TrainingConsent(Struct, frozen=True, kw_only=True):
    """What the person said last (None: nothing yet), and the rule: whose feedback is learned from.

    `each`: of those who agreed; `all`: of all but those who refused; `nobody`.
    """

    given: bool | None
    rule: Rule


class Allowance(Struct, frozen=True, kw_only=True):
    """May this person be learned from now, and since when have they said what they said."""

    allowed: bool
    since: datetime | None


class Agreement:
    """Consents and rules. A person's own no always holds; the newest word does."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._rule: Rule = settings.learn_from
        self._never = frozenset(map(name_key, settings.learn_not_from))

    def of(self, user_id: str) -> TrainingConsent:
        """What one person said."""
        with self._database.read() as session:
            return TrainingConsent(given=self._newest(session, user_id), rule=self._rule)

    def say(self, user_id: str, *, given: bool) -> TrainingConsent:
        """Write down what a person says; what was said before stays written."""
        with self._database.write() as session:
            self._database.exclusively(session, f"consent {user_id}")
            if self._newest(session, user_id) is not given:
                session.add(TrainingConsentRow(id=new_id("cns"), user_id=user_id, given=given, at=now()))
        return TrainingConsent(given=given, rule=self._rule)

    def allowances(self, session: Session) -> dict[str, Allowance]:
        """Everybody's, as it is now."""
        said: dict[str, tuple[bool, datetime]] = {}
        query = select(TrainingConsentRow.user_id, TrainingConsentRow.given, TrainingConsentRow.at)
        for user_id, given, at in session.execute(query.order_by(TrainingConsentRow.id)):
            said[user_id] = (given, at)
        found = {}
        for user_id, key in session.execute(select(UserRow.id, UserRow.name_key)):
            word, since = said.get(user_id, (None, None))
            willing = self._rule == "all" if word is None else word
            allowed = willing and self._rule != "nobody" and key not in self._never
            found[user_id] = Allowance(allowed=allowed, since=since)
        return found

    def _newest(self, session: Session, user_id: str) -> bool | None:
        rows = select(TrainingConsentRow.given).where(TrainingConsentRow.user_id == user_id)
        return session.scalars(rows.order_by(TrainingConsentRow.id.desc()).limit(1)).one_or_none()
