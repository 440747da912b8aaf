/** Phase 1: one event of the trace at a time, step by step through the pipeline. */
import { byId, el } from "/static/core.js";
import { page } from "/static/lab.js";

const slider = el("input", { type: "range", id: "step", min: "1", max: "1", value: "1" });
const label = el("label", { htmlFor: "step" });
const steps = el("ol", { className: "flow" });
const nothing = el("p", { className: "empty" }, "Submit a prompt, and follow each of its events through the pipeline.");

byId("live").append(
  el(
    "section",
    { "aria-labelledby": "flow-title" },
    el("h2", { id: "flow-title" }, "Step through the pipeline"),
    nothing,
    el("div", { className: "slider", id: "flow" }, label, slider, steps),
  ),
);

let trace = [];
let follows = true; // the newest event is shown until somebody looks at an older one

slider.addEventListener("input", () => {
  follows = slider.value === slider.max;
  draw();
});

page.onState(({ panels }) => {
  trace = panels.find(({ id }) => id === "trace").value;
  nothing.hidden = trace.length > 0;
  byId("flow").hidden = !trace.length;
  slider.max = String(Math.max(1, trace.length));
  if (follows || trace.length < Number(slider.value)) slider.value = slider.max;
  draw();
});

function draw() {
  const record = trace[Number(slider.value) - 1];
  if (!record) return;
  const again = record.mode === "live" ? "" : ", tried again";
  const words = `Event ${record.ordinal} of ${trace.at(-1).ordinal}: ${record.event.name}${again}`;
  label.textContent = words;
  slider.setAttribute("aria-valuetext", words);
  const missed = record.sent.wrong && !record.sent.names.length;
  steps.replaceChildren(
    step("Event", `is given ordinal ${record.ordinal}`, [[record.event.name, record.event.payload]], ""),
    step(
      "UI projection",
      sees(record),
      record.uiEvents.map(({ name, payload }) => [name, payload]),
      raised(record.raised.ui),
    ),
    step(
      "Timeline projection",
      sees(record),
      record.entities.map(({ kind, id, deleted, payload }) => [deleted ? `${kind} ${id} is gone` : `${kind} ${id}`, payload]),
      raised(record.raised.timeline),
    ),
    step(
      "Commit",
      record.cursorMoved ? `moves the cursor to ${record.ordinal}` : "does not move the cursor",
      [...(record.stored ? [["the event", ""]] : []), ...record.committed.map((entity) => [entity, ""])],
      raised(record.raised.commit),
    ),
    step("Fan-out", missed ? "sends nothing to live clients" : "sends to live clients", record.sent.names.map((name) => [name, ""]), record.sent.wrong),
  );
}

function sees({ behind, viewOrdinal }) {
  return behind ? `is not run: an event before it holds the session, at ${viewOrdinal}` : `sees the timeline at ${viewOrdinal}`;
}

function raised(error) {
  return error && `raised ${error}`;
}

/** One step: what it returned, and what is wrong with it. */
function step(name, does, things, wrong) {
  const list = things.map(([what, payload]) =>
    el("li", {}, el("span", {}, what), ...(payload ? [el("code", {}, payload)] : [])),
  );
  return el(
    "li",
    {},
    el("h3", {}, name),
    el("p", {}, does),
    ...(wrong ? [el("p", { className: "wrong" }, wrong)] : []),
    list.length || wrong ? el("ul", {}, ...list) : el("p", { className: "soft" }, "nothing"),
  );
}
