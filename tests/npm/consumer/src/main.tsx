/** Shows a session in StrictMode, in two places that share its subscription. */
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { connect } from "sessionstream";
import { SessionProvider } from "sessionstream/react";
import { Store } from "sessionstream/store";
import { Notes } from "./notes";

declare module "sessionstream" {
  interface Register {
    app: import("./types").Notes;
  }
}

const store = new Store(() => connect("/ws", { floor: 50, first: 100, ceiling: 200 }), { commands: "/api" });

createRoot(document.querySelector("main")!).render(
  <StrictMode>
    <SessionProvider store={store} id="kitchen">
      <Notes />
      <SessionProvider>
        <Notes />
      </SessionProvider>
    </SessionProvider>
  </StrictMode>,
);
