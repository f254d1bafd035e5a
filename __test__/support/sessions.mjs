// What a self-hosted program gets from its relay's own API: session and presence tokens.
import { renewPresenceToken } from "@sideband/cloud";

async function post(relay, procedure, credential, input) {
  const response = await fetch(`${relay.apiUrl}/api/trpc/${procedure}`, {
    method: "POST",
    headers: { authorization: `Bearer ${credential}`, "content-type": "application/json" },
    body: JSON.stringify(input),
  });
  if (!response.ok) throw new Error(`${procedure}: ${response.status}`);
  return (await response.json()).result.data;
}

/** `{relayUrl, token}` for one session with the account's daemon. */
export function createSession(relay, { accessToken, daemonId }) {
  return post(relay, "relay.createSession", accessToken, { daemonId });
}

/** A presence token of the account's daemon. */
export function createPresence(relay, { apiKey }) {
  return renewPresenceToken(apiKey, relay.apiUrl);
}
