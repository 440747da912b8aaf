/** What every page of the lab uses: asking the server, building elements, telling the reader. */

const HIDDEN = /(?![\t\n])[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\p{Bidi_Control}\u00ad\u200b\u2060\ufeff]/gu;

/** Text as people write it, with what nobody sees escaped: control characters, and those that turn the text around. */
export function shown(text) {
  return text.replace(HIDDEN, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

/** An id as it is, with its tabs and the spaces that a page does not show escaped, too. */
export function shownId(text) {
  return shown(text).replace(/[\t\n]|^ | $| (?= )/g, (char) => `\\u00${char.charCodeAt(0).toString(16).padStart(2, "0")}`);
}

/** An element, with properties, data attributes under `data`, and children; texts are made visible by `shown`. */
export function el(name, { data = {}, ...properties } = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (key in made) made[key] = value;
    else made.setAttribute(key, value);
  }
  Object.assign(made.dataset, data);
  made.append(...children.map((child) => (typeof child === "string" ? shown(child) : child)));
  return made;
}

export const byId = (id) => document.getElementById(id);

/** The server said no, with a `status` of HTTP, or nothing at all; the message is for the reader. */
export class LabError extends Error {
  constructor(message, status = 0) {
    super(message);
    this.status = status;
  }
}

const SERVER = document.body.dataset.server;
const SILENCE = `${SERVER} does not answer. Is it still running?`;

/** Ask for JSON. Throws a LabError with the words of the server, or with words about its silence. */
export async function ask(path, options = {}) {
  const answer = await fetched(path, options);
  const document = await answer.json().catch(() => null); // no JSON: not ours, or broken off in the middle
  if (!answer.ok) throw new LabError(document?.error ?? `${SERVER} answered ${answer.status}.`, answer.status);
  if (document === null) throw new LabError(SILENCE);
  return document;
}

/** Ask for a page, and return its document; throws as `ask` does. */
export async function askPage(path) {
  const answer = await fetched(path);
  if (!answer.ok) throw new LabError(`${SERVER} answered ${answer.status}.`, answer.status);
  return new DOMParser().parseFromString(await answer.text().catch(silent), "text/html");
}

function fetched(path, options) {
  return fetch(path, options).catch(silent);
}

function silent() {
  throw new LabError(SILENCE);
}

/** POST JSON, and return the answer; throws as `ask` does. */
export function post(path, body) {
  return ask(path, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) });
}

/** Show words above the page, or with none take them away. */
export function report(words, where = byId("problem")) {
  const text = shown(words);
  if (where.textContent !== text) where.textContent = text; // so that a screen reader is told once
  where.hidden = !words;
}

/** Say something to those who do not see it. */
export function announce(words) {
  byId("announcer").textContent = words;
}

/** Enable the page's buttons, which are disabled until their script listens: before, a press would reload the page. */
export function listening() {
  for (const button of document.querySelectorAll("button[disabled]")) button.disabled = false;
}

/** Run something a button started: the button waits, and what goes wrong is shown. */
export async function busy(button, where, work) {
  if (button.getAttribute("aria-busy") === "true") return;
  button.setAttribute("aria-busy", "true");
  try {
    await work();
    report("", where);
  } catch (error) {
    if (!(error instanceof LabError)) throw error;
    report(error.message, where);
  } finally {
    button.removeAttribute("aria-busy");
  }
}

/** A count of verdicts in words, as a line of badges. */
export function tally({ passed, failed, held, waiting }) {
  const parts = [
    ["failed", failed],
    ["held", held],
    ["passed", passed],
    ["waiting", waiting],
  ].filter(([, count]) => count > 0);
  if (!parts.length) return [el("span", { className: "soft" }, "No checks")];
  return parts.map(([verdict, count]) => el("span", { className: "badge", data: { verdict } }, `${count} ${verdict}`));
}

const LONG = 28; // characters of a cell that gets room, so that it does not become a ribbon

/** A cell: what looks like JSON is shown as code. */
export function cell(value) {
  const text = String(value);
  const made = el("td", { className: typeof value === "number" ? "amount" : text.length > LONG ? "long" : "" });
  made.append(/^[[{]/.test(text) ? el("code", {}, text) : text);
  return made;
}

/** A block of pretty JSON that the keyboard can scroll. */
export function json(value, label) {
  return el("pre", { className: "json", tabIndex: 0, role: "group", "aria-label": label }, JSON.stringify(value, null, 2));
}
