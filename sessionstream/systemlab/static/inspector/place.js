/** What is looked at, which the address keeps after `#`: a reload, a bookmark and the browser's buttons lead there. */

const NAMES = ["source", "search", "held", "page", "session", "at", "from", "below", "after"];
const OF_SESSION = ["session", "at", "from", "below", "after"];

/** Leaves the session, for the list. */
export const LIST = Object.fromEntries(OF_SESSION.map((name) => [name, ""]));

/** The present place: a text for each name, empty where there is none. */
export const place = Object.fromEntries(NAMES.map((name) => [name, ""]));

/** Take the place from the address. */
export function read() {
  const found = new URLSearchParams(location.hash.slice(1));
  for (const name of NAMES) place[name] = found.get(name) ?? "";
}

/** Change the place, and the address without a new entry in the browser's history. */
export function move(changes) {
  Object.assign(place, changes);
  history.replaceState(history.state, "", address({}));
}

/** The address of the place with some changes. */
export function address(changes) {
  const entries = Object.entries({ ...place, ...changes }).filter(([, value]) => value);
  return `#${new URLSearchParams(entries)}`;
}

/** The address of a session, or with "" of the list, at which it is found. */
export function ofSession(session) {
  return address({ ...LIST, session });
}

/** Ask the inspector. */
export function question(name, parameters) {
  const asked = Object.entries(parameters).filter(([, value]) => value !== "" && value !== undefined);
  return `/api/inspector/${name}?${new URLSearchParams(asked)}`;
}
