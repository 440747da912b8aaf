"""Every break says what to press, and which check fails then."""

from __future__ import annotations

from pathlib import Path

import pytest

from sessionstream.systemlab.breaks import Break
from sessionstream.systemlab.phase import Phase
from sessionstream.systemlab.phases import PHASES, PhaseFactory

SCRIPTS = Path(__file__).parents[2] / "sessionstream" / "systemlab" / "static"


def of(factory: PhaseFactory, directory: Path) -> tuple[Phase, dict[str, Break]]:
    phase = factory(directory)
    return phase, dict(phase.breaks())


def test_there_are_as_many_as_the_documents_say(tmp_path: Path) -> None:
    assert sum(len(factory(tmp_path).breaks()) for factory in PHASES) == 47


@pytest.mark.parametrize("factory", PHASES)
def test_the_page_offers_the_breaks_and_perhaps_nothing(factory: PhaseFactory, tmp_path: Path) -> None:
    phase, breaks = of(factory, tmp_path)
    [action] = [action for action in phase.actions() if action.name == "break"]
    [field] = action.fields
    assert dict(field.choices) | {name: each.label for name, each in breaks.items()} == dict(field.choices)
    assert set(dict(field.choices)) - set(breaks) <= {"none"}


@pytest.mark.parametrize("factory", PHASES)
async def test_every_break_names_buttons_and_a_check_of_its_page(factory: PhaseFactory, tmp_path: Path) -> None:
    phase, breaks = of(factory, tmp_path)
    await phase.start()
    try:
        checks = {check.id for check in (await phase.state()).checks}
    finally:
        await phase.close()
    actions = {action.name: action for action in phase.actions() if not action.harm and not action.hidden}
    script = SCRIPTS / f"phase{phase.number}.js"
    for name, each in breaks.items():
        assert each.check in checks, name
        assert each.presses or phase.number == 0, name
        for press in each.presses:
            if press.what in actions:
                actions[press.what].arguments(press.fields)
            else:
                assert f'"{press.what}"' in script.read_text("utf-8"), name
                assert not press.fields, name
