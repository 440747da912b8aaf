"""The lab's pages, as somebody uses them: press, look at checks, wait for what is shown."""

from __future__ import annotations

import asyncio
from typing import Any

from playwright.async_api import Locator, Page, Route, expect

from ..systemlab.process import ServedLab
from .chromium import LOST, Tabs

EARLY = "WebSocket connection to"
"""What it logs when a page of phase 5 comes back before there is a backend."""

REFUSED = "the server responded with a status of 4"
"""What it logs when a server says no."""


def form(page: Page, action: str) -> Locator:
    """Return the form of an action, by its name."""
    return page.locator(f'form[data-action="{action}"]')


async def fill(page: Page, action: str, **fields: str | int | bool) -> None:
    """Fill in the form of an action, and unfold it first where it is folded."""
    section = page.locator("details.fold").filter(has=form(page, action))
    if not await form(page, action).is_visible():
        await section.locator("summary").first.click()
    for name, value in fields.items():
        field = form(page, action).locator(f'[name="{name}"]')
        match await field.get_attribute("data-kind"), value:
            case "choice", str():
                await field.select_option(value)
            case "flag", bool():
                await field.set_checked(value)
            case _:
                await field.fill(str(value))


async def press(page: Page, action: str, **fields: str | int | bool) -> None:
    """Fill in an action, press its button, and wait until that is done."""
    await fill(page, action, **fields)
    button = form(page, action).locator("button")
    await button.click()
    await expect(button).not_to_have_attribute("aria-busy", "true")


async def act(page: Page, action: str, **fields: str | int | bool) -> None:
    """Do what the form of an action does; nothing may be refused."""
    await press(page, action, **fields)
    await expect(form(page, action).get_by_role("alert")).to_be_hidden()


async def problem(page: Page, action: str) -> str:
    """Return what was refused; empty if nothing was."""
    place = form(page, action).get_by_role("alert")
    return await place.inner_text() if await place.is_visible() else ""


async def reset(page: Page) -> None:
    """Make the phase anew."""
    await button(page, "Reset this phase").click()
    await expect(button(page, "Reset this phase")).not_to_have_attribute("aria-busy", "true")


async def expect_disabled_without(script: str, tabs: Tabs, place: str, buttons: str) -> None:
    """Check that the buttons of a page are disabled until its script listens: a press before would reload the page."""
    page = await tabs.window()
    found = page.locator(buttons)
    gate = asyncio.Event()

    async def hold(route: Route) -> None:
        await gate.wait()
        await route.continue_()

    await page.route(f"**/{script}", hold)
    try:
        await page.goto(f"{tabs.url}{place}", wait_until="commit")
        await expect(found.last).to_be_visible()
        assert [await button.text_content() for button in await found.all() if await button.is_enabled()] == []
        gate.set()
        await expect(found.last).to_be_enabled()
    finally:
        gate.set()
        await page.unroute_all(behavior="wait")


async def expect_verdict(page: Page, check: str, verdict: str) -> None:
    """Wait until a check has this verdict, with its data below it."""
    item = page.locator(f"#check-{check}")
    await expect(item).to_have_attribute("data-verdict", verdict)
    await expect(item.locator(".badge")).to_have_text(verdict)


async def all_passed(page: Page) -> None:
    """Wait until every check of the page has passed."""
    await expect(page.locator(".check").first).to_be_attached()
    checks = await page.locator(".check").count()
    await expect(page.locator("#tally")).to_have_text(f"{checks} passed")


async def verdicts(page: Page) -> dict[str, str]:
    """Return the verdict of each check, also where they are folded."""
    await expect(page.locator(".check").first).to_be_attached()
    rows: list[list[str]] = await page.locator(".check").evaluate_all(
        "items => items.map((item) => [item.dataset.id, item.dataset.verdict])"
    )
    return {row[0]: row[1] for row in rows}


async def fact(page: Page, label: str, value: str) -> None:
    """Wait for a fact at the head of the page."""
    term = page.locator("#facts div").filter(has=page.locator("dt", has_text=label))
    await expect(term.locator("dd")).to_have_text(value)


async def broken(page: Page, what: str) -> None:
    """Wait until the page says that this is broken; empty: nothing is."""
    await expect(page.locator("#broken-label")).to_have_text(what)
    await (expect(page.locator("#broken")).to_be_visible() if what else expect(page.locator("#broken")).to_be_hidden())


def button(inside: Page | Locator, name: str) -> Locator:
    """Return a button by its whole name."""
    return inside.get_by_role("button", name=name, exact=True)


async def actions(page: Page) -> dict[str, list[dict[str, Any]]]:
    """Return the forms of a page in order: by action, the fields with their choices."""
    rows: list[list[Any]] = await page.locator("form[data-action]").evaluate_all(
        """forms => forms.map((form) => [
             form.dataset.action,
             [...form.querySelectorAll("[data-kind]")].map(({ name, options }) => ({
               name, choices: options ? [...options].map(({ value }) => value) : [],
             })),
           ])"""
    )
    return {row[0]: row[1] for row in rows}


async def fits(page: Page) -> bool:
    """Whether nothing of the page is beyond its right edge."""
    return bool(await page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth"))


async def kill_between_answers(lab: ServedLab, tabs: Tabs, page: Page) -> None:
    """Kill the lab while it answers nothing: of half an answer the browser itself logs more than that it is gone."""

    async def refuse(route: Route) -> None:
        await route.abort("connectionrefused")

    await page.route("**/api/**", refuse)
    await tabs.answered()
    await lab.kill()
    await page.unroute("**/api/**", refuse)


def not_early(faults: list[str]) -> list[str]:
    """Return the faults that neither a server nor a backend that is not there yet explains."""
    return [fault for fault in not_the_servers(faults) if EARLY not in fault]


def not_the_servers(faults: list[str]) -> list[str]:
    """Return the faults that a server's absence or refusal does not explain."""
    return [fault for fault in faults if not any(known in fault for known in (*LOST, REFUSED))]
