"""A check: its claim, its result, and the data that it is based on.

Checks are made by pure functions from data to ``Check``, so that a test can give each of them wrong data.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Json: TypeAlias = str | int | float | bool | list["Json"] | dict[str, "Json"] | None
Verdict: TypeAlias = Literal["passed", "failed", "held", "waiting"]


@dataclass(frozen=True, slots=True)
class Check:
    """One guarantee of the framework, and whether it holds.

    Attributes:
        id: unique within its page.
        claim: the guarantee, as a sentence about the framework.
        verdict: ``"waiting"`` while there is no data yet; ``"held"`` while the session is held, and all events before
            the one that holds it are as claimed.
        because: the reason for the verdict, such as what was found instead.
        evidence: the data that the check is based on.
    """

    id: str
    claim: str
    verdict: Verdict
    because: str
    evidence: Json = None

    def to_json(self) -> dict[str, Json]:
        """Return it as JSON for the page."""
        return {
            "id": self.id,
            "claim": self.claim,
            "verdict": self.verdict,
            "because": self.because,
            "evidence": self.evidence,
        }


def judge(
    id: str,  # noqa: A002 - as the attribute is called
    claim: str,
    *,
    wrong: list[str],
    right: str,
    evidence: Json,
    waiting: str = "",
    held: str = "",
) -> Check:
    """Return a check that passed if nothing is wrong.

    Args:
        id: as ``Check.id``.
        claim: as ``Check.claim``.
        wrong: a description of each violation of the claim.
        right: the reason if there are no violations.
        evidence: as ``Check.evidence``.
        held: why the session is held; empty if it is not, or if the claim does not concern events that wait.
        waiting: what the user has to do before there is data; empty if there is data.
    """
    if wrong:
        return Check(id, claim, "failed", "; ".join(wrong), evidence)
    if held:
        return Check(id, claim, "held", held, evidence)
    if waiting:
        return Check(id, claim, "waiting", waiting, evidence)
    return Check(id, claim, "passed", right, evidence)


def count(number: int, what: str, several: str = "") -> str:
    """Return a number with its noun, as ``1 event`` or ``2 events``; ``several`` is an irregular plural."""
    return f"{number} {what if number == 1 else several or f'{what}s'}"
