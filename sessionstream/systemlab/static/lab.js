/** A phase's page: its forms run actions, its state is shown, and watched over our own WebSocket client. */
import { announce, ask, askPage, busy, byId, el, json, LabError, listening, post, report, shown, tally } from "/static/core.js";
import { Guide } from "/static/guide.js";
import { connect } from "/static/sessionstream.js";
import { Panels } from "/static/tables.js";

const THROTTLE = 120; // milliseconds between two questions for the state while events arrive
const PHONE = "(max-width: 40rem)"; // where sections are folded at first

const number = Number(byId("main").dataset.phase);
const api = `/api/phase${number}`;
const callbacks = new Set();
const panels = new Panels(byId("panels"));
const guide = new Guide();

/**
 * The page, for a phase's own script.
 *
 * number: of the phase. guide: to be drawn again once the script has made its buttons.
 * state: the latest, as `/api/phaseN/state` answers, or null before the first.
 * client: the connection to `/api/phaseN/ws`, once the state has named sessions to watch; else null.
 */
export const page = {
  number,
  guide,
  state: null,
  client: null,
  /** Ask for the state and show it; what goes wrong is reported. */
  refresh,
  /** Ask again soon, and not too often. */
  soon,
  /** Run an action of the phase and show the state after it. Throws a LabError with words for the reader. */
  async run(action, fields = {}) {
    show(await post(`${api}/run`, { action, ...fields }));
    guide.pressed(action);
    report(""); // whatever it was, the lab answers again
    tell();
  },
  /** Call back with each state that is shown, and at once with the present one; returns what ends that. */
  onState(callback) {
    callbacks.add(callback);
    if (page.state) callback(page.state);
    return () => callbacks.delete(callback);
  },
};

// -- the state -----------------------------------------------------------------------------------------------------

let asked = 0; // questions are numbered: an answer that comes after that to a later question is old
let shownFor = 0;

async function refresh() {
  const question = ++asked;
  try {
    const state = await ask(`${api}/state`);
    if (question > shownFor) show(state, question);
    report("");
  } catch (error) {
    if (!(error instanceof LabError)) throw error;
    report(error.message);
  }
}

function show(state, question = ++asked) {
  shownFor = question;
  const before = page.state;
  page.state = state;
  showFacts(state.facts);
  for (const id of ["latest", "held"]) {
    byId(id).hidden = !state[id];
    byId(id).lastElementChild.textContent = shown(state[id] ?? "");
  }
  showChecks(state.checks);
  guide.show(state.broken, state.checks);
  byId("evidence").hidden = !state.panels.length;
  panels.show(state.panels);
  watch(state);
  if (before) announceChanges(before.checks, state.checks);
  callbacks.forEach((callback) => callback(state));
}

function showFacts(facts) {
  byId("facts").hidden = !facts.length;
  byId("facts").replaceChildren(
    ...facts.map(([label, value]) => el("div", {}, el("dt", {}, label), el("dd", {}, String(value)))),
  );
}

const items = new Map(); // check id → its element
const dots = new Map(); // check id → its place in the strip

function showChecks(checks) {
  const ids = new Set(checks.map(({ id }) => id));
  for (const shown of [items, dots]) {
    for (const [id, item] of shown) if (!ids.has(id)) item.remove(), shown.delete(id);
  }
  for (const check of checks) {
    if (!items.has(check.id)) {
      items.set(check.id, newCheck(check));
      dots.set(check.id, newDot(check));
      byId("dots").append(dots.get(check.id));
    }
    const item = items.get(check.id);
    const text = JSON.stringify(check);
    if (item.shown === text) continue;
    item.shown = text;
    item.dataset.verdict = check.verdict;
    showDot(dots.get(check.id), check);
    item.querySelector(".badge").dataset.verdict = check.verdict;
    item.querySelector(".badge").textContent = check.verdict;
    item.querySelector(".claim").textContent = check.claim;
    item.querySelector(".because").textContent = shown(check.because);
    const pre = item.querySelector("pre");
    keepingScroll(pre, () => pre.replaceChildren(...json(check.evidence, "").childNodes));
  }
  inOrder(failedFirst(checks).map(({ id }) => items.get(id)));
  const count = (verdict) => checks.filter((check) => check.verdict === verdict).length;
  byId("tally").replaceChildren(
    ...tally({ passed: count("passed"), failed: count("failed"), held: count("held"), waiting: count("waiting") }),
  );
}

/** Move checks to their places; what is scrolled in them stays so, and what has the focus keeps it. */
function inOrder(sorted) {
  const list = byId("checks");
  const focused = document.activeElement;
  sorted.forEach((item, place) => {
    const there = list.children[place];
    if (there !== item) keepingScroll(item.querySelector("pre"), () => list.insertBefore(item, there ?? null));
  });
  if (list.contains(focused)) focused.focus({ preventScroll: true });
}

function keepingScroll(box, change) {
  const { scrollTop } = box;
  change();
  box.scrollTop = scrollTop;
}

/** Failed checks, then the others, each in the order of the page: what turned red is in view, however many there are. */
function failedFirst(checks) {
  const failed = ({ verdict }) => verdict === "failed";
  return [...checks.filter(failed), ...checks.filter((check) => !failed(check))];
}

function newCheck({ id, claim, evidence }) {
  return el(
    "li",
    { className: "check", id: `check-${id}`, data: { id } },
    el(
      "details",
      {},
      el(
        "summary",
        {},
        el("span", { className: "badge" }),
        el("h3", { className: "claim" }),
        el("span", { className: "because" }),
        el("span", { className: "more" }, "Data"),
      ),
      json(evidence, `The data for: ${claim}`),
    ),
  );
}

/** A check in the strip: its shape and colour are its verdict, its words are said to those who do not see them. */
function newDot({ id }) {
  const link = el("a", { href: `#check-${id}` }, el("span", { className: "name" }, id.replaceAll("-", " ")), el("span", { className: "unseen" }));
  link.addEventListener("click", () => {
    byId("judged").open = true; // where it is folded, there is nothing to go to
  });
  return el("li", {}, link);
}

function showDot(dot, { claim, verdict }) {
  const link = dot.firstElementChild;
  link.dataset.verdict = verdict;
  link.title = `${verdict}: ${claim}`;
  link.lastElementChild.textContent = verdict;
}

function announceChanges(before, now) {
  const was = new Map(before.map(({ id, verdict }) => [id, verdict]));
  const changed = now.filter(({ id, verdict }) => was.get(id) !== verdict);
  if (changed.length) announce(changed.map(({ claim, verdict }) => `${verdict}: ${claim}`).join(". "));
}

// -- watching ------------------------------------------------------------------------------------------------------

const watched = new Map(); // session id → its subscription
let due = null;

function soon() {
  due ??= setTimeout(() => {
    due = null;
    void refresh();
  }, THROTTLE);
}

function watch({ live, sessions }) {
  if (!page.client && live && sessions.length) page.client = connect(`${api}/ws`, { onState: showConnection });
  for (const [id, subscription] of watched) {
    if (sessions.includes(id)) continue;
    watched.delete(id);
    subscription.unsubscribe();
  }
  for (const id of sessions) {
    if (!page.client || watched.has(id)) continue;
    const subscription = page.client.subscribe(id, {
      onSnapshot: soon,
      onEvent: soon,
      onError: soon,
      onEnd: () => watched.get(id) === subscription && watched.delete(id),
    });
    watched.set(id, subscription);
  }
}

const WORDS = { connecting: "Connecting", live: "Live", reconnecting: "Reconnecting", refused: "Refused", closed: "Disconnected" };

function showConnection({ state }) {
  const place = byId("connection");
  if (["reconnecting", "refused"].includes(place.dataset.state) && state === "live") {
    announce("Connected again.");
    soon();
  }
  place.hidden = false;
  place.dataset.state = state;
  place.lastElementChild.textContent = WORDS[state];
}

/** Other tabs of this browser ask again when this one has changed something. */
const tabs = new BroadcastChannel("sessionstream-systemlab");
tabs.addEventListener("message", ({ data }) => {
  if (data === number || data === null) soon();
});

function tell() {
  tabs.postMessage(number);
}

document.addEventListener("visibilitychange", () => {
  if (!document.hidden) soon();
});

// -- what the reader does ------------------------------------------------------------------------------------------

const READ = {
  flag: (input) => input.checked,
  number: (input) => (Number.isNaN(input.valueAsNumber) ? input.value : input.valueAsNumber),
  choice: (input) => input.value,
  text: (input) => input.value,
};

for (const form of document.querySelectorAll("form[data-action]")) {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const fields = [...form.querySelectorAll("[data-kind]")];
    void busy(form.querySelector("button"), form.querySelector(".problem"), () =>
      page.run(
        form.dataset.action,
        Object.fromEntries(fields.map((input) => [input.name, READ[input.dataset.kind](input)])),
      ),
    );
  });
}

/** Set the fields to what they have on a page that is opened now: what was broken, and what was typed, is over. */
async function setFields() {
  const opened = await askPage(location.pathname);
  for (const form of document.querySelectorAll("form[data-action]")) {
    for (const input of form.querySelectorAll("[data-kind]")) {
      const { value, checked } = opened.getElementById(input.id);
      Object.assign(input, input.dataset.kind === "flag" ? { checked } : { value });
    }
    report("", form.querySelector(".problem"));
  }
}

byId("reset").addEventListener("click", ({ currentTarget }) => {
  void busy(currentTarget, byId("problem"), async () => {
    await post("/api/reset", { phase: number });
    await setFields();
    await refresh();
    tell();
    announce("The phase was made anew.");
  });
});

new ResizeObserver(([{ target }]) => {
  document.documentElement.style.setProperty("--strip", `${target.offsetHeight}px`);
}).observe(byId("strip"));

listening();
if (matchMedia(PHONE).matches) {
  for (const section of document.querySelectorAll("[data-folded-on-phones]")) section.open = false;
}
await refresh();
