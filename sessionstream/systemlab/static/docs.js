/** The docs: a search as one types, and contents that are unfolded where there is room beside the page. */
import { announce, ask, byId, el, LabError, report } from "/static/core.js";

const TYPING = 150; // milliseconds after a key until the search is asked

const input = byId("query");
const hits = byId("hits");
let searches = 0; // numbered: hits of an earlier one than the last are not shown

async function search() {
  const number = ++searches;
  const q = input.value.trim();
  history.replaceState(history.state, "", `${location.pathname}${q ? `?${new URLSearchParams({ q })}` : ""}${location.hash}`);
  try {
    const found = await ask(`/api/docs/search?${new URLSearchParams({ q })}`);
    if (number === searches) show(q, found);
    report("");
  } catch (error) {
    if (!(error instanceof LabError)) throw error;
    report(error.message);
  }
}

function show(q, { hits: found, total, meant }) {
  hits.hidden = !q;
  const words = el("p", { className: "soft small" }, counted(found.length, total));
  if (meant) words.append(" Did you mean ", el("a", { href: `?${new URLSearchParams({ q: meant })}` }, meant), "?");
  hits.replaceChildren(words, el("ol", {}, ...found.map(hit)));
  if (q) announce(words.textContent);
}

function counted(shown, total) {
  if (!total) return "Nothing is found. Words may be parts of words.";
  if (shown < total) return `The first ${shown} of ${total} sections`;
  return total === 1 ? "1 section" : `${total} sections`;
}

function hit({ title, heading, address, excerpt }) {
  const text = excerpt.map(([piece, marked]) => (marked ? el("mark", {}, piece) : piece));
  const link = el("a", { href: address }, heading || title);
  return el("li", {}, link, el("span", { className: "soft small" }, heading ? ` ${title}` : ""), el("p", {}, ...text));
}

let typing = 0;
input.addEventListener("input", () => {
  clearTimeout(typing);
  typing = setTimeout(search, TYPING);
});
byId("search").addEventListener("submit", (event) => {
  event.preventDefault();
  hits.querySelector("a")?.click();
});
/** Arrows walk from the field through the hits, Escape leads back and then empties the field, "/" leads there. */
addEventListener("keydown", (event) => {
  const links = [...hits.querySelectorAll("a")];
  const stops = [input, ...links];
  const at = stops.indexOf(document.activeElement);
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (step && at >= 0 && links.length) stops[Math.min(stops.length - 1, Math.max(0, at + step))].focus();
  else if (event.key === "Escape" && at > 0) input.focus();
  else if (event.key === "/" && !event.target.closest?.("input, textarea, select")) input.focus();
  else return;
  event.preventDefault();
});

const wide = matchMedia("(min-width: 80rem)");
const contents = document.querySelector(".outline details");
const unfold = () => contents?.toggleAttribute("open", wide.matches);
wide.addEventListener("change", unfold);
unfold();
input.value = new URLSearchParams(location.search).get("q") ?? "";
if (input.value) await search();
