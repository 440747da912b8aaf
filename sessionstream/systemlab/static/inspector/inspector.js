/** The inspector: the sessions of a source, or one of them; shown again and again while it is live. */
import { announce, ask, byId, el, LabError, listening, report, shownId } from "/static/core.js";
import { Detail } from "/static/inspector/detail.js";
import { LIST, move, ofSession, place, question, read } from "/static/inspector/place.js";
import { cell, counted, Rows } from "/static/inspector/rows.js";
import { Sessions } from "/static/inspector/sessions.js";

const PAUSE = 1_000; // milliseconds between two looks, at least
const SHARE = 9; // of the time that a look takes, the source is left alone for so many times it
const TYPING = 200; // milliseconds after a key until the search is asked

const inputs = { source: byId("source"), search: byId("search"), held: byId("held"), live: byId("live") };
const sessions = new Sessions(look);
const detail = new Detail(look);
const connections = new Rows("connection-table", ({ connectionId }) => connectionId, connection);

let sources = [];
let looks = 0; // looks are numbered: of several that are wanted while one runs, only the last is done
let running = null;
let shownOf = ""; // what the page shows now: a source, and a session of it or none
let timer = 0;

/** Ask for what the place says and show it; while it is live, do so again later. One look runs at a time. */
function look() {
  looks += 1;
  clearTimeout(timer);
  running ??= untilSettled().finally(() => (running = null));
  return running;
}

async function untilSettled() {
  let number;
  let began;
  do {
    number = looks;
    began = performance.now();
    await lookOnce(number);
  } while (number !== looks);
  if (inputs.live.checked && !document.hidden) {
    timer = setTimeout(look, Math.max(PAUSE, SHARE * (performance.now() - began)));
  }
}

async function lookOnce(number) {
  try {
    if (!sources.length) await choose();
    const { show, unknown } = await wanted();
    const seen = await connected();
    if (number !== looks) return;
    shownOf = JSON.stringify([place.source, place.session]);
    const one = Boolean(place.session) && !unknown;
    byId("choice").hidden = byId("sessions").hidden = one;
    byId("inspected").hidden = !one;
    show();
    seen();
    report(unknown);
    state("live");
  } catch (error) {
    if (!(error instanceof LabError)) throw error;
    if (number !== looks) return;
    if (shownOf !== JSON.stringify([place.source, place.session])) byId("sessions").hidden = byId("inspected").hidden = true;
    report(error.message);
    state(error.status ? "none" : "reconnecting");
  }
}

/** What shows the session or the list; the list, too, for a session that is not there, with words about it. */
async function wanted() {
  if (!place.session) return { show: await sessions.ask(), unknown: "" };
  try {
    return { show: await detail.ask(), unknown: "" };
  } catch (error) {
    if (error.status !== 404) throw error;
    return { show: await sessions.ask(), unknown: error.message };
  }
}

async function choose() {
  sources = (await ask(question("sources", {}))).sources;
  inputs.source.replaceChildren(...sources.map(({ id, title }) => el("option", { value: id }, title)));
  inputs.source.closest(".field").hidden = sources.length === 1;
  settle();
}

/** Put what the place says into the inputs. */
function arrive() {
  inputs.search.value = place.search;
  inputs.held.checked = place.held === "true";
  byId("choice").hidden = Boolean(place.session);
  byId("back").parentElement.hidden = !place.session;
  settle();
}

/** Put the source into its input; if the place names none that is there, take the first, once they are known. */
function settle() {
  if (sources.length && !sources.some(({ id }) => id === place.source)) move({ source: sources[0].id });
  inputs.source.value = place.source;
  byId("back").href = ofSession("");
}

const WORDS = { none: "", live: "", reconnecting: "No answer" };

function state(name) {
  byId("connection").dataset.state = inputs.live.checked || name !== "live" ? name : "none";
  byId("connection").lastElementChild.textContent = WORDS[name];
}

async function connected() {
  const { source } = place;
  if (sources.find(({ id }) => id === source)?.kind !== "hub") return () => (byId("connections").hidden = true);
  const { connections: found } = await ask(question("connections", { source }));
  return () => {
    byId("connections").hidden = false;
    connections.show(found, "Nobody is connected.");
    counted("connections-title", found.length);
  };
}

function connection({ connectionId, subscriptions, queueDepth, queueBytes }) {
  const sessions = cell(subscriptions.map(shownId).join(", "), "session");
  return [cell(connectionId), sessions, cell(String(queueDepth)), cell(String(queueBytes))];
}

// -- what the reader does ------------------------------------------------------------------------------------------

/** Move to the first page of a list, also from a session that is not there. */
function list(changes) {
  move({ ...LIST, page: "", ...changes });
  byId("back").parentElement.hidden = true;
}

let typing = 0;
byId("choice").addEventListener("submit", (event) => event.preventDefault());
inputs.search.addEventListener("input", () => {
  clearTimeout(typing);
  typing = setTimeout(async () => {
    list({ search: inputs.search.value });
    await look();
    const found = byId("sessions-title").querySelector(".count").textContent || "No";
    announce(`${found} ${found === "1" ? "session" : "sessions"}.`);
  }, TYPING);
});
inputs.source.addEventListener("change", () => {
  list({ source: inputs.source.value });
  look();
});
inputs.held.addEventListener("change", () => {
  list({ held: inputs.held.checked ? "true" : "" });
  look();
});
inputs.live.addEventListener("change", look);
document.addEventListener("visibilitychange", () => {
  if (!document.hidden) look();
});
addEventListener("hashchange", () => {
  clearTimeout(typing);
  read();
  arrive();
  look();
});
read();
arrive();
listening();
await look();
