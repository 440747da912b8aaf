/** Phase 3: two clients of one session, side by side; whatever they hold is reported to the lab, which judges it. */
import { byId, el } from "/static/core.js";
import { FrameList, Scroll } from "/static/frames.js";
import { page } from "/static/lab.js";
import { holdsOf, Reports, SinceField, stateOf, Watcher } from "/static/watching.js";

const SESSION = "notebook";

const note = ({ noteId, text = "", finished = false }) => [noteId, text, finished];
const fold = {
  entity: ({ payload }) => note(payload),
  event: ({ name, payload }) => [payload.noteId, name === "NoteGone" ? null : note(payload)],
};

const reports = new Reports(page, "converged");

/** A client, and the card that shows it. */
class Card {
  #client;
  #state = el("p", { className: "connection" }, el("span", { className: "dot" }), el("span"));
  #holds = el("p", { className: "soft small" });
  #since;
  #notes;
  #frames;
  #link = el("button", { type: "button" });
  #watch = el("button", { type: "button" });

  constructor(name) {
    this.#client = new Watcher({
      name,
      url: `/api/phase${page.number}/ws`,
      sessionId: SESSION,
      fold,
      changed: () => this.#changed(),
    });
    this.#since = new SinceField(this.#client);
    this.#frames = new FrameList(`Frames of client ${name}`);
    this.#notes = new Scroll("notes", `Notes of client ${name}`);
    this.#link.addEventListener("click", () => (this.#client.connected ? this.#client.disconnect() : this.#client.connect()));
    this.#watch.addEventListener("click", () => (this.#client.subscribed ? this.#client.unsubscribe() : this.subscribe()));
    const heading = `client-${name}`;
    this.element = el(
      "article",
      { className: "client", data: { client: name }, "aria-labelledby": heading },
      el("header", {}, el("h3", { id: heading }, `Client ${name}`), this.#state),
      el("div", { className: "buttons" }, this.#link, this.#watch),
      this.#since.element,
      this.#holds,
      this.#notes.element,
      el("h4", {}, "Its frames, in order"),
      this.#frames.element,
    );
    this.#show();
  }

  /** Connect and subscribe, where that is not so already. */
  subscribe() {
    if (!this.#client.connected) this.#client.connect();
    if (!this.#client.subscribed) this.#client.subscribe();
  }

  use(sessionId) {
    this.#client.use(sessionId);
  }

  #changed() {
    this.#show();
    reports.add(this.#client);
  }

  #show() {
    const client = this.#client;
    this.#state.dataset.state = client.connected ? client.state : "none";
    this.#state.lastElementChild.textContent = stateOf(client);
    this.#link.textContent = client.connected ? "Disconnect" : "Connect";
    this.#watch.textContent = client.subscribed ? "Unsubscribe" : "Subscribe";
    this.#holds.textContent = holdsOf(client);
    this.#notes.element.hidden = !client.items.size;
    this.#notes.change((list) => list.replaceChildren(...[...client.items.values()].map(noteItem)));
    this.#since.show();
    this.#frames.show(client.frames);
  }
}

function noteItem([id, text, finished]) {
  const ending = finished ? [] : [" ", el("span", { className: "soft" }, "is being written")];
  return el("li", { data: { id, finished } }, text || "…", ...ending);
}

const cards = ["A", "B"].map((name) => new Card(name));
page.onState(({ session }) => cards.forEach((card) => card.use(session)));
const both = el("button", { type: "button", className: "main" }, "Connect and subscribe both");
both.addEventListener("click", () => cards.forEach((card) => card.subscribe()));

byId("live").append(
  el(
    "section",
    { "aria-labelledby": "clients-title" },
    el("div", { className: "toolbar" }, el("h2", { id: "clients-title" }, "Two clients"), el("span", { className: "buttons" }, both)),
    el(
      "p",
      { className: "soft small" },
      "Disconnecting keeps what a client holds, and so it comes back asking only for what has changed. Unsubscribing forgets it.",
    ),
    el("div", { className: "clients" }, ...cards.map(({ element }) => element)),
  ),
);
