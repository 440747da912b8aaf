/** The field for the ordinal with which a client subscribes. */
import { el, report } from "/static/core.js";

const LARGEST = 2n ** 64n - 1n;

const ONCE = "Said when it subscribes next, once. Empty: that of its last snapshot.";
const EVERYTHING = "It holds no epoch: whatever it says, it gets everything.";

/** The field for the `sinceSnapshotOrdinal` with which a client subscribes next; empty: that of its last snapshot. */
export class SinceField {
  element;
  #client;
  #input;
  #hint;
  #problem = el("p", { className: "problem", role: "alert", hidden: true });

  constructor(client) {
    const id = `since-${client.name}`;
    this.#client = client;
    this.#input = el("input", { id, inputMode: "numeric", autocomplete: "off", "aria-describedby": `${id}-hint` });
    this.#hint = el("p", { className: "hint", id: `${id}-hint` });
    this.#input.addEventListener("change", () => this.#changed());
    this.element = el(
      "div",
      { className: "field" },
      el("label", { htmlFor: id }, "sinceSnapshotOrdinal"),
      this.#input,
      this.#hint,
      this.#problem,
    );
  }

  /** Whether the client can subscribe; if the value is not an ordinal, lead to it. */
  ready() {
    if (!this.#problem.hidden) this.#input.focus();
    return this.#problem.hidden;
  }

  /** Show what it says next; what somebody is typing stays. */
  show() {
    this.#hint.textContent = this.#client.epoch ? ONCE : EVERYTHING;
    this.#input.placeholder = String(this.#client.snapshotOrdinal || "from nothing");
    if (this.#client.since === null && document.activeElement !== this.#input && this.#problem.hidden) this.#input.value = "";
  }

  #changed() {
    const text = this.#input.value.trim();
    const valid = /^\d*$/.test(text) && BigInt(text || 0) <= LARGEST;
    report(valid ? "" : `sinceSnapshotOrdinal is a whole number up to ${LARGEST}, or empty, not “${text}”`, this.#problem);
    this.#client.since = valid && text ? BigInt(text) : null;
  }
}
