"""Components of one page that watch one session, with a client that they share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..transport import notes
from .client import Site, site

if TYPE_CHECKING:
    from playwright.async_api import Browser

COMPONENTS = """
    const client = (window.client ??= connect("/ws", { floor: 1, first: 1, ceiling: 1 }));
    /** A component that shows a session while it is mounted; it changes what it is given, as components do. */
    window.mount = (name, sessionId) => {
      const list = document.body.appendChild(Object.assign(document.createElement("ul"), { id: name }));
      const put = (id, text) => {
        (list.querySelector(`[data-id="${id}"]`) ?? list.appendChild(document.createElement("li"))).dataset.id = id;
        list.querySelector(`[data-id="${id}"]`).textContent = text;
      };
      const subscription = client.subscribe(sessionId, {
        onSnapshot: ({ entities }) => {
          list.replaceChildren();
          for (const { id, payload } of entities.splice(0)) put(id, payload.value);
          tell({ [name]: list.textContent });
        },
        onEvent: ({ payload }) => {
          put(...payload.value.split("="));
          payload.value = "taken";
          tell({ [name]: list.textContent });
        },
      });
      return () => {
        subscription.unsubscribe();
        list.remove();
      };
    };
"""


async def shows(opened: Site, name: str, text: str) -> None:
    assert await opened.until(lambda told: name in told) == {name: text}


async def put(opened: Site, id_: str, text: str) -> None:
    await notes.publish(opened.hub, "s-1", put={id_: text}, tell=[f"{id_}={text}"])


def subscriptions(opened: Site) -> Any:
    (connection,) = opened.server.connections()
    return connection.subscriptions


async def test_two_components_show_one_session_whoever_is_mounted_later_and_leaves_first(browser: Browser) -> None:
    async with site(browser) as opened:
        await opened.run(COMPONENTS + 'window.first = mount("first", "s-1");')
        await shows(opened, "first", "")
        await put(opened, "a", "1")
        await shows(opened, "first", "1")
        await opened.run('window.second = mount("second", "s-1");')
        await shows(opened, "second", "")  # the snapshot that is held
        await shows(opened, "second", "1")  # and the event since
        assert subscriptions(opened) == ("s-1",)
        await put(opened, "b", "2")
        await shows(opened, "first", "12")
        await shows(opened, "second", "12")
        await opened.run("first();")
        await put(opened, "a", "3")
        await shows(opened, "second", "32")
        assert subscriptions(opened) == ("s-1",)
        opened.proxy.reset()
        await shows(opened, "second", "32")
        assert opened.heard == []
        await opened.run('second(); window.third = mount("third", "s-1");')
        await shows(opened, "third", "32")


async def test_a_component_that_strict_mode_mounts_twice_is_there_once(browser: Browser) -> None:
    async with site(browser) as opened:
        await opened.run(COMPONENTS + 'mount("x", "s-1")(); window.unmount = mount("x", "s-1");')
        await shows(opened, "x", "")
        await put(opened, "a", "1")
        await shows(opened, "x", "1")
        await opened.run('unmount(); mount("x", "s-1")(); mount("x", "s-1");')
        await shows(opened, "x", "1")
        await put(opened, "a", "2")
        await shows(opened, "x", "2")
        assert opened.heard == []
        assert subscriptions(opened) == ("s-1",)
