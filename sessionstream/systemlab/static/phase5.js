/** Phase 5: what this page holds of the session, over every restart of the backend. */
import { byId, el } from "/static/core.js";
import { FrameList, Scroll } from "/static/frames.js";
import { page } from "/static/lab.js";
import { SinceField } from "/static/since.js";
import { holdsOf, Reports, stateOf, Watcher } from "/static/watching.js";

const SESSION = "persistence";

const note = ({ noteId, text = "", finished = false }) => [noteId, text, finished];

const reports = new Reports(page, "client-converges");
const client = new Watcher({
  name: "page",
  url: `/api/phase${page.number}/ws`,
  sessionId: SESSION,
  fold: {
    entity: ({ payload }) => note(payload),
    event: ({ payload }) => [payload.noteId, note(payload)],
  },
  changed() {
    show();
    reports.add(client);
  },
});

const state = el("p", { className: "connection" }, el("span", { className: "dot" }), el("span"));
const at = el("p", { className: "soft small" });
const empty = el("p", { className: "empty" }, "No note yet. Write one.");
const notes = new Scroll("notes", "Notes, as this page has them");
const frames = new FrameList("Frames of this page");
const since = new SinceField(client);
const link = el("button", { type: "button" });
link.addEventListener("click", () => {
  if (client.connected) client.disconnect();
  else if (since.ready()) client.connect();
});

function show() {
  state.dataset.state = client.connected ? client.state : "none";
  state.lastElementChild.textContent = stateOf(client);
  link.textContent = client.connected ? "Disconnect this page" : "Connect this page";
  at.textContent = holdsOf(client);
  const held = [...client.items.values()];
  empty.hidden = held.length > 0;
  notes.element.hidden = !held.length;
  notes.change((list) => list.replaceChildren(...held.map(item)));
  since.show();
  frames.show(client.frames);
}

function item([id, text, finished]) {
  const ending = finished ? [] : [" ", el("span", { className: "soft" }, "is being written")];
  return el("li", { data: { id, finished } }, text || "…", ...ending);
}

byId("live").append(
  el(
    "section",
    { "aria-labelledby": "page-title" },
    el(
      "div",
      { className: "toolbar" },
      el("h2", { id: "page-title" }, "This page"),
      state,
      el("span", { className: "buttons" }, link),
    ),
    el(
      "div",
      { className: "clients" },
      el("article", { className: "client", data: { side: "notes" } }, el("h3", {}, "What it holds"), at, since.element, empty, notes.element),
      el("article", { className: "client", data: { side: "frames" } }, el("h3", {}, "Frames sent and received"), frames.element),
    ),
  ),
);
page.onState(({ watched: [session] }) => client.use(session));
client.connect();
client.subscribe();
