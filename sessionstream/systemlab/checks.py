"""A check: its claim, its result, and the data that it is based on.

Checks are made by pure functions from data to ``Check``, so that a test can give each of them wrong data.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Json: TypeAlias = str | int | float | bool | list["Json"] | dict[str, "Json"] | None
Verdict: TypeAlias = Literal["passed", "failed", "waiting"]


@dataclass(frozen=True, slots=True)
class Check:
    """One promise of the framework, judged.

    Attributes:
        id: unique within its page.
        claim: what it proves when it passes, as a sentence about the framework.
        verdict: ``"waiting"`` while there is nothing to judge yet.
        because: what decided it, in words: what was found where something else was promised, say.
        evidence: the data that was judged.
    """

    id: str
    claim: str
    verdict: Verdict
    because: str
    evidence: Json = None

    def to_json(self) -> dict[str, Json]:
        """Return it as the page gets it."""
        return {
            "id": self.id,
            "claim": self.claim,
            "verdict": self.verdict,
            "because": self.because,
            "evidence": self.evidence,
        }


def judge(id: str, claim: str, *, wrong: list[str], right: str, evidence: Json, waiting: str = "") -> Check:  # noqa: A002 - as the attribute is called
    """Return a check that passed if nothing is wrong.

    Args:
        id: as ``Check.id``.
        claim: as ``Check.claim``.
        wrong: every way in which the claim was found to fail, each in words.
        right: the words for when there is none.
        evidence: as ``Check.evidence``.
        waiting: what is still to be done before it can be judged; empty: nothing.
    """
    if wrong:
        return Check(id, claim, "failed", "; ".join(wrong), evidence)
    if waiting:
        return Check(id, claim, "waiting", waiting, evidence)
    return Check(id, claim, "passed", right, evidence)


def count(number: int, what: str, several: str = "") -> str:
    """Return a number of things in words: ``1 event``, ``2 events``; ``several`` is for plurals that no ``s`` makes."""
    return f"{number} {what if number == 1 else several or f'{what}s'}"
