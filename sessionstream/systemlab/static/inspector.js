/** The inspector: choose a source and a session, walk along its ordinals, compare two of them, retry what is held. */
import { announce, ask, busy, byId, el, LabError, listening, post, report } from "/static/core.js";
import { connect } from "/static/sessionstream.js";
import { Panels } from "/static/tables.js";

const PAGE = 500; // rows that are asked for at once
const MOST = 5_000; // events that are read of a session; of longer ones, the first of them and how it stands now
const POLL = 2_000; // milliseconds between two questions for connections, of which nobody tells
const THROTTLE = 150; // milliseconds between two looks while events arrive

const inputs = { source: byId("source"), session: byId("session") };
const sliders = { at: byId("at"), from: byId("from"), to: byId("to") };
const timeline = new Panels(byId("timeline"));
const log = new Panels(byId("log"));
const connections = new Panels(byId("connections"));

let sources = [];
let looks = 0; // looks are numbered: an answer to an earlier one than the last is not shown
let pages = 1; // of sessions, that are listed
let marks = []; // where a slider may stand: before the first event, and after each
let follows = true; // the sliders go along with new events until one looks at an older one

const chosen = () => ({ source: inputs.source.value, session: inputs.session.value });
const question = (path, parameters) => ask(`/api/inspector/${path}?${new URLSearchParams(parameters)}`);

/** Do something that asks the lab; what goes wrong is shown above the page. */
async function guarded(work) {
  try {
    await work();
    report("");
  } catch (error) {
    if (!(error instanceof LabError)) throw error;
    report(error.message);
  }
}

// -- what is chosen ------------------------------------------------------------------------------------------------

async function look() {
  const number = ++looks;
  const wanted = new URLSearchParams(location.hash.slice(1));
  sources = (await question("sources", {})).sources;
  offer(inputs.source, sources.map(({ id, title }) => [id, title]), wanted.get("source"));
  const source = chosen().source;
  byId("nothing").hidden = byId("of-source").hidden = true;
  if (!source) return nothing("There is no source: no phase runs that can be looked into.");
  const { ids, more } = await listed(source);
  if (number !== looks) return;
  const beyond = more && wanted.get("session") && !ids.includes(wanted.get("session")) ? [wanted.get("session")] : [];
  offer(inputs.session, [...beyond, ...ids].map((id) => [id, id]), wanted.get("session"));
  byId("more").hidden = !more;
  byId("more").firstElementChild.textContent = `${ids.length} sessions are listed, and there are more.`;
  await showSource(source);
  if (!ids.length) return nothing("There is no session here yet. Use the phase first; then look again.");
  await showSession(number);
}

/** The ids of the first sessions, as many pages of them as were asked for. */
async function listed(source) {
  const ids = [];
  let more = true;
  for (let page = 0; more && page < pages; page++) {
    const answer = await question("sessions", { source, after: ids.at(-1) ?? "", limit: PAGE });
    ids.push(...answer.sessions.map(({ sessionId }) => sessionId));
    more = answer.more;
  }
  return { ids, more };
}

function offer(select, options, wanted) {
  const present = select.value;
  select.replaceChildren(...options.map(([value, text]) => el("option", { value }, text)));
  const values = options.map(([value]) => value);
  select.value = [wanted, present, values[0]].find((value) => values.includes(value)) ?? "";
  select.disabled = !options.length;
}

function nothing(words) {
  byId("nothing").textContent = words;
  byId("nothing").hidden = false;
  byId("inspected").hidden = true;
  byId("more").hidden = true;
  watch("", "");
}

/** The choice is in the address, so that a reload or a bookmark leads to the same place. */
function remember() {
  history.replaceState(null, "", `#${new URLSearchParams(chosen())}`);
}

// -- a session -----------------------------------------------------------------------------------------------------

async function showSession(number) {
  const { source, session } = chosen();
  const [standing, { events, more }, { errors }] = await Promise.all([
    question("session", { source, session }),
    firstEvents(source, session),
    question("errors", { source, session, limit: PAGE }),
  ]);
  if (number !== looks) return;
  remember();
  showStanding(standing, errors);
  const before = { ordinal: standing.floor, words: standing.floor === "0" ? "before the first event" : `at ${standing.floor}, the floor` };
  const applied = events.filter((event) => event.applied);
  marks = [before, ...applied.map(({ ordinal, name }) => ({ ordinal, words: `right after event ${ordinal}, ${name}` }))];
  const beyond = BigInt(standing.timelineCursor) > BigInt(marks.at(-1).ordinal);
  if (more && beyond) marks.push({ ordinal: standing.timelineCursor, words: `at ${standing.timelineCursor}, where it stands now` });
  place();
  log.show([eventTable(events, more), errorTable(errors)]);
  byId("inspected").hidden = false;
  await Promise.all([showTimeline(), showDiff()]);
  watch(source, session);
}

async function firstEvents(source, session) {
  const events = [];
  let more = true;
  while (more && events.length < MOST) {
    const page = await question("events", { source, session, after: events.at(-1)?.ordinal ?? "0", limit: PAGE });
    events.push(...page.events);
    more = page.more;
  }
  return { events, more };
}

function showStanding(standing, errors) {
  const facts = [
    ["Log ends at", standing.eventCursor],
    ["Timeline at", standing.timelineCursor],
    ["Floor", standing.floor],
    ["Epoch", standing.epoch],
    ["Errors", errors.length === PAGE ? `${PAGE} or more` : errors.length],
  ];
  byId("standing").replaceChildren(
    ...facts.map(([label, value]) => el("div", {}, el("dt", {}, label), el("dd", {}, String(value)))),
  );
  byId("held").hidden = !standing.held;
  byId("held-words").textContent = `This session is held: its timeline stands at ${standing.timelineCursor}, and its events up to ${standing.eventCursor} wait in the log.`;
  const { retry } = sources.find(({ id }) => id === chosen().source);
  byId("retry").hidden = !retry;
}

/** Give the sliders their range, and where they follow, their place at its end. */
function place() {
  const last = marks.length - 1;
  const places = { at: last, from: Math.max(0, last - 1), to: last };
  for (const [name, slider] of Object.entries(sliders)) {
    const was = Number(slider.value);
    slider.max = String(last);
    slider.value = String(follows || was > last ? places[name] : was);
    slider.disabled = last === 0;
  }
}

function mark(name) {
  return marks[Number(sliders[name].value)];
}

function label(name, words) {
  byId(`${name}-label`).textContent = words;
  sliders[name].setAttribute("aria-valuetext", mark(name).words);
}

async function showTimeline() {
  const at = mark("at");
  label("at", `The timeline ${at.words}`);
  const { entities } = await question("session", { ...chosen(), as_of: at.ordinal });
  if (at !== mark("at")) return; // the slider has moved on
  timeline.show([
    {
      kind: "table",
      id: "entities",
      title: "Entities",
      columns: ["Kind", "Id", "Created", "Last event", "Payload"],
      rows: entities.map((entity) => [entity.kind, entity.id, entity.createdOrdinal, entity.lastEventOrdinal, payload(entity)]),
      empty: "There is no entity here.",
    },
  ]);
}

async function showDiff() {
  const [from, to] = [mark("from"), mark("to")];
  label("from", `From ${from.words}`);
  label("to", `To ${to.words}`);
  const found = await question("diff", { ...chosen(), from: from.ordinal, to: to.ordinal });
  if (from !== mark("from") || to !== mark("to")) return;
  const changes = [
    ...found.added.map((entity) => change("added", entity, null, entity)),
    ...found.changed.map(({ before, after }) => change("changed", after, before, after)),
    ...found.removed.map((entity) => change("removed", entity, entity, null)),
  ];
  byId("diff").replaceChildren(
    ...(changes.length ? [el("ul", {}, ...changes)] : [el("p", { className: "empty" }, "Nothing differs between the two.")]),
  );
}

const SIGNS = { added: "+", changed: "~", removed: "−" };

function change(kind, { kind: of, id }, before, after) {
  const side = (name, entity) => el("div", { data: { side: name } }, el("span", { className: "unseen" }, `${name}: `), el("code", {}, payload(entity)));
  return el(
    "li",
    { data: { change: kind } },
    el("span", { className: "sign", "aria-hidden": "true" }, SIGNS[kind]),
    el("h3", {}, `${of} ${id} `, el("span", { className: "soft small" }, kind)),
    ...(before ? [side("before", before)] : []),
    ...(after ? [side("after", after)] : []),
  );
}

function payload(of) {
  return of.unreadable ?? JSON.stringify(of.payload);
}

function moment(text) {
  return text === null ? "" : text.replace("T", " ").replace(/\.\d+/, "").replace("+00:00", " UTC");
}

function eventTable(events, more) {
  return {
    kind: "table",
    id: "events",
    title: "Events",
    count: more ? `the first ${MOST.toLocaleString("en")}` : undefined,
    columns: ["Ordinal", "Event", "Event id", "Recorded", "Applied", "Metadata", "Payload"],
    rows: events.map((event) => [
      event.ordinal,
      event.name,
      event.eventId,
      moment(event.recordedAt),
      event.applied ? "yes" : "waits",
      Object.entries(event.metadata).map(([key, value]) => `${key}: ${value}`).join(", "),
      payload(event),
    ]),
    empty: "The log is empty, or was pruned.",
  };
}

function errorTable(errors) {
  return {
    kind: "table",
    id: "errors",
    title: "Errors",
    count: errors.length === PAGE ? `the last ${PAGE}` : undefined,
    columns: ["Recorded", "Kind", "Ordinal", "Event", "Where", "Error"],
    rows: errors.map((error) => [
      moment(error.recordedAt),
      error.kind,
      error.ordinal,
      error.eventName,
      error.where,
      error.error,
    ]),
    empty: "Nothing went wrong.",
  };
}

// -- a source, and what changes by itself --------------------------------------------------------------------------

async function showSource(source) {
  byId("of-source").hidden = false;
  const { connections: found } = await question("connections", { source });
  if (source !== chosen().source) return;
  connections.show([
    {
      kind: "table",
      id: "connections",
      title: "Connections",
      columns: ["Connection", "Subscriptions", "Queued frames", "Queued bytes"],
      rows: found.map((each) => [each.connectionId, each.subscriptions.join(", "), each.queueDepth, each.queueBytes]),
      empty: "Nobody is connected.",
    },
  ]);
}

setInterval(() => {
  const { source } = chosen();
  if (source && !document.hidden) void guarded(() => showSource(source));
}, POLL);

let watched = { key: "", client: null };
let due = null;

/** Look again soon after something has happened to the session, where somebody tells. */
function soon() {
  due ??= setTimeout(() => {
    due = null;
    void guarded(look);
  }, THROTTLE);
}

const WORDS = { connecting: "Connecting", live: "Live", reconnecting: "Reconnecting", refused: "Refused", closed: "Disconnected" };

function watch(source, session) {
  const key = JSON.stringify([source, session]);
  if (watched.key === key) return;
  watched.client?.close();
  watched = { key, client: null };
  byId("connection").hidden = true;
  if (sources.find(({ id }) => id === source)?.kind !== "hub") return;
  let first = true; // the snapshot that comes first is what is shown already
  watched.client = connect(`/api/${source}/ws`, {
    onState: ({ state }) => {
      byId("connection").hidden = watched.key !== key;
      byId("connection").dataset.state = state;
      byId("connection").lastElementChild.textContent = WORDS[state];
    },
  });
  watched.client.subscribe(session, {
    onSnapshot: () => {
      if (!first) soon();
      first = false;
    },
    onEvent: soon,
    onError: soon,
    onEnd: () => {},
  });
}

// -- what the reader does ------------------------------------------------------------------------------------------

byId("choice").addEventListener("submit", (event) => {
  event.preventDefault();
  remember();
  void guarded(look).then(() => announce("Looked again."));
});
for (const select of Object.values(inputs)) {
  select.addEventListener("change", () => {
    follows = true;
    if (select === inputs.source) {
      inputs.session.replaceChildren();
      pages = 1;
      byId("inspected").hidden = true; // until a session of this source is chosen
    }
    remember();
    void guarded(look);
  });
}
for (const [name, slider] of Object.entries(sliders)) {
  slider.addEventListener("input", () => {
    follows = false;
    void guarded(name === "at" ? showTimeline : showDiff);
  });
}
byId("more").lastElementChild.addEventListener("click", () => {
  pages += 1;
  void guarded(look).then(() => announce("More sessions are listed."));
});
byId("retry").addEventListener("click", ({ currentTarget }) => {
  void busy(currentTarget, byId("retry-problem"), async () => {
    const { events, cursor } = await post("/api/inspector/retry", chosen());
    announce(`${events} events were applied; the timeline stands at ${cursor}.`);
    await look();
  });
});
addEventListener("hashchange", () => void guarded(look));
listening();
await guarded(look);
