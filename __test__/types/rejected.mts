// Programs that the types must refuse: every line marked with @ts-expect-error is an error, or this file is.
import { connect, createMemoryIdentityKeyStore, generateIdentityKeyPair, listen } from "@sideband/cloud";
import type { Peer } from "@sideband/cloud";
import { createPeer } from "@sideband/cloud/peer";
import { listen as listenPlain } from "@sideband/cloud/peer/server";
import { relayClientNegotiator, relayDaemonNegotiator } from "@sideband/cloud/peer/sbrp";

declare const peer: Peer;
const identityKeyStore = createMemoryIdentityKeyStore();
const identityKeyPair = generateIdentityKeyPair();
const getAccessToken = () => "token";

// @ts-expect-error no API key
listen({ identityKeyPair, onConnection() {} });
// @ts-expect-error no identity
listen({ apiKey: "k", onConnection() {} });
// @ts-expect-error half an identity
listen({ apiKey: "k", identityKeyPair: { publicKey: identityKeyPair.publicKey }, onConnection() {} });
// @ts-expect-error no onConnection
listen({ apiKey: "k", identityKeyPair });

// @ts-expect-error no store
connect({ daemonId: "d", getAccessToken });
// @ts-expect-error an account needs a token
connect({ daemonId: "d", identityKeyStore });
// @ts-expect-error neither an account nor a code
connect({ identityKeyStore });
// @ts-expect-error an account and a code
connect({ daemonId: "d", getAccessToken, quickConnectCode: "c", identityKeyStore });
// @ts-expect-error "prompt" demands both callbacks
connect({ daemonId: "d", getAccessToken, identityKeyStore, trustPolicy: "prompt" });
// @ts-expect-error "prompt" demands both callbacks
connect({ quickConnectCode: "c", identityKeyStore, trustPolicy: "prompt", onFirstConnection: () => true });
// @ts-expect-error no such policy
connect({ quickConnectCode: "c", identityKeyStore, trustPolicy: "strict" });
// @ts-expect-error a store must have delete
connect({ quickConnectCode: "c", identityKeyStore: { get: () => null, set() {} } });
// @ts-expect-error no such value
connect({ quickConnectCode: "c", identityKeyStore, connectionPolicy: { onDisconnect: "wait" } });

// @ts-expect-error neither text nor bytes
connect({ quickConnectCode: "c", identityKeyStore, ca: [7] });
// @ts-expect-error yes or no
listen({ apiKey: "k", identityKeyPair, onConnection() {}, tokenInHeader: "yes" });
// @ts-expect-error the sockets are the addon's own
createPeer({ endpoint: "ws://x", transport: {} });
// @ts-expect-error a list of texts
relayDaemonNegotiator({ daemonId: "d", identityKeyPair, capabilities: "files" });

// @ts-expect-error the default policy asks, so it needs the callbacks
relayClientNegotiator({ daemonId: "d", identityKeyStore });
// @ts-expect-error the other side's negotiator
createPeer({ endpoint: "ws://x", negotiator: relayDaemonNegotiator({ daemonId: "d", identityKeyPair }) });
const clientNegotiator = relayClientNegotiator({ daemonId: "d", identityKeyStore, trustPolicy: "auto" });
// @ts-expect-error the other side's negotiator
listenPlain({ endpoint: "ws://x", negotiator: clientNegotiator, onConnection() {} });
// @ts-expect-error made by hand
createPeer({ endpoint: "ws://x", negotiator: {} });

// @ts-expect-error read-only
peer.state = "closed";
// @ts-expect-error no such event
peer.on("closed", () => {});
// @ts-expect-error the payload has no such field
peer.on("stateChange", ({ next }) => next);

interface Api {
  get: (params: { id: string }) => number;
  ping: () => "pong";
  version: string;
}
const api = peer.rpc.client<Api>();
// @ts-expect-error params are required
void api.get();
// @ts-expect-error wrong params
void api.get({ id: 1 });
// @ts-expect-error takes none
void api.ping({ id: 1 });
// @ts-expect-error not a method
void api.version();
// @ts-expect-error no such method
void api.other();
// @ts-expect-error wrong result
const wrong: string = await api.get({ id: "1" });
void wrong;
