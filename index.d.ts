/**
 * `@sideband/cloud`: daemons and clients that meet through the cloud's relay and talk end-to-end encrypted.
 */
import type {
  ConnectedPeer,
  ConnectionPolicy,
  EventPolicy,
  IdentityKeyPairForms,
  IdentityKeyStore,
  ListableIdentityKeyStore,
  Peer,
  PeerServer,
  PromptCallbacks,
  RetryPolicy,
  RootCertificates,
  RpcPolicy,
  TrustPolicy,
  UnusedPromptCallbacks,
} from "./lib/types.js";

export {
  CloudApiError,
  PeerError,
  PeerErrorCode,
  RpcPeerError,
  createMemoryIdentityKeyStore,
  generateIdentityKeyPair,
} from "./lib/types.js";
export type {
  AcceptedPeer,
  ConnectedPeer,
  ConnectedPeerState,
  ConnectionPolicy,
  EventPolicy,
  EventsInterface,
  FirstConnectionPrompt,
  IdentityKeyPair,
  IdentityKeyPairForms,
  IdentityKeyStore,
  IdentityMismatchPrompt,
  KeyForm,
  ListableIdentityKeyStore,
  Peer,
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
  TrustPolicy,
  TryCallResult,
  TypedRpcClient,
  Unsubscribe,
} from "./lib/types.js";

/** Options of `listen`. */
export interface ListenOptions {
  /** `sbnd_dak_…` */
  apiKey: string;
  /** The daemon's identity, as `generateIdentityKeyPair` made it or as it came back from a file. */
  identityKeyPair: IdentityKeyPairForms;
  /**
   * Called for every client, with an active peer. While its promise is pending, messages that nobody wants yet wait (up
   * to 1,024; one more closes the peer). If it fails, the peer is closed and the error goes to `onUnhandledError`.
   */
  onConnection: (peer: ConnectedPeer) => void | Promise<void>;
  /** Default: the one the API key belongs to. Another one rejects with a `CloudApiError` 400. */
  daemonId?: string | undefined;
  /** Default `https://api.sideband.cloud`. */
  apiUrl?: string | undefined;
  /** Default `wss://relay.sideband.cloud`. */
  relayUrl?: string | undefined;
  /**
   * Root certificates to trust besides the system's, for the API and the WebSocket: PEM as text or bytes, or an array of
   * these.
   */
  ca?: RootCertificates | undefined;
  /** Sends the token to the relay as `Authorization: Bearer` header and not in the URL's query. Default false. */
  tokenInHeader?: boolean | undefined;
  rpcPolicy?: RpcPolicy | undefined;
  eventPolicy?: EventPolicy | undefined;
  /** Background errors and those of listeners. Default `console.error`. */
  onUnhandledError?: ((error: Error) => void) | undefined;
  /** Aborts the start; does nothing after the first connection. */
  signal?: AbortSignal | undefined;
}

/** What `listen` gives. */
export interface CloudServer extends PeerServer {
  readonly daemonId: string;
  /** As it was given, but for a query. */
  readonly relayUrl: string;
  /** A code with which a client connects once, without an account. It lives 1 to 300 seconds. */
  createQuickConnect(options?: { ttlSeconds?: number | undefined }): Promise<QuickConnectCode>;
}

export interface QuickConnectCode {
  /** `abcd-efgh-ijkl` */
  code: string;
  url: string;
  /** ISO 8601. */
  expiresAt: string;
}

interface ConnectCommonOptions {
  /** Where the keys of trusted daemons are kept. */
  identityKeyStore: IdentityKeyStore;
  /** Default `{onDisconnect: "pause"}`. */
  connectionPolicy?: ConnectionPolicy | undefined;
  rpcPolicy?: RpcPolicy | undefined;
  eventPolicy?: EventPolicy | undefined;
  /** Default `{mode: "on-error"}`. */
  retryPolicy?: RetryPolicy | undefined;
  /** Default `https://api.sideband.cloud`. */
  apiUrl?: string | undefined;
  /**
   * Root certificates to trust besides the system's, for the API and the WebSocket: PEM as text or bytes, or an array of
   * these.
   */
  ca?: RootCertificates | undefined;
  /** Sends the token to the relay as `Authorization: Bearer` header and not in the URL's query. Default false. */
  tokenInHeader?: boolean | undefined;
  /** What ends the peer, background errors, and those of listeners. Default `console.error`. */
  onUnhandledError?: ((error: Error) => void) | undefined;
}

interface AccountOptions {
  daemonId: string;
  /** Called before every attempt. */
  getAccessToken: () => string | Promise<string>;
  quickConnectCode?: undefined;
}

interface QuickConnectOptions {
  /** Redeemed once: there is no reconnect. */
  quickConnectCode: string;
  daemonId?: undefined;
  getAccessToken?: undefined;
}

interface SilentTrustOptions extends UnusedPromptCallbacks {
  /** Default `"auto"`. */
  trustPolicy?: Exclude<TrustPolicy, "prompt"> | undefined;
}

interface PromptTrustOptions extends PromptCallbacks {
  trustPolicy: "prompt";
}

/** Options of `connect`: with an account or a Quick Connect code; `"prompt"` demands both callbacks. */
export type ConnectOptions = ConnectCommonOptions &
  (AccountOptions | QuickConnectOptions) &
  (SilentTrustOptions | PromptTrustOptions);

/**
 * Starts a daemon. Resolves at the first connection to the relay; what may pass is retried until `signal` aborts.
 *
 * Rejects with a `CloudApiError` (400, 401, 403, 404), a `TypeError` that names the bad option, or the signal's reason.
 */
export declare function listen(options: ListenOptions): Promise<CloudServer>;

/**
 * Starts a client, at once. Handlers registered in the same tick see every message.
 *
 * @throws {TypeError} at once, naming the bad option
 */
export declare function connect(options: ConnectOptions): Peer;

/** A store in a directory: one file per daemon, readable by this user only, written atomically. */
export declare function createFileIdentityKeyStore(dir: string): ListableIdentityKeyStore;

/** A fresh presence token for the daemon whose API key this is. One attempt. */
export declare function renewPresenceToken(apiKey: string, apiUrl?: string, signal?: AbortSignal): Promise<string>;

/**
 * The daemon id in a presence token. Nothing is verified.
 *
 * @throws {CloudApiError} 400 where there is none
 */
export declare function extractDaemonIdFromToken(token: string): string;
