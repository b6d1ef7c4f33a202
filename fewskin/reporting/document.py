"""A whole report from one study's tables."""

from fewskin.reporting.blocks import Document
from fewskin.reporting.bundle import Bundle
from fewskin.reporting.datacard import audit_section, data_section
from fewskin.reporting.gains import curve_section, draw_section, gain_section
from fewskin.reporting.learners import learner_section
from fewskin.reporting.methods import (
    DISCLAIMER,
    limit_section,
    method_section,
    provenance_section,
    simulated_note,
)
from fewskin.reporting.mistakes import calibration_section, confusion_section, metric_section
from fewskin.reporting.published import published_section
from fewskin.reporting.results import answer, verdict_section
from fewskin.reporting.samples import sample_section
from fewskin.reporting.shortcuts import shortcut_section
from fewskin.reporting.study import Study

__all__ = ["make_document"]


def make_document(bundle: Bundle, *, title: str, command: str, notes: str) -> Document:
    """Return the report's content.

    Args:
        bundle: tables and records of the study.
        title: the question, or the study's name.
        command: what makes the report again.
        notes: free text of the study's author, printed with the provenance.
    """
    study = Study(bundle)
    note = simulated_note(study)
    sections = (
        verdict_section(study),
        learner_section(study),
        shortcut_section(study),
        *published_section(study),
        gain_section(study),
        draw_section(study),
        curve_section(study),
        confusion_section(study),
        calibration_section(study),
        sample_section(study),
        audit_section(study),
        data_section(study),
        method_section(study),
        metric_section(study),
        provenance_section(study, command, notes),
        limit_section(study),
    )
    banners = (f"{DISCLAIMER} See Limitations at the end.", *([note] if note else []))
    return Document(title, answer(study), banners, _date(bundle), sections)


def _date(bundle: Bundle) -> str:
    # The day the results were made, not the day this page was.
    started = [
        str(record["started"]) for record in bundle.records.values() if record.get("started")
    ]
    return max(started)[:10] if started else ""
