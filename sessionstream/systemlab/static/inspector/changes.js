/** What differs between two positions of a timeline: entities, and their fields. */
import { el, shownId } from "/static/core.js";
import { folded, payload } from "/static/inspector/rows.js";

const SIGNS = { added: "+", changed: "~", removed: "−" };
const AROUND = 40; // characters of a text that are shown around what differs in it
const MOST = 100; // entities
const LONG = { characters: 600, lines: 12 }; // of a value that is folded if it has more

/** A list of the differences, or the words that there is none. */
export function changes({ added, changed, removed }) {
  const items = [
    ...added.map((entity) => () => whole("added", entity)),
    ...changed.map((change) => () => fields(change)),
    ...removed.map((entity) => () => whole("removed", entity)),
  ];
  if (!items.length) return el("p", { className: "empty" }, "Nothing differs between the two.");
  const list = el("ul", {}, ...items.slice(0, MOST).map((make) => make()));
  if (items.length <= MOST) return list;
  return el("div", {}, list, el("p", { className: "soft small" }, `${items.length - MOST} more entities differ.`));
}

function item(kind, { kind: of, id }, more, ...contents) {
  return el(
    "li",
    { data: { change: kind } },
    el("span", { className: "sign", "aria-hidden": "true" }, SIGNS[kind]),
    el("h4", {}, `${of} ${shownId(id)} `, el("span", { className: "soft small" }, `${kind}${more}`)),
    ...contents,
  );
}

function whole(kind, entity) {
  return item(kind, entity, "", payload(entity, []));
}

function fields({ kind, id, before, after, fields: found }) {
  const unreadable = [before, after].filter((side) => side.unreadable);
  const words = unreadable.map((side) => el("p", { className: "soft small" }, side.unreadable));
  if (!found.length && !words.length) words.push(el("p", { className: "soft small" }, "No field differs."));
  const list = el("dl", {}, ...found.flatMap(field));
  return item("changed", { kind, id }, `, last event ${before.lastEventOrdinal} → ${after.lastEventOrdinal}`, ...words, list);
}

function field(found) {
  const sides = ["before", "after"].filter((side) => side in found);
  const both = sides.length === 2 && sides.every((side) => typeof found[side] === "string");
  const texts = both ? compared(found.before, found.after) : sides.map((side) => [JSON.stringify(found[side], null, 1)]);
  return [
    el("dt", {}, el("code", {}, found.path || "the payload")),
    ...sides.map((side, place) =>
      el("dd", { data: { side } }, el("span", { className: "unseen" }, `${side}: `), value(side, texts[place])),
    ),
  ];
}

/** A value in pieces, texts and marks; a long one in one line, which unfolds. */
function value(side, pieces) {
  const text = pieces.map((piece) => piece.textContent ?? piece).join("");
  const long = text.length > LONG.characters || text.split("\n").length > LONG.lines;
  return long ? folded(side, text, () => ({ before: [], whole: pieces })) : el("code", {}, ...pieces);
}

/** Two texts as lists of texts and marks: what differs is marked, and of what is the same only the ends are there. */
function compared(before, after) {
  const [old, now] = [[...before], [...after]];
  const least = Math.min(old.length, now.length);
  let start = 0;
  while (start < least && old[start] === now[start]) start += 1;
  let end = 0;
  while (end < least - start && old.at(-1 - end) === now.at(-1 - end)) end += 1;
  const side = (chars, name) => {
    const mark = chars.slice(start, chars.length - end).join("");
    const head = `${start > AROUND ? "…" : '"'}${chars.slice(Math.max(0, start - AROUND), start).join("")}`;
    const tail = `${chars.slice(chars.length - end, chars.length - end + AROUND).join("")}${end > AROUND ? "…" : '"'}`;
    return [head, ...(mark ? [el(name, {}, mark)] : []), tail];
  };
  return [side(old, "del"), side(now, "ins")];
}
