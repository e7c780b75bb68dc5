"""Renewal: the circle from a person's correction to a better model: feedback, the Cycle, canary, promotion, rollback."""
