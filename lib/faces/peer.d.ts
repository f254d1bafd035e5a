/** `@sideband/cloud/peer`: peers for a relay of one's own, or for plain WebSockets. */
import type { ConnectionPolicy, EventPolicy, Peer, RetryPolicy, RootCertificates, RpcPolicy } from "../types.js";
import type { RelayClientNegotiator } from "./peer-sbrp.js";

export { PeerError, PeerErrorCode, RpcPeerError } from "../types.js";
export type {
  AcceptedPeer,
  ConnectedPeer,
  ConnectedPeerState,
  ConnectionPolicy,
  EventPolicy,
  EventsInterface,
  PatternSubscription,
  Peer,
  PeerErrorCodeType,
  PeerErrorOptions,
  PeerEvents,
  PeerServer,
  PeerState,
  ReconnectionOutcome,
  RetryPolicy,
  RootCertificates,
  RpcCallOptions,
  RpcErrorDetails,
  RpcInterface,
  RpcPolicy,
  TryCallResult,
  TypedRpcClient,
  Unsubscribe,
} from "../types.js";
export type { ListenOptions } from "./peer-server.js";

declare const negotiatorKind: unique symbol;

/** How two peers meet: made by `sbpNegotiator`, `relayClientNegotiator` or `relayDaemonNegotiator`. */
export interface Negotiator<Kind extends string = string> {
  readonly [negotiatorKind]: Kind;
}

/** Plain SBP over a WebSocket. */
export type SbpNegotiator = Negotiator<"sbp">;

/** Options of `createPeer`. */
export interface PeerOptions {
  /** `ws://` or `wss://`; for a relay it may hold the session token as `?token=`. */
  endpoint: string;
  /** Default `sbpNegotiator()`. */
  negotiator?: SbpNegotiator | RelayClientNegotiator | undefined;
  /** This side's peer id. Default: a fresh one. */
  peerId?: string | undefined;
  /** Default `{onDisconnect: "fail"}`. */
  connectionPolicy?: ConnectionPolicy | undefined;
  rpcPolicy?: RpcPolicy | undefined;
  eventPolicy?: EventPolicy | undefined;
  /** Default `{mode: "never"}`. */
  retryPolicy?: RetryPolicy | undefined;
  /** Root certificates to trust besides the system's, for `wss://`: PEM as text or bytes, or an array of these. */
  ca?: RootCertificates | undefined;
  /** Sends the token as `Authorization: Bearer` and not in the URL's query. With `relayClientNegotiator` only. */
  tokenInHeader?: boolean | undefined;
  /** Errors that no promise carries. Default `console.error`. */
  onUnhandledError?: ((error: Error) => void) | undefined;
}

/**
 * A client's peer, `idle` until `connect()`.
 *
 * @throws {TypeError} at once, naming the bad option
 */
export declare function createPeer(options: PeerOptions): Peer;

/** Options of `sbpNegotiator`. */
export interface SbpOptions {
  /** This side's peer id, where `createPeer` or `listen` names none. */
  peerId?: string | undefined;
  /** What this side can do beyond the protocol, told to the other side in the handshake (`caps`). Default: nothing. */
  capabilities?: readonly string[] | undefined;
  /** For the handshake. Default 30,000. */
  handshakeTimeoutMs?: number | undefined;
}

/** Plain SBP over a WebSocket, the default. */
export declare function sbpNegotiator(options?: SbpOptions): SbpNegotiator;

/** Whether `name` may be emitted. */
export declare function isValidEventName(name: string): boolean;

/**
 * Checks a subscription pattern.
 *
 * @throws {PeerError} `invalid_pattern`
 */
export declare function validatePattern(pattern: string): void;

/** Whether the event `name` matches `pattern`; false where either is not valid. */
export declare function matchPattern(pattern: string, name: string): boolean;
