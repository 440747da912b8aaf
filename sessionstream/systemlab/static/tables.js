/** Tables and documents of evidence: made once, and filled again only when they have changed. */
import { cell, el, json } from "/static/core.js";

/** A place that shows panels `{kind, id, title, count?, …}`; `count` says how many rows where not all are there. Keeps what the reader scrolled and folded. */
export class Panels {
  #place;
  #shown = new Map(); // id → its element, and the JSON it shows

  constructor(place) {
    this.#place = place;
  }

  show(panels) {
    const ids = new Set(panels.map(({ id }) => id));
    for (const [id, { section }] of this.#shown) if (!ids.has(id)) this.#forget(id, section);
    panels.forEach((panel, place) => {
      const known = this.#shown.get(panel.id) ?? this.#make(panel);
      const text = JSON.stringify(panel);
      if (known.text !== text) fill(known.section, panel);
      known.text = text;
      if (this.#place.children[place] !== known.section) {
        this.#place.insertBefore(known.section, this.#place.children[place] ?? null);
      }
    });
  }

  #make({ id, kind }) {
    const heading = `panel-${id}-title`;
    const section = el("section", { className: "panel", data: { id, kind }, "aria-labelledby": heading });
    section.append(el("h3", { id: heading }), el("div", { className: "contents" }));
    const known = { section, text: "" };
    this.#shown.set(id, known);
    return known;
  }

  #forget(id, section) {
    this.#shown.delete(id);
    section.remove();
  }
}

function fill(section, panel) {
  const rows = panel.kind === "table" ? panel.rows.length : 0;
  const heading = [panel.title];
  if (rows) heading.push(" ", el("span", { className: "count" }, panel.count ?? String(rows)));
  section.querySelector("h3").replaceChildren(...heading);
  const contents = section.querySelector(".contents");
  const scrolled = contents.querySelector("[tabindex]")?.scrollTop ?? 0;
  const open = contents.querySelector("details")?.open ?? false;
  contents.replaceChildren(panel.kind === "table" ? table(panel) : folded(panel, open));
  const scrolls = contents.querySelector("[tabindex]");
  if (scrolls) scrolls.scrollTop = scrolled;
}

function folded({ title, value }, open) {
  return el("details", { open }, el("summary", {}, "Unfold the JSON"), json(value, title));
}

/** A table `{title, columns, rows, empty}`, or the words for when it has no rows. */
export function table({ title, columns, rows, empty }) {
  if (!rows.length) return el("p", { className: "empty" }, empty);
  const head = el("tr", {}, ...columns.map((column) => el("th", { scope: "col" }, column)));
  const body = rows.map((row) => el("tr", {}, ...row.map(cell)));
  const made = el("table", {}, el("thead", {}, head), el("tbody", {}, ...body));
  return el("div", { className: "scroll", tabIndex: 0, role: "group", "aria-label": title }, made);
}
