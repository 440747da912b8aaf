/** Phase 3: two clients of one session, side by side; whatever they hold is reported to the lab, which judges it. */
import { showClients } from "/static/clients.js";
import { page } from "/static/lab.js";
import { Reports } from "/static/watching.js";

const reports = new Reports(page, "converged");

showClients({
  sessions: ["notebook"],
  words:
    "Disconnecting keeps what a client holds, and so it comes back asking only for what has changed. Unsubscribing forgets it.",
  changed: (client) => reports.add(client),
});
