/** `@sideband/cloud/peer/sbrp`: end-to-end encryption through a relay of one's own. */
import type {
  IdentityKeyPairForms,
  IdentityKeyStore,
  PromptCallbacks,
  TrustPolicy,
  UnusedPromptCallbacks,
} from "../types.js";
import type { Negotiator } from "./peer.js";

export { asDaemonId, createMemoryIdentityKeyStore } from "../types.js";
export type {
  DaemonId,
  FirstConnectionPrompt,
  IdentityKeyStore,
  IdentityMismatchPrompt,
  ListableIdentityKeyStore,
  TrustPolicy,
} from "../types.js";

export type RelayClientNegotiator = Negotiator<"relayClient">;
export type RelayDaemonNegotiator = Negotiator<"relayDaemon">;

interface SbrpClientCommonOptions {
  daemonId: string;
  /**
   * The session token: a string, or a function called before every attempt (a token opens one connection only).
   * Without it the one in the endpoint's `?token=` is used.
   */
  sessionToken?: string | (() => string | Promise<string>) | undefined;
  identityKeyStore: IdentityKeyStore;
  /** For the whole of both handshakes. Default 30,000. */
  handshakeTimeoutMs?: number | undefined;
  /** This side's peer id, where `createPeer` names none. */
  peerId?: string | undefined;
  /** What this side can do beyond the protocol, told to the other side in the handshake (`caps`). Default: nothing. */
  capabilities?: readonly string[] | undefined;
}

interface SbrpPromptOptions extends PromptCallbacks {
  /** The default. */
  trustPolicy?: "prompt" | undefined;
}

interface SbrpSilentOptions extends UnusedPromptCallbacks {
  trustPolicy: Exclude<TrustPolicy, "prompt">;
}

/** Options of `relayClientNegotiator`. */
export type SbrpClientOptions = SbrpClientCommonOptions & (SbrpPromptOptions | SbrpSilentOptions);

/** Options of `relayDaemonNegotiator`. */
export interface SbrpDaemonOptions {
  daemonId: string;
  identityKeyPair: IdentityKeyPairForms;
  /**
   * The presence token: a string, or a function called before every attempt. Without it the one in the endpoint's
   * `?token=` is used.
   */
  presenceToken?: string | (() => string | Promise<string>) | undefined;
  /** For the whole of both handshakes of a client. Default 30,000. */
  handshakeTimeoutMs?: number | undefined;
  /** This side's peer id, where `listen` names none. */
  peerId?: string | undefined;
  /** What this side can do beyond the protocol, told to the other side in the handshake (`caps`). Default: nothing. */
  capabilities?: readonly string[] | undefined;
}

/**
 * The client's side of an encrypted session.
 *
 * @throws {TypeError} at once, naming the bad option
 */
export declare function relayClientNegotiator(options: SbrpClientOptions): RelayClientNegotiator;

/**
 * The daemon's side: `listen` dials out to the relay.
 *
 * @throws {TypeError} at once, naming the bad option
 */
export declare function relayDaemonNegotiator(options: SbrpDaemonOptions): RelayDaemonNegotiator;

/** Whether another attempt may help after this error. */
export declare function classifySbrpError(error: Error): "fatal" | "retryable";
