/** Phase 4: the chat as this page made it of live events, beside the timeline that the store has. */
import { byId, el, shown } from "/static/core.js";
import { FrameList, Scroll } from "/static/frames.js";
import { page } from "/static/lab.js";
import { SinceField } from "/static/since.js";
import { Reports, stateOf, Watcher } from "/static/watching.js";

const SESSION = "chat";

const message = ({ messageId, role = "", status = "", text = "" }) => [messageId, role, status, text];
const fold = {
  entity: ({ payload }) => message(payload),
  event: ({ payload }) => [payload.messageId, message(payload)],
};

const reports = new Reports(page, "matches");
const client = new Watcher({
  name: "page",
  url: `/api/phase${page.number}/ws`,
  sessionId: SESSION,
  fold,
  changed() {
    show();
    reports.add(client);
  },
});

/** Messages as a chat; elements stay while their messages do, so that a reader is not interrupted. */
class Thread {
  #items = new Map();
  #empty = el("p", { className: "empty" }, "No message yet. Send a prompt.");
  #scroll;

  constructor(label) {
    this.#scroll = new Scroll("thread", label);
    this.element = el("div", {}, this.#empty, this.#scroll.element);
  }

  show(messages) {
    this.#scroll.change((list) => this.#fill(list, messages));
    this.#empty.hidden = messages.length > 0;
    this.#scroll.element.hidden = !messages.length;
  }

  #fill(list, messages) {
    const ids = new Set(messages.map(([id]) => id));
    for (const [id, item] of this.#items) if (!ids.has(id)) item.remove(), this.#items.delete(id);
    for (const [id, role, status, text] of messages) {
      if (!this.#items.has(id)) this.#items.set(id, newItem(id, role));
      const item = this.#items.get(id);
      list.append(...(item.isConnected ? [] : [item]));
      item.dataset.status = status;
      item.querySelector("p").textContent = shown(text) || "…";
      item.querySelector("small").textContent = status;
    }
  }
}

function newItem(id, role) {
  return el(
    "li",
    { className: "message", data: { id, role } },
    el("span", { className: "unseen" }, role === "user" ? "You: " : "Answer: "),
    el("p"),
    el("small", { className: "soft" }),
  );
}

const folded = new Thread("Messages, as this page made them of live events");
const stored = new Thread("Messages, as the store has them");
const frames = new FrameList("Frames of this page");
const since = new SinceField(client);
const state = el("p", { className: "connection" }, el("span", { className: "dot" }), el("span"));
const at = el("p", { className: "soft small" });
const storedAt = el("p", { className: "soft small" });
const link = el("button", { type: "button" });

link.addEventListener("click", () => {
  if (client.connected) client.disconnect();
  else if (since.ready()) client.connect();
});

function show() {
  const messages = [...client.items.values()];
  state.dataset.state = client.connected ? client.state : "none";
  state.lastElementChild.textContent = stateOf(client);
  link.textContent = client.connected ? "Disconnect this page" : "Connect this page";
  at.textContent = `At ordinal ${client.ordinal}, folded from a snapshot and what came after it`;
  folded.show(messages);
  since.show();
  frames.show(client.frames);
}

page.onState(({ facts, panels, watched: [session] }) => {
  client.use(session);
  const rows = panels.find(({ id }) => id === "timeline").rows;
  stored.show(rows.map((row) => message(JSON.parse(row.at(-1)))));
  storedAt.textContent = `At ordinal ${facts.find(([label]) => label === "Timeline at")[1]}, read from the store`;
});

byId("live").append(
  el(
    "section",
    { "aria-labelledby": "chat-title" },
    el(
      "div",
      { className: "toolbar" },
      el("h2", { id: "chat-title" }, "The chat, twice"),
      state,
      el("span", { className: "buttons" }, link),
    ),
    el(
      "div",
      { className: "clients" },
      el("article", { className: "client", data: { side: "live" } }, el("h3", {}, "Live UI"), at, folded.element),
      el("article", { className: "client", data: { side: "store" } }, el("h3", {}, "Timeline"), storedAt, stored.element),
    ),
    since.element,
    el("details", { className: "said" }, el("summary", {}, "Frames sent and received"), frames.element),
  ),
);
client.connect();
client.subscribe();
