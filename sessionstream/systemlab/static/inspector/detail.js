/** One session: where it stands, its timeline at any position, what an event changed, its log and its errors. */
import { announce, ask, busy, byId, el, post, report, shown, shownId } from "/static/core.js";
import { changes } from "/static/inspector/changes.js";
import { move, place, question } from "/static/inspector/place.js";
import { amount, cell, counted, failure, moment, number, Pager, payload, Rows } from "/static/inspector/rows.js";

const HIGHEST = 2n ** 64n - 1n; // ordinal
const NOWHERE = { at: "", from: "", below: "", after: "" };
const EVENTS = 50; // events at once
const ENTITIES = 100; // entities at once
const ERRORS = 100; // errors that are asked for

/** The page of a session; `refresh` asks again for what the place says. */
export class Detail {
  #refresh;
  #events;
  #eventPager;
  #entities = new Rows("entity-table", ({ kind, id }) => JSON.stringify([kind, id]), entityRow);
  #entityPager;
  #errors = new Rows("error-table", (error) => error.key, errorRow);
  #seeking = {}; // positions by index that the reader has moved a slider to, until their ordinals are known
  #seen = { asked: "", known: "" }; // what was asked last, and where the session stood then
  #diff = null;
  #differences = ""; // those that are shown, as JSON
  #problem = ""; // words about what was typed or in the address, until another position is asked for
  #log = null;
  #away = false; // whether the reader has turned the log away from the event that is looked at
  #timeline = [];
  #entityPage = 0;

  constructor(refresh) {
    this.#refresh = refresh;
    this.#events = new Rows("event-table", ({ ordinal }) => ordinal, (event) => this.#eventRow(event));
    this.#eventPager = new Pager("event-pager", [
      () => this.#turn({}),
      () => this.#turn(this.#log.newer > EVENTS ? { after: this.#log.events[0]?.ordinal ?? "0" } : {}),
      () => this.#turn({ below: this.#log.events.at(-1).ordinal }),
      () => this.#turn({ after: "0" }),
    ]);
    this.#entityPager = new Pager("entity-pager", [
      () => this.#turnEntities(0),
      () => this.#turnEntities(this.#entityPage - 1),
      () => this.#turnEntities(this.#entityPage + 1),
      () => this.#turnEntities(Infinity),
    ]);
    byId("at").addEventListener("input", () => this.#seek("to", Number(byId("at").value)));
    byId("from").addEventListener("input", () => this.#seek("from", Number(byId("from").value)));
    byId("earlier").addEventListener("click", () => this.#seek("to", this.#diff.to.index - 1));
    byId("later").addEventListener("click", () => this.#seek("to", this.#diff.to.index + 1));
    byId("one-event").addEventListener("click", () => {
      move({ from: "" });
      this.#refresh();
    });
    byId("go").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#go(byId("ordinal").value.trim());
    });
    byId("retry").addEventListener("click", ({ currentTarget }) => this.#retry(currentTarget));
  }

  /** Ask for the session if it has changed, or the place has; returns what shows it. */
  async ask() {
    try {
      return await this.#ask();
    } catch (error) {
      if (error.status !== 400 || !Object.keys(NOWHERE).some((name) => place[name])) throw error;
      move(NOWHERE); // an ordinal that was pruned, or is none
      const show = await this.#ask();
      return () => {
        show();
        this.#refused(error.message.replace(/^to /, "at ")); // the address has it as `at`
      };
    }
  }

  async #ask() {
    const { source, session, at, from, below, after } = place;
    const seeking = this.#seeking;
    const of = { source, session };
    const asked = JSON.stringify([of, at, from, below, after, seeking]);
    const found = await ask(question("session", of));
    const known = JSON.stringify(found);
    if (asked === this.#seen.asked && known === this.#seen.known) return () => {};
    const to = seeking.to === undefined ? { to: at } : { to_index: seeking.to };
    const since = seeking.from === undefined ? { from } : { from_index: seeking.from };
    const another = JSON.stringify(of) !== JSON.stringify(this.#seen.of);
    const asking = { below, after };
    const [diff, here, { errors }] = await Promise.all([
      ask(question("diff", { ...of, ...to, ...since })),
      ask(question("events", { ...of, ...asking, limit: EVENTS })),
      ask(question("errors", { ...of, limit: ERRORS })),
    ]);
    const last = seeking.to >= diff.to.count;
    const follows = seeking.to !== undefined || (at && !below && !after && (another || !this.#away));
    const moved = seeking.to !== undefined || another || at !== this.#seen.at;
    let page = asking;
    if (last && (below || after)) page = { below: "", after: "" };
    else if (follows && !last) page = pageOf(seeking.to === undefined ? at : diff.to.ordinal, diff.to, here, asking);
    const log = page === asking ? here : await ask(question("events", { ...of, ...page, limit: EVENTS }));
    const timeline = await ask(question("timeline", { ...of, as_of: diff.to.ordinal }));
    return () => {
      if (another) [this.#entityPage, this.#away] = [0, false];
      if (another || at !== this.#seen.at) this.#problem = "";
      this.#seeking = {};
      if (seeking.to !== undefined) move({ at: last ? "" : diff.to.ordinal });
      move(page);
      this.#seen = { of, asked, known, at: place.at };
      if (seeking.from !== undefined) move({ from: diff.from.ordinal });
      [this.#diff, this.#log, this.#timeline] = [diff, log, timeline.entities];
      const standing = { ...found, ...log.session }; // of the same moment as the log
      showStanding(standing);
      this.#showPosition();
      this.#showLog(errors);
      report(this.#problem || beyond(place.at, standing), byId("go-problem"));
      if (follows && moved) this.#events.reveal();
      this.#showEntities();
    };
  }

  // -- positions ---------------------------------------------------------------------------------------------------

  #seek(name, index) {
    this.#away = false;
    this.#refused("");
    this.#seeking = { ...this.#seeking, [name]: index };
    const label = byId(name === "to" ? "at-label" : "from-label");
    label.textContent = `Event ${number(index)} of ${number(this.#diff.to.count)}…`;
    this.#refresh();
  }

  #go(ordinal) {
    const valid = /^\d{1,20}$/.test(ordinal) && BigInt(ordinal) <= HIGHEST;
    if (!valid) return this.#refused(`An ordinal is a whole number from 0 to ${HIGHEST}.`);
    move({ below: "", after: "" });
    this.#visit(ordinal);
  }

  /** Move the timeline to an ordinal. */
  #visit(ordinal) {
    this.#seeking = {};
    this.#away = false;
    this.#refused("");
    move({ at: ordinal, from: "" });
    this.#refresh();
  }

  #refused(words) {
    this.#problem = words;
    report(words, byId("go-problem"));
  }

  #showPosition() {
    const { from, to } = this.#diff;
    slide("at", to, `The timeline ${words(to)}`);
    slide("from", from, `Since ${since(from)}${place.from || !from.index ? "" : ", the event before"}`);
    byId("one-event").hidden = !place.from;
    byId("earlier").disabled = to.index === 0;
    byId("later").disabled = to.index === to.count;
    this.#showDifferences();
    this.#events.mark(to.ordinal);
  }

  /** Only where they are others: values that the reader has unfolded stay so. */
  #showDifferences() {
    const { added, changed, removed } = this.#diff;
    const text = JSON.stringify([added, changed, removed]);
    if (text === this.#differences) return;
    this.#differences = text;
    byId("diff").replaceChildren(changes(this.#diff));
  }

  // -- the log -----------------------------------------------------------------------------------------------------

  #turn(page) {
    move({ below: "", after: "", ...page });
    this.#away = true;
    byId("event-table").scrollTop = 0;
    this.#refresh();
  }

  #showLog(errors) {
    const { events, newer, total } = this.#log;
    this.#events.show(events, total ? "No event is on this page." : "The log is empty, or was pruned.");
    this.#events.mark(this.#diff.to.ordinal);
    const ordinals = [...new Set([events.at(-1)?.ordinal, events[0]?.ordinal])].join("–");
    this.#eventPager.show(newer, events.length, total, `ordinals ${ordinals}, of ${number(total)} events`);
    counted("log-title", total);
    const keyed = errors.map((error, place) => ({ ...error, key: JSON.stringify([place, error.recordedAt]) }));
    this.#errors.show(keyed.reverse(), "Nothing went wrong.");
    counted("errors-title", errors.length === ERRORS ? `the last ${ERRORS}` : errors.length);
  }

  #eventRow(event) {
    const facts = [["Event id", event.eventId], ...Object.entries(event.metadata)];
    const ordinal = event.applied
      ? el("button", { type: "button", className: "quiet", title: "Show the timeline right after this event" }, event.ordinal)
      : el("span", {}, event.ordinal, el("br"), el("span", { className: "badge" }, "waits"));
    if (event.applied) ordinal.addEventListener("click", () => this.#visit(event.ordinal));
    return [cell(ordinal, "amount"), named(event.name, moment(event.recordedAt)), cell(payload(event, facts), "long")];
  }

  // -- entities ----------------------------------------------------------------------------------------------------

  #turnEntities(page) {
    this.#entityPage = page;
    this.#showEntities();
  }

  #showEntities() {
    const all = this.#timeline;
    this.#entityPage = Math.min(this.#entityPage, Math.max(0, Math.ceil(all.length / ENTITIES) - 1));
    const offset = this.#entityPage * ENTITIES;
    const here = all.slice(offset, offset + ENTITIES);
    this.#entities.show(here, "There is no entity here.");
    this.#entityPager.show(offset, here.length, all.length);
    counted("entities-title", all.length);
  }

  async #retry(button) {
    await busy(button, byId("retry-problem"), async () => {
      const { source, session } = place;
      const { events, cursor } = await post("/api/inspector/retry", { source, session });
      announce(`${events} ${events === 1 ? "event was" : "events were"} applied; the timeline stands at ${cursor}.`);
    });
    this.#refresh();
  }
}

/** What to ask for the page of the log with an ordinal: `asked`, as for this page, if it has that. */
function pageOf(ordinal, position, { events, newer, total }, asked) {
  const goal = BigInt(ordinal);
  const above = newer > 0 && !(events.length && goal <= BigInt(events[0].ordinal));
  const under = newer + events.length < total && !(events.length && goal >= BigInt(events.at(-1).ordinal));
  if (!above && !under) return asked;
  if (position.index <= EVENTS && goal <= BigInt(position.ordinal)) return { below: "", after: "0" }; // the oldest page
  if (above) return { below: "", after: String(goal - 1n) };
  return { below: String(goal + 1n), after: "" };
}

/** Words for an ordinal that the timeline has not reached. */
function beyond(ordinal, { timelineCursor }) {
  if (!ordinal || BigInt(ordinal) <= BigInt(timelineCursor)) return "";
  return `Ordinal ${ordinal} is beyond the timeline, whose last is ${timelineCursor}: that is shown.`;
}

function showStanding(found) {
  byId("session-id").textContent = shownId(found.sessionId);
  const facts = [
    ["Event cursor", found.eventCursor],
    ["Timeline cursor", found.timelineCursor],
    ["Entities", String(found.entities)],
    ["Floor", found.floor],
    ["Epoch", found.epoch],
  ];
  byId("standing").replaceChildren(
    ...facts.map(([label, value]) => el("div", {}, el("dt", {}, label), el("dd", {}, value))),
  );
  byId("session-held").hidden = !found.held;
  const events = found.waiting === 1 ? "1 event waits" : `${found.waiting} events wait`;
  byId("held-words").textContent = `Its timeline stands at ${found.timelineCursor}, and ${events} in the log.`;
  byId("retry-elsewhere").hidden = found.retryCommand === null;
  byId("retry-elsewhere").lastElementChild.textContent = shown(found.retryCommand ?? "");
  byId("retry").hidden = found.retryCommand !== null;
}

function words({ index, ordinal, event }) {
  if (index) return `right after event ${ordinal}, ${event}`;
  return ordinal === "0" ? "before the first event" : `at ${ordinal}, the floor`;
}

function since({ index, ordinal, event }) {
  if (index) return `event ${ordinal}, ${event}`;
  return ordinal === "0" ? "the beginning" : `${ordinal}, the floor`;
}

function slide(name, { index, count }, label) {
  const slider = byId(name);
  slider.max = String(count);
  slider.value = String(index);
  slider.disabled = count === 0;
  slider.setAttribute("aria-valuetext", shown(label));
  byId(`${name}-label`).textContent = shown(label);
}

function entityRow(entity) {
  const { kind, id, createdOrdinal, lastEventOrdinal } = entity;
  return [named(shownId(id), kind), amount(lastEventOrdinal), cell(payload(entity, [["Created", createdOrdinal]]), "long")];
}

function errorRow({ recordedAt, kind, ordinal, eventName, where, error }) {
  return [amount(ordinal), named(eventName || kind, `${kind}, ${moment(recordedAt)}`), failure(error, where)];
}

/** A cell with a name, and words below it. */
function named(name, words) {
  return el("td", { className: "name" }, name, el("br"), el("small", { className: "soft" }, words));
}
