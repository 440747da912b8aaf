/** The lab's first page: how the checks of each phase stand. */
import { announce, ask, busy, byId, LabError, listening, post, report, tally } from "/static/core.js";

function show({ phases }) {
  for (const phase of phases) {
    byId("phases").querySelector(`[data-number="${phase.number}"] [data-tally]`).replaceChildren(...tally(phase));
  }
}

async function refresh() {
  try {
    show(await ask("/api/status"));
    report("");
  } catch (error) {
    if (!(error instanceof LabError)) throw error;
    report(error.message);
  }
}

byId("reset").addEventListener("click", ({ currentTarget }) => {
  void busy(currentTarget, byId("problem"), async () => {
    show(await post("/api/reset", {}));
    new BroadcastChannel("sessionstream-systemlab").postMessage(null);
    announce("Every phase was made anew.");
  });
});
document.addEventListener("visibilitychange", () => document.hidden || void refresh());
listening();
await refresh();
