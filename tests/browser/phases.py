"""What tests of the pages of phases 3 and 4 do again and again."""

from __future__ import annotations

from playwright.async_api import Locator, Page, expect

from .lab import PATIENCE, form, press


async def act(page: Page, action: str, **fields: str | int | bool) -> None:
    """Do what the form of an action does; nothing may be refused."""
    await press(page, action, **fields)
    await expect(form(page, action).get_by_role("alert")).to_be_hidden()


async def all_passed(page: Page) -> None:
    """Wait until every check of the page has passed."""
    checks = await page.locator(".check").count()
    await expect(page.locator("#tally")).to_have_text(f"{checks} passed", timeout=PATIENCE)


async def fact(page: Page, label: str, value: str) -> None:
    """Wait for a fact at the head of the page."""
    term = page.locator("#facts div").filter(has=page.locator("dt", has_text=label))
    await expect(term.locator("dd")).to_have_text(value, timeout=PATIENCE)


def button(inside: Page | Locator, name: str) -> Locator:
    """Return a button by its whole name."""
    return inside.get_by_role("button", name=name, exact=True)
