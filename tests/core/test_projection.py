"""Projection policies."""

from __future__ import annotations

import dataclasses
from typing import Any, cast

import pytest

from sessionstream.projection import ProjectionPolicies


def test_policies_fail_by_default() -> None:
    assert ProjectionPolicies() == ProjectionPolicies(ui="fail", timeline="fail")


def test_policies_are_frozen_and_slotted() -> None:
    policies = ProjectionPolicies()
    with pytest.raises(dataclasses.FrozenInstanceError):
        policies.ui = "advance"  # type: ignore[misc]
    assert not hasattr(policies, "__dict__")


@pytest.mark.parametrize("family", ["ui", "timeline"])
@pytest.mark.parametrize("policy", ["", "Fail", "skip", None, True])
def test_another_policy_is_refused(family: str, policy: object) -> None:
    with pytest.raises(ValueError, match=f"the {family} policy is 'fail' or 'advance', not {policy!r}"):
        ProjectionPolicies(**{family: cast("Any", policy)})
