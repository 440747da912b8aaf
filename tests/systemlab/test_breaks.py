"""Every break says what to press, and which check fails then."""

from __future__ import annotations

from pathlib import Path

import pytest

from sessionstream.systemlab.actions import Action
from sessionstream.systemlab.breaks import NOTHING, Break
from sessionstream.systemlab.phase import Phase
from sessionstream.systemlab.phases import PHASES, PhaseFactory

from .phases import press

SCRIPTS = Path(__file__).parents[2] / "sessionstream" / "systemlab" / "static"


def of(factory: PhaseFactory, directory: Path) -> tuple[Phase, dict[str, Break]]:
    phase = factory(directory)
    return phase, dict(phase.breaks())


def break_of(phase: Phase) -> Action:
    return next(action for action in phase.actions() if action.name == "break")


def test_there_are_as_many_as_the_documents_say(tmp_path: Path) -> None:
    assert sum(len(factory(tmp_path).breaks()) for factory in PHASES) == 47


@pytest.mark.parametrize("factory", PHASES)
def test_the_page_offers_the_breaks_and_nothing(factory: PhaseFactory, tmp_path: Path) -> None:
    phase, breaks = of(factory, tmp_path)
    [field] = break_of(phase).fields
    labels = {name: each.label for name, each in breaks.items()}
    assert dict(field.choices) == {NOTHING: "Nothing: keep every guarantee"} | labels


@pytest.mark.parametrize("factory", PHASES)
async def test_the_page_offers_what_is_broken_and_nothing_mends_it(factory: PhaseFactory, tmp_path: Path) -> None:
    phase, breaks = of(factory, tmp_path)
    await phase.start()
    try:
        [field] = break_of(phase).fields
        for name in [*breaks][-2:]:
            broken = await press(phase, "break", **{field.name: name})
            assert (broken.broken, break_of(phase).fields[0].default) == (breaks[name], name)
        assert (await press(phase, "break", **{field.name: NOTHING})).broken is None
        assert break_of(phase).fields[0].default in breaks  # one to try
    finally:
        await phase.close()


@pytest.mark.parametrize("factory", PHASES)
async def test_every_break_names_buttons_and_a_check_of_its_page(factory: PhaseFactory, tmp_path: Path) -> None:
    phase, breaks = of(factory, tmp_path)
    await phase.start()
    try:
        checks = {check.id for check in (await phase.state()).checks}
    finally:
        await phase.close()
    actions = {action.name: action for action in phase.actions() if not action.harm and not action.hidden}
    scripts = "".join(path.read_text("utf-8") for path in SCRIPTS.glob("*.js"))
    for name, each in breaks.items():
        assert each.check in checks, name
        assert each.presses or phase.number == 0, name
        for one in each.presses:
            if one.what in actions:
                actions[one.what].arguments(one.fields)
            else:
                assert f'"{one.what}"' in scripts, name
                assert not one.fields, name
