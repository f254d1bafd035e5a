// Programs that the types must accept. Compiled only, under both module resolutions.
import {
  CloudApiError,
  PeerError,
  PeerErrorCode,
  RpcPeerError,
  connect,
  createFileIdentityKeyStore,
  createMemoryIdentityKeyStore,
  extractDaemonIdFromToken,
  generateIdentityKeyPair,
  listen,
  renewPresenceToken,
} from "@sideband/cloud";
import type {
  AcceptedPeer,
  CloudServer,
  ConnectOptions,
  ConnectedPeer,
  IdentityKeyPair,
  IdentityKeyStore,
  ListenOptions,
  Peer,
  PeerServer,
  PeerState,
  TrustPolicy,
} from "@sideband/cloud";
import { createPeer, isValidEventName, matchPattern, sbpNegotiator, validatePattern } from "@sideband/cloud/peer";
import { listen as listenPlain } from "@sideband/cloud/peer/server";
import { asDaemonId, classifySbrpError, relayClientNegotiator, relayDaemonNegotiator } from "@sideband/cloud/peer/sbrp";
import { SbrpError, SbrpErrorCode, computeFingerprint } from "@sideband/cloud/secure-relay";

function expectType<Type>(_value: Type): void {}

// The daemon program, with the identity as JSON.parse gives it.
const server: CloudServer = await listen({
  apiKey: "sbnd_dak_x",
  identityKeyPair: JSON.parse("{}"),
  onConnection(peer) {
    expectType<ConnectedPeer>(peer);
    expectType<AcceptedPeer>(peer);
    expectType<string>(peer.peerId);
    expectType<"active" | "paused" | "closed">(peer.state);
    peer.rpc.handle("ping", () => "pong");
    peer.rpc.handle<{ id: number }, { name: string }>("user.get", ({ id }) => ({ name: String(id) }));
    peer.rpc.handle("async", async (params: { id: string }) => params.id);
  },
});
expectType<PeerServer>(server);
expectType<ReadonlyMap<string, ConnectedPeer>>(server.connections);
const { code, url, expiresAt } = await server.createQuickConnect({ ttlSeconds: 60 });
expectType<string>(code + url + expiresAt);
await server.createQuickConnect();
await server[Symbol.asyncDispose]();
server.unref().ref();

const listenOptions: ListenOptions = {
  apiKey: "k",
  identityKeyPair: generateIdentityKeyPair(),
  onConnection: async () => {},
  daemonId: undefined,
  signal: new AbortController().signal,
  rpcPolicy: { defaultTimeoutMs: 5 },
  eventPolicy: { maxBufferedEvents: 0 },
  onUnhandledError: (error) => error.message,
};
await listen(listenOptions);

// Every form of an identity.
const pair: IdentityKeyPair = generateIdentityKeyPair();
for (const identityKeyPair of [
  pair,
  { publicKey: Buffer.from(pair.publicKey), privateKey: Buffer.from(pair.privateKey) },
  { publicKey: [1], privateKey: [2] },
  { publicKey: "AA==", privateKey: "AA" },
  { publicKey: { type: "Buffer", data: [1] }, privateKey: { "0": 1 } } as const,
]) {
  await listen({ apiKey: "k", identityKeyPair, onConnection() {} });
}

// The client program.
const peer: Peer = connect({
  daemonId: "d",
  getAccessToken: () => "token",
  identityKeyStore: createMemoryIdentityKeyStore(),
  onIdentityMismatch: async ({ expectedFingerprint, receivedFingerprint }) =>
    expectedFingerprint === receivedFingerprint,
});
expectType<PeerState>(peer.state);
expectType<string | undefined>(peer.peerId);
await peer.whenReady();
await peer.whenReady({ signal: AbortSignal.timeout(1) });
expectType<unknown>(await peer.rpc.call("ping"));
expectType<string>(await peer.rpc.call<string>("ping", { a: 1 }, { timeoutMs: 5, signal: AbortSignal.timeout(1) }));

const attempt = await peer.rpc.tryCall<number>("ping");
if (attempt.ok) expectType<number>(attempt.value);
else expectType<string | undefined>(attempt.error.code);
expectType<boolean>(attempt.reconnected);

// Quick Connect, and the trust policies.
const store: IdentityKeyStore = {
  async get() {
    return null;
  },
  set() {},
  async delete() {},
};
connect({ quickConnectCode: code, identityKeyStore: store });
connect({ quickConnectCode: code, identityKeyStore: store, trustPolicy: "pinned-only" });
connect({
  daemonId: "d",
  getAccessToken: async () => "token",
  identityKeyStore: createFileIdentityKeyStore("keys"),
  trustPolicy: "prompt",
  onFirstConnection: ({ fingerprint }) => fingerprint === "",
  onIdentityMismatch: () => false,
  connectionPolicy: { onDisconnect: "fail" },
  retryPolicy: { mode: "never", jitter: 0, maxAttempts: 0 },
});
const connectOptions: ConnectOptions = { quickConnectCode: "a", identityKeyStore: store, trustPolicy: "auto" };
connect(connectOptions);
expectType<TrustPolicy>("prompt");
connect({ ...connectOptions, ca: ["PEM", Buffer.from("PEM"), new Uint8Array(1)], tokenInHeader: true });
await listen({ ...listenOptions, ca: "PEM", tokenInHeader: false });
sbpNegotiator({ capabilities: ["files"] satisfies string[] });

// The typed proxy.
interface Api {
  "user.get": (params: { id: string }) => { name: string };
  ping: () => "pong";
  reset: (params: void) => void;
  find: (params?: { limit: number }) => Promise<string[]>;
  version: string;
}
const api = peer.rpc.client<Api>();
expectType<{ name: string }>(await api["user.get"]({ id: "1" }));
expectType<"pong">(await api.ping());
expectType<"pong">(await api.ping(undefined, { timeoutMs: 500 }));
expectType<void>(await api.reset());
expectType<string[]>(await api.find());
expectType<string[]>(await api.find({ limit: 1 }));

// Events and the lifecycle.
const off: () => void = peer.events.on("chat.message", (data: { text: string }) => data.text);
peer.events.onPattern("chat.*", (name, data) => `${name}${String(data)}`);
peer.events.emit("chat.message", { text: "hi" });
off();
peer.on("stateChange", ({ state, previous }) => expectType<PeerState>(state === previous ? state : previous));
peer.on("connected", () => {});
peer.on("error", (error) => expectType<Error>(error));
const outcome = await peer.reconnecting;
if (outcome?.status === "failed") expectType<Error>(outcome.error);
{
  await using scoped = peer;
  using alsoScoped = peer;
  expectType<boolean>(scoped.ready && alsoScoped.connected);
}

// Errors.
const error: unknown = undefined;
if (error instanceof RpcPeerError && error.code === PeerErrorCode.RpcError) expectType<number>(error.details!.wireCode);
if (error instanceof PeerError) expectType<PeerErrorCode>(error.code);
if (error instanceof CloudApiError) expectType<number>(error.status);
if (error instanceof SbrpError && error.code === SbrpErrorCode.DaemonOffline) expectType<string>(error.message);
expectType<Error>(new RpcPeerError("rpc_error", "no", { details: { wireCode: 2001, data: [] }, cause: 1 }));
expectType<"fatal" | "retryable">(classifySbrpError(new Error()));

// The self-hosted programs.
await listenPlain({
  endpoint: "wss://relay.example",
  negotiator: relayDaemonNegotiator({
    daemonId: asDaemonId("my-daemon"),
    identityKeyPair: pair,
    presenceToken: async () => "token",
  }),
  onConnection() {},
});
await listenPlain({ endpoint: "ws://localhost:0", onConnection() {}, negotiator: sbpNegotiator({ peerId: "server" }) });
const selfHosted = createPeer({
  endpoint: "wss://relay.example?token=x",
  negotiator: relayClientNegotiator({
    daemonId: asDaemonId("my-daemon"),
    sessionToken: "x",
    identityKeyStore: store,
    trustPolicy: "prompt",
    onFirstConnection: async () => true,
    onIdentityMismatch: async () => false,
  }),
});
await selfHosted.connect();
createPeer({ endpoint: "ws://localhost:1" });
relayClientNegotiator({
  daemonId: "d",
  identityKeyStore: store,
  onFirstConnection: () => true,
  onIdentityMismatch: () => true,
});
relayClientNegotiator({ daemonId: "d", identityKeyStore: store, trustPolicy: "auto" });

expectType<boolean>(isValidEventName("a") && matchPattern("a.>", "a.b"));
validatePattern("a.*");
expectType<string>(computeFingerprint(pair.publicKey));
expectType<string>(await renewPresenceToken("key", "https://api.example", AbortSignal.timeout(1)));
expectType<string>(extractDaemonIdFromToken("t"));
