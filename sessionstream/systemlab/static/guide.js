/** After a break: says which button to press next and which check then turns red, and points at both. */
import { byId, el } from "/static/core.js";

const work = document.querySelector(".work");
const forms = new Map([...document.querySelectorAll("form[data-action]")].map((form) => [form.dataset.action, form]));

/** What to say of a check that gets a verdict. */
const TURNS = { failed: "turns red", held: "is held" };

/** Presses of a break are counted from the moment it was made; a page that was reloaded begins at the first again. */
export class Guide {
  #broken = null;
  #done = 0;
  #shown = "";

  constructor() {
    // Buttons of a phase's own script; those of forms are reported when their action is done.
    work.addEventListener("click", ({ target }) => {
      const button = target.closest("button");
      if (button) this.pressed(button.textContent);
    });
    document.addEventListener("change", () => this.draw()); // what was set need not be asked for
  }

  /** Say what is next, for the break in force, or null, and the checks. */
  show(broken, checks) {
    if (JSON.stringify(broken) !== JSON.stringify(this.#broken)) this.#done = 0;
    this.#broken = broken;
    this.#stays = broken === null && checks.some(({ verdict }) => verdict === "failed");
    byId("broken").hidden = broken === null && !this.#stays;
    byId("broken").firstElementChild.hidden = broken === null;
    byId("broken-label").textContent = broken?.label ?? "";
    this.#draw(checks.find(({ id }) => id === broken?.check));
  }

  /** An action was run, or a button pressed. */
  pressed(what) {
    if (!this.#broken) return;
    if (what === "break") this.#done = 0;
    else if (what === this.#next?.what) this.#done += 1;
    this.draw();
  }

  /** Say it again: a field was set, or a button that is next was made. */
  draw() {
    this.#draw(this.#check);
  }

  get #next() {
    const { presses } = this.#broken ?? { presses: [] };
    return presses[Math.min(this.#done, presses.length - 1)]; // the last until the check is red
  }

  #check;
  #stays = false; // whether checks are red though nothing is broken on purpose

  #draw(check) {
    this.#check = check;
    const due = check !== undefined && check.verdict !== this.#broken.turns;
    const next = due ? this.#next : undefined;
    point(next && buttonOf(next.what), due && check.id, due && TURNS[this.#broken.turns]);
    const words = check ? this.#words(check, next, due) : this.#stays ? left() : [];
    const text = words.map((part) => part.textContent ?? part).join("");
    if (text === this.#shown) return; // so that a screen reader is told once
    this.#shown = text;
    byId("guide").replaceChildren(...words);
  }

  #words(check, next, due) {
    const name = el("a", { href: `#check-${check.id}` }, `“${check.id.replaceAll("-", " ")}”`);
    name.addEventListener("click", () => (byId("judged").open = true));
    const turns = TURNS[this.#broken.turns];
    if (!due) return [name, ` ${turns.replace("turns", "has turned")}.`];
    if (!next) return [name, ` ${turns}.`];
    const count = this.#broken.presses.length;
    const place = Math.min(this.#done, count - 1);
    const setting = Object.entries(next.fields).map(([field, value]) => settingOf(next.what, field, value));
    return [
      count > 1 ? `Next, ${place + 1} of ${count}: ` : "Next: ",
      ...setting,
      "press ",
      wordsTo(labelOf(next.what), () => buttonOf(next.what)),
      place < count - 1 ? "; in the end " : "; then ",
      name,
      ` ${turns}.`,
    ];
  }
}

/** What to do about red checks while nothing is broken. */
function left() {
  return ["Nothing is broken on purpose now. What went wrong before stays red: press ", wordsTo(byId("reset").textContent, () => byId("reset")), "."];
}

/** The name of a button, which leads to it; the button is looked for when that is pressed, as it may be made later. */
function wordsTo(label, find) {
  const made = el("button", { type: "button", className: "words" }, `“${label}”`);
  made.addEventListener("click", () => goTo(find()));
  return made;
}

/** What is on a button: of a form, whose action is named, or of a phase's own script, which may not have made it yet. */
function labelOf(what) {
  return forms.has(what) ? buttonOf(what).textContent : what;
}

function buttonOf(what) {
  const form = forms.get(what);
  if (form) return form.querySelector("button");
  return [...work.querySelectorAll("button")].find((button) => button.textContent === what);
}

/** What a field has to be set to; empty if it has this value. */
function settingOf(what, name, value) {
  const field = forms.get(what).elements[name];
  const label = field.labels[0].textContent.trim();
  if (field.dataset.kind === "flag") return field.checked === value ? "" : `${value ? "tick" : "untick"} “${label}”, `;
  if (field.value === String(value)) return "";
  const chosen = field.dataset.kind === "choice" ? [...field.options].find((option) => option.value === value).text : value;
  return `set “${label}” to “${chosen}”, `;
}

function goTo(button) {
  const section = button.closest("details");
  if (section) section.open = true;
  button.scrollIntoView({ block: "center" });
  button.focus();
}

/** Mark the button that is next, and the check with what it does then, and nothing else. */
function point(button, check, turns) {
  for (const old of document.querySelectorAll("[data-next]")) delete old.dataset.next;
  if (button) button.dataset.next = "";
  if (!check) return;
  byId(`check-${check}`).style.setProperty("--turns", `" ◀ ${turns}"`);
  for (const each of [byId(`check-${check}`), byId("dots").querySelector(`[href="#check-${check}"]`)]) each.dataset.next = "";
}
