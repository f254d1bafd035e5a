// The client: calls `echo`, connects again and again, or holds idle sessions.
import { connect, createMemoryIdentityKeyStore } from "@sideband/cloud";
import { options, repeat, serve, usage } from "./answer.mjs";

const open = async () => {
  const peer = connect({
    daemonId: options.daemonId,
    getAccessToken: () => options.accessToken,
    apiUrl: options.apiUrl,
    identityKeyStore: createMemoryIdentityKeyStore(),
    onUnhandledError: () => {},
  });
  await peer.whenReady();
  return peer;
};

const peer = await open();
const small = "x".repeat(100);
const held = [];

serve({
  usage,
  calls: (how) => repeat(() => peer.rpc.call("echo", small), how),
  async payloads({ bytes, ...how }) {
    const payload = "x".repeat(bytes);
    const { perSecond } = await repeat(() => peer.rpc.call("echo", payload), how);
    return { megabytesPerSecond: (perSecond * bytes) / 1e6 };
  },
  connects: ({ atOnce, seconds }) => repeat(async () => (await open()).disconnect(), { inFlight: atOnce, seconds }),
  async hold({ sessions }) {
    while (held.length < sessions) held.push(...(await Promise.all(Array.from({ length: 20 }, open))));
  },
});
