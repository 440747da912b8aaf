/** Lists that scroll, and the frames of a client as one of them. */
import { el } from "/static/core.js";

/** A box that the keyboard can scroll, around a list; it stays at its end unless one scrolls up in it. */
export class Scroll {
  element;
  list = el("ol");

  constructor(className, label) {
    this.element = el("div", { className, tabIndex: 0, role: "group", "aria-label": label }, this.list);
  }

  /** Change the list. */
  change(how) {
    const { element } = this;
    const atEnd = element.scrollHeight - element.scrollTop - element.clientHeight < 24;
    how(this.list);
    if (atEnd) element.scrollTop = element.scrollHeight;
  }
}

/** Frames in order; live events that follow on each other are one line. */
export class FrameList extends Scroll {
  constructor(label) {
    super("frames", label);
  }

  show(frames) {
    const lines = frames.length ? runs(frames.map(words)).map(line) : [el("li", {}, "Nothing was said yet.")];
    this.change((list) => list.replaceChildren(...lines));
  }
}

const ARROWS = { in: "←", out: "→", end: "×" };
const WAYS = { in: "heard", out: "said", end: "ended" };

function line({ way, kind, details }) {
  return el(
    "li",
    { data: { way, kind } },
    el("span", { className: "way", "aria-hidden": "true" }, ARROWS[way]),
    el("span", { className: "unseen" }, `${WAYS[way]}: `),
    el("span", { className: "kind" }, kind),
    el("span", {}, details),
  );
}

/** Put live events together whose ordinals follow on each other; what is out of order stays apart. */
function runs(all) {
  const together = [];
  for (const one of all) {
    const last = together.at(-1);
    if (one.kind === "live" && last?.kind === "live" && one.from === last.to + 1n) {
      Object.assign(last, { to: one.to, names: new Set([...last.names, ...one.names]) });
    } else {
      together.push({ ...one });
    }
  }
  return together.map((one) => (one.kind === "live" ? { ...one, details: liveWords(one) } : one));
}

function liveWords({ from, to, names }) {
  return `${from === to ? from : `${from} to ${to}`} ${[...names].join(", ")}`;
}

function words({ way, text }) {
  if (way === "end") return { way, kind: "closed", details: text };
  const [[kind, frame]] = Object.entries(JSON.parse(text));
  if (kind === "uiEvent") {
    const ordinal = BigInt(frame.eventOrdinal); // one derived from a stream id is above what a Number has exactly
    return { way, kind: "live", from: ordinal, to: ordinal, names: new Set([frame.name]) };
  }
  return { way, kind, details: details(kind, frame) };
}

function details(kind, frame) {
  const count = (frame.entities ?? []).length;
  switch (kind) {
    case "hello":
      return frame.connectionId;
    case "snapshot":
      return `at ${frame.snapshotOrdinal ?? 0}: ${frame.since ? `${count} changed since ${frame.since}` : `everything, ${count} of it`}`;
    case "subscribe":
      return frame.sinceSnapshotOrdinal ? `since ${frame.sinceSnapshotOrdinal}` : "from nothing";
    case "error":
      return `${frame.code}: ${frame.message ?? ""}`;
    default:
      return "";
  }
}
