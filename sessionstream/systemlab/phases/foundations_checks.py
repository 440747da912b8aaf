"""Checks of phase 0: pure functions from findings to checks."""

from __future__ import annotations

from typing import Final

from sessionstream.systemlab.checks import Check, Json, judge
from sessionstream.systemlab.phases.foundations_probes import Findings

HELP: Final = (
    "sessionstream-getting-started",
    "sessionstream-user-guide",
    "sessionstream-reference",
    "sessionstream-schema-vet-playbook",
)


def all_checks(findings: Findings) -> tuple[Check, ...]:
    """Return all checks of the findings."""
    return tuple(judge_it(findings) for judge_it in (struct, agree, survives, once, linter, embedded, light))


def struct(findings: Findings) -> Check:
    """Check that the registry refuses payloads without a schema."""
    taken = [family for family, words in findings.registrations.items() if not words]
    return judge(
        "struct",
        "A schema registry refuses a top-level google.protobuf.Struct, in every family.",
        wrong=[f"it took one as {family}" for family in taken],
        right=f"refused in {len(findings.registrations)} families",
        evidence=dict[str, Json](findings.registrations),
    )


def agree(findings: Findings) -> Check:
    """Check that memory and disk have the same timeline after the same events."""
    same = findings.memory == findings.sqlite
    return judge(
        "agree",
        "The store in memory and the one on disk have the same timeline after the same events.",
        wrong=[] if same else ["they differ"],
        right=findings.memory,
        evidence={"memory": findings.memory, "sqlite": findings.sqlite},
    )


def survives(findings: Findings) -> Check:
    """Check that a file keeps acknowledged events."""
    same = findings.sqlite == findings.reopened
    return judge(
        "survives",
        "A SQLite store has all acknowledged events after its file is reopened.",
        wrong=[] if same else ["the file has another timeline"],
        right="the timeline is the same before and after",
        evidence={"before": findings.sqlite, "reopened": findings.reopened},
    )


def once(findings: Findings) -> Check:
    """Check that an event that is published twice is logged once."""
    first, second = findings.twice
    wrong = []
    if first != second:
        wrong.append(f"the first time it was {first}, the second time {second}")
    if findings.logged != 1:
        wrong.append(f"there are {findings.logged} events in the log")
    return judge(
        "once",
        "An event published twice under one id is logged once, and keeps its ordinal.",
        wrong=wrong,
        right=f"ordinal {first} both times, one event in the log",
        evidence={"first": first, "second": second, "logged": findings.logged},
    )


def linter(findings: Findings) -> Check:
    """Check that the linter finds a mistake before the program runs."""
    said = findings.linter
    found = said is not None and f"{findings.planted}: SST001" in said
    return judge(
        "linter",
        "The linter finds a Struct registration before the program runs.",
        wrong=[] if said is None or found else ["it did not find the planted mistake"],
        right=f"SST001 at {findings.planted}",
        waiting="pip install 'sessionstream[lint]', then run the checks again" if said is None else "",
        evidence={"planted": findings.planted, "said": said or ""},
    )


def embedded(findings: Findings) -> Check:
    """Check that the package contains the help."""
    entries = findings.entries
    if isinstance(entries, str):
        wrong, evidence = [entries], dict[str, Json](error=entries)
    else:
        wrong = [f"there is no {slug}" for slug in HELP if slug not in entries]
        wrong += [f"{slug} is empty" for slug, length in entries.items() if not length]
        evidence = dict[str, Json](entries)
    return judge(
        "help",
        "The embedded help is part of the installed package, and every entry has its text.",
        wrong=wrong,
        right=f"{len(entries)} entries",
        evidence=evidence,
    )


def light(findings: Findings) -> Check:
    """Check that the library loads only the modules that it needs."""
    return judge(
        "light",
        "import sessionstream loads protobuf and the standard library: no web server, no driver, no linter.",
        wrong=[f"it loads {name}" for name in findings.imported],
        right="nothing else was loaded",
        evidence={"loaded": list[Json](findings.imported)},
    )
