/** Phase 2: a client of each session of the last burst, at the hub that consumes. */
import { showClients } from "/static/clients.js";
import { page } from "/static/lab.js";

showClients({
  sessions: ["a", "b"],
  words: "They are connected to the hub that consumes. Their frames have the ordinals that this hub has assigned.",
  changed: page.soon, // the lab shows the frames of all connections
});
