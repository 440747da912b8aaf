/** Two clients of a phase, side by side: each with its connection, its session, what it holds, and its frames. */
import { byId, el, shownId } from "/static/core.js";
import { FrameList, Scroll } from "/static/frames.js";
import { page } from "/static/lab.js";
import { SinceField } from "/static/since.js";
import { holdsOf, stateOf, Watcher } from "/static/watching.js";

const note = ({ noteId, text = "", finished = false }) => [noteId, text, finished];
const fold = {
  entity: ({ payload }) => note(payload),
  event: ({ name, payload }) => [payload.noteId, name === "NoteGone" ? null : note(payload)],
};

/** A client, and the card that shows it. */
class Card {
  #client;
  #state = el("p", { className: "connection" }, el("span", { className: "dot" }), el("span"));
  #session = el("b");
  #holds = el("p", { className: "soft small" });
  #since;
  #notes;
  #frames;
  #link = el("button", { type: "button" });
  #watch = el("button", { type: "button" });

  constructor(name, sessionId, changed) {
    this.#client = new Watcher({
      name,
      url: `/api/phase${page.number}/ws`,
      sessionId,
      fold,
      changed: (client) => {
        this.#show();
        changed(client);
      },
    });
    this.#since = new SinceField(this.#client);
    this.#frames = new FrameList(`Frames of client ${name}`);
    this.#notes = new Scroll("notes", `Notes of client ${name}`);
    this.#link.addEventListener("click", () => (this.#client.connected ? this.#client.disconnect() : this.#connect()));
    this.#watch.addEventListener("click", () => (this.#client.subscribed ? this.#client.unsubscribe() : this.subscribe()));
    const heading = `client-${name}`;
    this.element = el(
      "article",
      { className: "client", data: { client: name }, "aria-labelledby": heading },
      el("header", {}, el("h3", { id: heading }, `Client ${name}`), this.#state),
      el("div", { className: "buttons" }, this.#link, this.#watch),
      this.#since.element,
      el("p", { className: "small" }, "Session ", this.#session),
      this.#holds,
      this.#notes.element,
      el("h4", {}, "Its frames, in order"),
      this.#frames.element,
    );
    this.#show();
  }

  #connect() {
    if (this.#since.ready()) this.#client.connect();
  }

  /** Connect and subscribe, where that is not so already. */
  subscribe() {
    if (!this.#client.connected) this.#connect();
    if (!this.#client.subscribed && this.#since.ready()) this.#client.subscribe();
  }

  use(sessionId) {
    this.#client.use(sessionId);
  }

  #show() {
    const client = this.#client;
    this.#state.dataset.state = client.connected ? client.state : "none";
    this.#state.lastElementChild.textContent = stateOf(client);
    this.#link.textContent = client.connected ? "Disconnect" : "Connect";
    this.#watch.textContent = client.subscribed ? "Unsubscribe" : "Subscribe";
    this.#session.textContent = shownId(client.sessionId);
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

/**
 * Show clients A and B, which watch the sessions that the state of the phase names: one each, or both the only one.
 *
 * sessions: what they watch at first. words: what to know of them. changed(client): called soon after one has changed.
 */
export function showClients({ sessions, words, changed = () => {} }) {
  const cards = ["A", "B"].map((name, place) => new Card(name, sessions[place] ?? sessions[0], changed));
  page.onState(({ watched }) => cards.forEach((card, place) => card.use(watched[place] ?? watched[0])));
  const both = el("button", { type: "button" }, "Connect and subscribe both");
  both.addEventListener("click", () => cards.forEach((card) => card.subscribe()));
  const help = el("p", { className: "help" }, "Clients A and B, which are below the controls.");
  // After the first control, so that it is on one screen with what clients are connected for.
  document.querySelector("form[data-action]").after(el("div", { className: "forms plain" }, el("div", { className: "action plain" }, both, help)));
  byId("live").append(
    el(
      "section",
      { "aria-labelledby": "clients-title" },
      el("h2", { id: "clients-title" }, "Two clients"),
      el("p", { className: "soft small" }, words),
      el("div", { className: "clients" }, ...cards.map(({ element }) => element)),
    ),
  );
  page.guide.draw(); // it may have asked for the button before that was there
}
