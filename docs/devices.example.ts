// How a page uses the types of devices.d.ts.

import type { components, operations } from "./devices";

type Session = components["schemas"]["Session"];
type EndAnswers = operations["endSession"]["responses"];
type EndProblem =
  | EndAnswers[401]["content"]["application/problem+json"]
  | EndAnswers[403]["content"]["application/problem+json"]
  | EndAnswers[500]["content"]["application/problem+json"]
  | EndAnswers[503]["content"]["application/problem+json"];

/** The sessions of the user, the current one first. */
export async function list(base = "/sessions"): Promise<Session[]> {
  // Cookies also where `base` is on another origin.
  const response = await fetch(`${base}/`, { credentials: "include" });
  if (!response.ok) {
    throw new Error(`the list was refused: ${response.status}`);
  }
  const body: components["schemas"]["SessionList"] = await response.json();
  return body.sessions;
}

/** One line for people. */
export function line(session: Session): string {
  const place = session.location?.city ?? "an unknown place";
  const current = session.current ? " (this device)" : "";
  return `${session.device.label} in ${place}, since ${session.createdAt}${current}`;
}

/** Signs a device out. Returns what the page should say, or null if the device is signed out. */
export async function end(session: Session, base = "/sessions"): Promise<string | null> {
  const response = await fetch(`${base}/${session.id}`, { method: "DELETE", credentials: "include" });
  if (response.ok) {
    return null;
  }
  const problem: EndProblem = await response.json();
  switch (problem.reason) {
    case "insufficient_user_authentication":
      return `Enter your password again: the last time was more than ${problem.maxAge} s ago.`;
    case "not_yours":
      return "This device is signed out already.";
    case "unavailable":
      return "Try again in a moment.";
    case "foreign_origin":
    case "no_session":
      return "This page is not set up correctly.";
    default:
      // Why the session ended, or `not_signed_in`.
      return "Sign in again.";
  }
}

// @ts-expect-error: the compiler knows which properties a session has.
export const unknown = (session: Session) => session.user;
// @ts-expect-error: a location may be null.
export const city = (session: Session) => session.location.city;
