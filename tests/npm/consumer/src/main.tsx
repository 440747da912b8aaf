/** Shows a session in StrictMode, in two places that share its subscription, and what the connection is doing. */
import { StrictMode, useSyncExternalStore } from "react";
import { createRoot } from "react-dom/client";
import { connect, Refused } from "sessionstream";
import { SessionProvider } from "sessionstream/react";
import { Store } from "sessionstream/store";
import { Notes } from "./notes";

declare module "sessionstream" {
  interface Register {
    app: import("./types").Notes;
  }
}

async function address() {
  const answer = await fetch("/token");
  if (!answer.ok) throw new Refused(answer.status, "signed out");
  return `/ws?token=${encodeURIComponent(await answer.text())}`;
}

const store = new Store(() => connect(address, { floor: 50, first: 100, ceiling: 200 }), { commands: "/api" });
const subscribe = (changed: () => void) => store.client.on("state", changed);

function Connection() {
  const { state, status } = useSyncExternalStore(subscribe, () => store.client.state);
  return <header>{state === "refused" ? `please sign in: ${status}` : state}</header>;
}

createRoot(document.querySelector("main")!).render(
  <StrictMode>
    <Connection />
    <SessionProvider store={store} id="kitchen">
      <Notes />
      <SessionProvider>
        <Notes />
      </SessionProvider>
    </SessionProvider>
  </StrictMode>,
);
