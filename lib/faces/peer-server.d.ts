/** `@sideband/cloud/peer/server`: daemons on a port of their own, or behind a relay of one's own. */
import type { ConnectedPeer, EventPolicy, PeerServer, RootCertificates, RpcPolicy } from "../types.js";
import type { SbpNegotiator } from "./peer.js";
import type { RelayDaemonNegotiator } from "./peer-sbrp.js";

export type { AcceptedPeer, ConnectedPeer, ConnectedPeerState, PeerServer } from "../types.js";

/** Options of `listen`. */
export interface ListenOptions {
  /**
   * With `sbpNegotiator` (the default) the address to bind, `ws://host:port`; with `relayDaemonNegotiator` the relay to dial,
   * which may hold the presence token as `?token=`.
   */
  endpoint: string;
  /** Called for every client, with an active peer. */
  onConnection: (peer: ConnectedPeer) => void | Promise<void>;
  negotiator?: SbpNegotiator | RelayDaemonNegotiator | undefined;
  /** This side's peer id. Default: a fresh one. */
  peerId?: string | undefined;
  rpcPolicy?: RpcPolicy | undefined;
  eventPolicy?: EventPolicy | undefined;
  /**
   * Root certificates to trust besides the system's, for `wss://`: PEM as text or bytes, or an array of these. With
   * `relayDaemonNegotiator` only.
   */
  ca?: RootCertificates | undefined;
  /** Sends the token as `Authorization: Bearer` and not in the URL's query. With `relayDaemonNegotiator` only. */
  tokenInHeader?: boolean | undefined;
  /** Background errors and those of listeners. Default `console.error`. */
  onUnhandledError?: ((error: Error) => void) | undefined;
  /** Aborts the start; does nothing after it. */
  signal?: AbortSignal | undefined;
}

/** Starts a daemon. Resolves when it listens, or at the first connection to the relay. */
export declare function listen(options: ListenOptions): Promise<PeerServer>;
