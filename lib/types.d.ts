/// <reference lib="esnext.disposable" />
// The types that the package's entry points share.

/** Takes back a registration. Calling it again does nothing. */
export type Unsubscribe = () => void;

/** What `onPattern` gives. */
export type PatternSubscription = Unsubscribe;

// Peers -------------------------------------------------------------------------------------------------------------

/**
 * The state of a peer.
 *
 * `idle → connecting → negotiating → active ⇄ paused`; after a loss `reconnecting → connecting → …`; `closed` is for good.
 */
export type PeerState = "idle" | "connecting" | "negotiating" | "active" | "paused" | "reconnecting" | "closed";

/** The states of a daemon's peer: it comes connected and never reconnects. */
export type ConnectedPeerState = "active" | "paused" | "closed";

/** How a reconnect cycle ended. */
export type ReconnectionOutcome =
  | { status: "connected" }
  /** By `disconnect()`. */
  | { status: "aborted" }
  | { status: "failed"; error: Error };

/** What the listeners of a peer's lifecycle events are given. */
export interface PeerEvents<State extends PeerState = PeerState> {
  /** Every change of the state. */
  stateChange: { state: State; previous: State };
  /** Entered `active`, except from `paused`. */
  connected: void;
  /** Left `active` and `paused`. */
  disconnected: void;
  /** Entered `reconnecting`. */
  reconnecting: void;
  /** Entered `paused`: the daemon's connection to the relay dropped, the session stands. */
  sessionPaused: void;
  /** Back from `paused` to `active`. */
  sessionResumed: void;
  /** What ended the peer, or an error that no promise carries. */
  error: Error;
}

/** Options of one call. */
export interface RpcCallOptions {
  /** Instead of `rpcPolicy.defaultTimeoutMs`. It also runs while the call waits for a connection. */
  timeoutMs?: number | undefined;
  /** Aborting rejects with `rpc_cancelled` and takes a waiting call out of its queue. */
  signal?: AbortSignal | undefined;
}

/**
 * What `tryCall` gives. `reconnected`: a successful call that began while the peer was not active. The error is a
 * `TypeError` only where an argument was wrong.
 */
export type TryCallResult<Result> =
  | { ok: true; value: Result; reconnected: boolean }
  | { ok: false; error: PeerError | (TypeError & { readonly code?: undefined }); reconnected: boolean };

type MethodNames<Api> = {
  [Name in keyof Api]: Api[Name] extends (...args: never[]) => unknown ? Name : never;
}[keyof Api] &
  string;

type MethodCall<Method> = Method extends (...args: infer Args) => infer Result
  ? [Args[0]] extends [void | undefined]
    ? (params?: undefined, options?: RpcCallOptions) => Promise<Awaited<Result>>
    : undefined extends Args[0]
      ? (params?: Args[0], options?: RpcCallOptions) => Promise<Awaited<Result>>
      : (params: Args[0], options?: RpcCallOptions) => Promise<Awaited<Result>>
  : never;

/** An object with a method for every function of `Api`; each takes the params and, where wanted, the call's options. */
export type TypedRpcClient<Api> = { readonly [Name in MethodNames<Api>]: MethodCall<Api[Name]> };

/** `peer.rpc`: calls in both directions. */
export interface RpcInterface {
  /**
   * Calls the other side's handler. `undefined` params are absent on the wire.
   *
   * Rejects with an `RpcPeerError` (`rpc_error`, `rpc_timeout`, `rpc_cancelled`), a `PeerError`, or a `TypeError` where
   * JSON cannot carry the params.
   */
  call<Result = unknown>(method: string, params?: unknown, options?: RpcCallOptions): Promise<Result>;
  /** Like `call`, but never rejects. */
  tryCall<Result = unknown>(method: string, params?: unknown, options?: RpcCallOptions): Promise<TryCallResult<Result>>;
  /**
   * Registers the handler of a method. What it throws becomes the caller's `rpc_error`; an `RpcPeerError` with an
   * application's `details.wireCode` (2000 and up) keeps code and data.
   *
   * @throws {PeerError} `rpc_method_already_registered`
   */
  handle<Params = unknown, Result = unknown>(
    method: string,
    handler: (params: Params) => Result | Promise<Result>,
  ): Unsubscribe;
  /** The typed proxy; one object per peer. */
  client<Api>(): TypedRpcClient<Api>;
  /** The methods that have a handler here, sorted. */
  listMethods(): string[];
}

/** `peer.events`: notifications without an answer. */
export interface EventsInterface {
  /**
   * Sends an event: at once when active, later when not (`eventPolicy`), never when closed.
   *
   * @throws {PeerError} `invalid_pattern` for a bad name
   * @throws {TypeError} where JSON cannot carry the data
   */
  emit(name: string, data?: unknown): void;
  /** Subscribes to one event. */
  on<Data = unknown>(name: string, handler: (data: Data) => void): Unsubscribe;
  /**
   * Subscribes to every event that matches: `*` is one segment, `>` at the end one or more.
   *
   * @throws {PeerError} `invalid_pattern`
   */
  onPattern<Data = unknown>(pattern: string, handler: (name: string, data: Data) => void): PatternSubscription;
}

interface AnyPeer<State extends PeerState> {
  readonly state: State;
  /** Active or paused. */
  readonly connected: boolean;
  /** Active. */
  readonly ready: boolean;
  readonly rpc: RpcInterface;
  readonly events: EventsInterface;
  /** Closes at once. The promise resolves when the transport is gone. */
  disconnect(): Promise<void>;
  /** Resolves in `active`. Rejects with `peer_closed` when the peer closes, with `cancelled` when aborted. */
  whenReady(options?: { signal?: AbortSignal | undefined }): Promise<void>;
  /** Listens to a lifecycle event. */
  on<Name extends keyof PeerEvents>(event: Name, listener: (value: PeerEvents<State>[Name]) => void): Unsubscribe;
  [Symbol.dispose](): void;
  [Symbol.asyncDispose](): Promise<void>;
}

/** A client's connection to a daemon. */
export interface Peer extends AnyPeer<PeerState> {
  /** The daemon's peer id, once connected. */
  readonly peerId: string | undefined;
  /** The promise of the reconnect cycle that is running; it never rejects. */
  readonly reconnecting: Promise<ReconnectionOutcome> | undefined;
  /**
   * Connects, from `idle`. While connecting it gives the running promise.
   *
   * @throws {PeerError} at once, `peer_closed` or `invalid_state`, from any other state
   */
  connect(): Promise<void>;
  /** Lets the peer keep the process alive again. */
  ref(): this;
  /** Lets the process end although the peer is connected. */
  unref(): this;
}

/** A daemon's connection to one client. */
export interface ConnectedPeer extends AnyPeer<ConnectedPeerState> {
  /** The client's peer id; the key in `connections`. */
  readonly peerId: string;
}

/** The older name of `ConnectedPeer`. */
export type AcceptedPeer = ConnectedPeer;

// Servers -----------------------------------------------------------------------------------------------------------

/** A listening daemon. */
export interface PeerServer {
  /** Where it listens, or the relay it dialled, as it was given but for a query. */
  readonly address: string;
  /** The connected clients by peer id. */
  readonly connections: ReadonlyMap<string, ConnectedPeer>;
  /** Closes every peer at once; resolves when nothing is left running. */
  close(): Promise<void>;
  /** Lets the server keep the process alive again. */
  ref(): this;
  /** Lets the process end although the server listens. */
  unref(): this;
  [Symbol.asyncDispose](): Promise<void>;
}

// Policies ----------------------------------------------------------------------------------------------------------

/** What happens to calls while the peer is not active. */
export interface ConnectionPolicy {
  /** `"fail"`: they reject. `"pause"`: they wait. */
  onDisconnect?: "fail" | "pause" | undefined;
}

export interface RpcPolicy {
  /** Milliseconds. Default 10,000. */
  defaultTimeoutMs?: number | undefined;
  /** Bytes of calls, their envelopes included, that may wait with `onDisconnect: "pause"`. Default 65,536. */
  disconnectBufferLimitBytes?: number | undefined;
}

export interface EventPolicy {
  /** How many events wait for a connection; the oldest goes first. Default 128; 0 turns it off. */
  maxBufferedEvents?: number | undefined;
}

/** The delay is `min(initial · 2^attempt, max) · (1 ± jitter)`. */
export interface RetryPolicy {
  mode?: "never" | "on-error" | undefined;
  /** Default 1,000. */
  initialDelayMs?: number | undefined;
  /** Default 30,000. */
  maxDelayMs?: number | undefined;
  /** Counted since the last success. Default 5; 0 is without end. */
  maxAttempts?: number | undefined;
  /** From 0 to 1. Default 0.2. */
  jitter?: number | undefined;
}

/** Root certificates in PEM: as text, as bytes, or an array of these. Each may hold several. */
export type RootCertificates = string | Uint8Array | ReadonlyArray<string | Uint8Array>;

// Keys and trust ----------------------------------------------------------------------------------------------------

declare const daemonIdBrand: unique symbol;

/** A daemon's id; `asDaemonId` makes it. Plain strings are taken everywhere too. */
export type DaemonId = string & { readonly [daemonIdBrand]?: never };

/** A daemon's identity. The private key is the 32-byte seed. */
export interface IdentityKeyPair {
  publicKey: Uint8Array;
  privateKey: Uint8Array;
}

/** A key as it may come back from a file. */
export type KeyForm =
  | Uint8Array
  | readonly number[]
  | { readonly type: "Buffer"; readonly data: readonly number[] }
  | { readonly [index: `${number}`]: number }
  /** Base64 or base64url. */
  | string;

/** An identity in any accepted form; the private key may also be the 64 bytes of seed and public key. */
export interface IdentityKeyPairForms {
  publicKey: KeyForm;
  privateKey: KeyForm;
}

/** Where a client keeps the keys it trusts. Methods may be sync or async; keys are 32 bytes. */
export interface IdentityKeyStore {
  /** `null` or `undefined` for none. */
  get(daemonId: string): Promise<Uint8Array | null | undefined> | Uint8Array | null | undefined;
  set(daemonId: string, publicKey: Uint8Array): Promise<void> | void;
  delete(daemonId: string): Promise<void> | void;
  list?(): Promise<string[]> | string[];
}

/** A store of this package: all its methods are async, and it can list what it holds. */
export interface ListableIdentityKeyStore extends IdentityKeyStore {
  get(daemonId: string): Promise<Uint8Array | null>;
  set(daemonId: string, publicKey: Uint8Array): Promise<void>;
  delete(daemonId: string): Promise<void>;
  list(): Promise<string[]>;
}

/**
 * Which keys a client trusts, always after the signature verified. `"auto"`: any, and remembers it. `"prompt"`: asks for a
 * first key and for a changed one. `"pinned-only"`: the remembered one only.
 */
export type TrustPolicy = "auto" | "prompt" | "pinned-only";

/** Only exactly `true` trusts. */
export type FirstConnectionPrompt = (info: { fingerprint: string }) => Promise<boolean> | boolean;

/** Only exactly `true` trusts, and for good. */
export type IdentityMismatchPrompt = (info: {
  expectedFingerprint: string;
  receivedFingerprint: string;
}) => Promise<boolean> | boolean;

/** Both callbacks are required where the policy asks. */
export interface PromptCallbacks {
  onFirstConnection: FirstConnectionPrompt;
  onIdentityMismatch: IdentityMismatchPrompt;
}

/** A policy that never asks ignores them. */
export interface UnusedPromptCallbacks {
  onFirstConnection?: FirstConnectionPrompt | undefined;
  onIdentityMismatch?: IdentityMismatchPrompt | undefined;
}

// Errors ------------------------------------------------------------------------------------------------------------

/** The codes of `PeerError`. */
export declare const PeerErrorCode: {
  /** The peer is closed and will not come back. */
  readonly PeerClosed: "peer_closed";
  /** The method has a handler already. */
  readonly RpcMethodAlreadyRegistered: "rpc_method_already_registered";
  /** The call was aborted. */
  readonly RpcCancelled: "rpc_cancelled";
  /** No answer in time. */
  readonly RpcTimeout: "rpc_timeout";
  /** The other side answered with an error; `details` has its code and data. */
  readonly RpcError: "rpc_error";
  /** A bad event name or pattern. */
  readonly InvalidPattern: "invalid_pattern";
  /** Too much waits for a connection. */
  readonly BufferOverflow: "buffer_overflow";
  /** There is no connection, or it dropped. */
  readonly NotConnected: "not_connected";
  /** The session is paused. */
  readonly SessionPaused: "session_paused";
  /** Not possible in the peer's state. */
  readonly InvalidState: "invalid_state";
  /** A wait was aborted. */
  readonly Cancelled: "cancelled";
  /** The message does not fit into a frame. */
  readonly MessageTooLarge: "message_too_large";
};
export type PeerErrorCode = (typeof PeerErrorCode)[keyof typeof PeerErrorCode];
/** The type `PeerErrorCode` under a name that no value has. */
export type PeerErrorCodeType = PeerErrorCode;

/** What an `rpc_error` carries of the other side's answer. */
export interface RpcErrorDetails {
  /** 1101: no such method; 2000 and up: the application's. */
  wireCode: number;
  data?: unknown;
}

export interface PeerErrorOptions {
  cause?: unknown;
  details?: RpcErrorDetails | undefined;
}

/** A connection, a call or a subscription failed. */
export declare class PeerError extends Error {
  constructor(code: PeerErrorCode, message: string, options?: PeerErrorOptions);
  readonly code: PeerErrorCode;
  readonly details?: RpcErrorDetails;
}

/** A call failed after it was accepted. */
export declare class RpcPeerError extends PeerError {}

/** The control plane, or the relay before its WebSocket stood, answered with this HTTP status. */
export declare class CloudApiError extends Error {
  constructor(status: number, message: string, options?: { cause?: unknown });
  readonly status: number;
}

/** The codes of `SbrpError`. */
export declare const SbrpErrorCode: {
  readonly Unauthorized: "unauthorized";
  readonly Forbidden: "forbidden";
  readonly DaemonNotFound: "daemon_not_found";
  readonly DaemonOffline: "daemon_offline";
  readonly SessionNotFound: "session_not_found";
  readonly SessionExpired: "session_expired";
  readonly MalformedFrame: "malformed_frame";
  readonly PayloadTooLarge: "payload_too_large";
  readonly InvalidFrameType: "invalid_frame_type";
  readonly InvalidSessionId: "invalid_session_id";
  readonly DisallowedSender: "disallowed_sender";
  readonly InternalError: "internal_error";
  readonly RateLimited: "rate_limited";
  readonly Backpressure: "backpressure";
  readonly SessionPaused: "session_paused";
  readonly SessionResumed: "session_resumed";
  readonly SessionEnded: "session_ended";
  readonly SessionPending: "session_pending";
  readonly IdentityKeyChanged: "identity_key_changed";
  readonly HandshakeFailed: "handshake_failed";
  readonly HandshakeTimeout: "handshake_timeout";
  readonly DecryptFailed: "decrypt_failed";
  readonly SequenceError: "sequence_error";
};
export type SbrpErrorCode = (typeof SbrpErrorCode)[keyof typeof SbrpErrorCode];

/** The relay refused, the handshake failed, or a session's encryption broke. */
export declare class SbrpError extends Error {
  constructor(code: SbrpErrorCode, message: string, options?: { cause?: unknown });
  readonly code: SbrpErrorCode;
}

// Functions of several entry points ---------------------------------------------------------------------------------

/** A fresh identity. Keep it: with another one every client that trusted this one is asked again, or refuses. */
export declare function generateIdentityKeyPair(): IdentityKeyPair;

/** A store that forgets everything when the process ends. */
export declare function createMemoryIdentityKeyStore(): ListableIdentityKeyStore;

/** Marks a string as a daemon's id. */
export declare function asDaemonId(id: string): DaemonId;
