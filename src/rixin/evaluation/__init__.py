"""Evaluation: what a Version can do, how sure that is, and whether it may go live."""

from importlib import import_module
from typing import TYPE_CHECKING

from rixin.evaluation.asker import Answered, Asker
from rixin.evaluation.importer import import_questions
from rixin.evaluation.page import page_policy, page_theme
from rixin.evaluation.presentation import (
    Presentation,
    present_comparison,
    present_gap,
    present_report,
    write_presentation,
)
from rixin.evaluation.report import Cost, Report, Result, Sample, read_report, read_samples
from rixin.evaluation.service import Evaluations, gate_of, require_lm_eval
from rixin.evaluation.suites import SUITE_FILE, Suite, read_suite

if TYPE_CHECKING:
    from rixin.evaluation.arena import Arena, Match, standings, verdicts
    from rixin.evaluation.compare import Comparison, compare_reports
    from rixin.evaluation.gap import Gap, Standing, measure_gap
    from rixin.evaluation.gate import Check, GateDecision, decide, parse_gate
    from rixin.evaluation.judge import Pair, Share, calibrate, pair_up
    from rixin.evaluation.judging import Judgement, judge_reports, judgements, kinship

# Imported when first asked for: they bring scipy, which the server's process does without.
_LATER = {
    "Arena": "arena",
    "Check": "gate",
    "Comparison": "compare",
    "Gap": "gap",
    "GateDecision": "gate",
    "Judgement": "judging",
    "Match": "arena",
    "Pair": "judge",
    "Share": "judge",
    "Standing": "gap",
    "calibrate": "judge",
    "compare_reports": "compare",
    "decide": "gate",
    "judge_reports": "judging",
    "judgements": "judging",
    "kinship": "judging",
    "measure_gap": "gap",
    "pair_up": "judge",
    "parse_gate": "gate",
    "standings": "arena",
    "verdicts": "arena",
}

__all__ = [
    "SUITE_FILE",
    "Answered",
    "Arena",
    "Asker",
    "Check",
    "Comparison",
    "Cost",
    "Evaluations",
    "Gap",
    "GateDecision",
    "Judgement",
    "Match",
    "Pair",
    "Presentation",
    "Report",
    "Result",
    "Sample",
    "Share",
    "Standing",
    "Suite",
    "calibrate",
    "compare_reports",
    "decide",
    "gate_of",
    "import_questions",
    "judge_reports",
    "judgements",
    "kinship",
    "measure_gap",
    "page_policy",
    "page_theme",
    "pair_up",
    "parse_gate",
    "present_comparison",
    "present_gap",
    "present_report",
    "read_report",
    "read_samples",
    "read_suite",
    "require_lm_eval",
    "standings",
    "verdicts",
    "write_presentation",
]


def __getattr__(name: str) -> object:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_LATER[name]}"), name)
