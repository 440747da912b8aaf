/** The table of sessions: search, held ones alone, pages. */
import { ask, byId, el, shownId } from "/static/core.js";
import { move, ofSession, place, question } from "/static/inspector/place.js";
import { amount, cell, counted, Pager, Rows, short } from "/static/inspector/rows.js";

const PAGE = 25; // sessions at once

/** The table; `refresh` asks for what the place says, and `show` shows it. */
export class Sessions {
  #rows = new Rows("session-table", ({ sessionId }) => sessionId, row);
  #pager;
  #last = 0; // page

  constructor(refresh) {
    const turn = (page) => {
      move({ page: String(Math.max(0, page) || "") });
      refresh();
    };
    this.#pager = new Pager("session-pager", [
      () => turn(0),
      () => turn(current() - 1),
      () => turn(current() + 1),
      () => turn(this.#last),
    ]);
  }

  /** Ask for the page; returns what shows it. */
  async ask() {
    const { source, search, held } = place;
    const page = current();
    const found = await ask(question("sessions", { source, search, held, offset: page * PAGE || "", limit: PAGE }));
    const last = Math.ceil(found.total / PAGE) - 1;
    if (page > last && last >= 0) {
      move({ page: String(last || "") }); // fewer sessions than before
      return this.ask();
    }
    return () => {
      this.#last = last;
      byId("sessions").hidden = false;
      const nothing = search || held ? "No session is like that." : "There is no session here yet.";
      this.#rows.show(found.sessions, nothing);
      this.#pager.show(page * PAGE, found.sessions.length, found.total);
      counted("sessions-title", found.total);
    };
  }
}

const current = () => Number(place.page) || 0;

const problem = ({ kind, ordinal, error }) => `${kind} at ${ordinal}: ${short(error)}`;

function row({ sessionId, held, waiting, eventCursor, timelineCursor, entities, lastError }) {
  return [
    cell(el("a", { href: ofSession(sessionId) }, shownId(sessionId)), "session"),
    cell(held ? el("span", { className: "badge", data: { verdict: "held" } }, `held, ${waiting} waiting`) : "no"),
    amount(eventCursor),
    amount(timelineCursor),
    amount(entities),
    el("td", { className: "error" }, el("div", {}, lastError ? problem(lastError) : "–")),
  ];
}
