// A client that asks on the terminal before it trusts a daemon, and remembers the answer.
import { createInterface } from "node:readline/promises";
import { connect, createFileIdentityKeyStore } from "@sideband/cloud";

async function ask(question) {
  const terminal = createInterface({ input: process.stdin, output: process.stdout });
  try {
    // The whole handshake has 30 s; a question that rejects refuses, as everything does that is not exactly true.
    const answer = await terminal.question(`${question} Type "yes" to trust it: `, { signal: AbortSignal.timeout(25_000) });
    return answer.trim() === "yes";
  } finally {
    terminal.close();
  }
}

const peer = connect({
  daemonId: process.env.SIDEBAND_DAEMON_ID,
  getAccessToken: () => process.env.SIDEBAND_ACCESS_TOKEN,
  apiUrl: process.env.SIDEBAND_API_URL,
  identityKeyStore: createFileIdentityKeyStore(".sideband/pins"),
  trustPolicy: "prompt",
  onFirstConnection: ({ fingerprint }) => ask(`This daemon is new. It shows ${fingerprint}.`),
  onIdentityMismatch: ({ expectedFingerprint, receivedFingerprint }) =>
    ask(`This daemon had ${expectedFingerprint} and now shows ${receivedFingerprint}!`),
  onUnhandledError: (error) => console.error(error.message),
});

try {
  await peer.whenReady();
  console.log(await peer.rpc.call("greet", "you"));
} catch {
  process.exitCode = 1; // onUnhandledError has said why
}
await peer.disconnect();
