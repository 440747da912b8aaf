/** Tables whose rows stay as they are while what they show does, pages of them, and payloads that unfold. */
import { byId, el, shown } from "/static/core.js";

/** The table `id` of the template: `show(items)` fills it, `make(item)` returns the cells of a row. */
export class Rows {
  #place;
  #body;
  #empty;
  #key;
  #make;
  #shown = new Map(); // key → the row, and the JSON that it shows

  constructor(id, key, make) {
    this.#place = byId(id);
    this.#body = this.#place.querySelector("tbody");
    this.#empty = byId(`${id}-empty`);
    this.#key = key;
    this.#make = make;
  }

  /** Show items, or with none the words `empty`. What is unfolded, scrolled or focused stays so. */
  show(items, empty) {
    const before = this.#shown;
    this.#shown = new Map();
    items.forEach((item, place) => {
      const key = this.#key(item);
      const text = JSON.stringify(item);
      let known = before.get(key);
      before.delete(key);
      if (known?.text !== text) known = { text, row: this.#replace(known?.row, item) };
      this.#shown.set(key, known);
      if (this.#body.children[place] !== known.row) this.#body.insertBefore(known.row, this.#body.children[place] ?? null);
    });
    for (const { row } of before.values()) row.remove();
    this.#place.hidden = !items.length;
    this.#empty.hidden = items.length > 0;
    this.#empty.textContent = empty;
  }

  /** Mark the row of this key as the current one. */
  mark(current) {
    for (const [key, { row }] of this.#shown) {
      if (key === current) row.setAttribute("aria-current", "true");
      else row.removeAttribute("aria-current");
    }
  }

  /** Scroll the table, not the page, to the current row. */
  reveal() {
    const row = this.#body.querySelector("[aria-current]");
    if (!row) return;
    const [box, at] = [this.#place.getBoundingClientRect(), row.getBoundingClientRect()];
    const head = this.#body.previousElementSibling.offsetHeight;
    if (at.top < box.top + head) this.#place.scrollTop += at.top - box.top - head;
    else if (at.bottom > box.bottom) this.#place.scrollTop += at.bottom - box.bottom;
  }

  #replace(old, item) {
    const row = el("tr", {}, ...this.#make(item));
    const focused = old?.contains(document.activeElement);
    old?.replaceWith(row);
    if (focused) row.querySelector("a, button, summary")?.focus();
    return row;
  }
}

/** The pager `id` of the template: where a page is among all rows, and buttons to the first, the one before, the next, the last. */
export class Pager {
  #place;
  #words;
  #buttons;

  constructor(id, turns) {
    this.#place = byId(id);
    this.#words = this.#place.querySelector("span");
    this.#buttons = [...this.#place.querySelectorAll("button")];
    this.#buttons.forEach((button, place) => button.addEventListener("click", turns[place]));
  }

  /** Show that `count` rows are here, past the first `offset` of `total`; `here` names them, by default by their places. */
  show(offset, count, total, here = `${number(offset + 1)}–${number(offset + count)} of ${number(total)}`) {
    this.#place.hidden = offset === 0 && count >= total;
    this.#words.textContent = count ? here : `0 of ${number(total)}`;
    this.#buttons.forEach((button, place) => (button.disabled = place < 2 ? offset === 0 : offset + count >= total));
  }
}

/** A count as people write it. */
export const number = (value) => value.toLocaleString("en");

/** Say how many there are in a heading. */
export function counted(heading, count) {
  const place = byId(heading).querySelector(".count");
  place.textContent = typeof count === "number" ? number(count) : count;
  place.hidden = !count;
}

const SHORT = 160; // characters of a payload in one line

/** The first line of a text, or its start. */
export function short(text) {
  const [line] = text.trim().split("\n", 1);
  return line.length > SHORT ? `${line.slice(0, SHORT)}…` : line === text ? text : `${line}…`;
}

/** A payload in one line, which unfolds to facts `[[label, value]]` about it and its JSON. */
export function payload(of, facts) {
  return folded("Payload", of.unreadable ?? JSON.stringify(of.payload), () => {
    const rows = [...facts, ["Message", of.payloadType], ["Bytes", number(of.payloadBytes)]];
    const list = el("dl", {}, ...rows.flatMap(([label, value]) => [el("dt", {}, label), el("dd", {}, value)]));
    return { before: [list], whole: of.unreadable ?? JSON.stringify(of.payload, null, 2) };
  });
}

/** A cell with an error, which unfolds if it has several lines or is long, and where it was. */
export function failure(text, where) {
  const place = where ? [el("br"), el("small", { className: "soft" }, where)] : [];
  if (short(text) === text) return el("td", { className: "error" }, text, ...place);
  const all = [folded("Error", text, () => ({ before: [], whole: text })), ...place.slice(1)];
  return el("td", { className: "long error" }, ...all);
}

/** A text in one line, which unfolds to what `make` returns: elements, and a text that the keyboard can scroll, in pieces. */
export function folded(label, text, make) {
  const line = el("summary", {}, el("code", {}, short(text)), el("span", { className: "soft" }, "Fold"));
  const made = el("details", { className: "payload" }, line);
  made.addEventListener(
    "toggle",
    () => {
      const { before, whole } = make();
      made.append(...before, el("pre", { className: "json", tabIndex: 0, role: "group", "aria-label": label }, ...[whole].flat()));
    },
    { once: true },
  );
  return made;
}

/** A moment as the answers have it, to the second. */
export function moment(text) {
  return text === null ? "–" : text.replace("T", " ").replace(/\.\d+/, "").replace("+00:00", "");
}

/** A cell of text or elements. */
export function cell(content, className = "") {
  return el("td", { className }, content);
}

/** A number of 64 bits, with the class of numbers. */
export const amount = (text) => cell(shown(String(text)), "amount");
