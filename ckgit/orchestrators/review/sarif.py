"""Findings as SARIF 2.1.0, which code hosts and editors show beside the lines (OASIS standard, 27 March 2020)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from ckgit import __version__
from ckgit.experiment.outputs.findings import Finding, VerifiedExperiment
from ckgit.orchestrators.review.rules import RULES

_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"


def sarif(verified: Iterable[VerifiedExperiment]) -> bytes:
    """One run with all findings. Levels have the names of our severities."""
    rules = [
        {
            "id": rule.name,
            "shortDescription": {"text": rule.means},
            "help": {"text": rule.do},
            "defaultConfiguration": {"level": str(rule.severity)},
        }
        for rule in RULES.values()
    ]
    driver = {"name": "ckgit verify", "version": __version__, "rules": rules}
    names: Sequence[str] = list(RULES)
    results = [_result(each.experiment, finding, names) for each in verified for finding in each.findings]
    document = {"$schema": _SCHEMA, "version": "2.1.0", "runs": [{"tool": {"driver": driver}, "results": results}]}
    return (json.dumps(document, indent=2, ensure_ascii=False) + "\n").encode()


def _result(experiment: str, finding: Finding, names: Sequence[str]) -> dict[str, Any]:
    path = finding.path or f"experiments/{experiment}/experiment_summary.md"
    place = {"physicalLocation": {"artifactLocation": {"uri": _uri(path)}, "region": {"startLine": max(1, finding.line)}}}
    return {
        "ruleId": finding.rule,
        "ruleIndex": names.index(finding.rule),
        "level": str(finding.severity),
        "message": {"text": " ".join(filter(None, [f"{finding.message}.", finding.advice]))},
        "locations": [place],
        "properties": {"experiment": experiment, "commit": finding.commit},
    }


def _uri(path: str) -> str:
    from urllib.parse import quote

    return quote(path)
