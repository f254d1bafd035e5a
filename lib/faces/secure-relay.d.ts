/** `@sideband/cloud/secure-relay`: identity keys and the relay protocol's errors. */
export { SbrpError, SbrpErrorCode, asDaemonId, generateIdentityKeyPair } from "../types.js";
export type { DaemonId, IdentityKeyPair } from "../types.js";

/** `SHA256:AA:BB:…`, the fingerprint of a public identity key of 32 bytes. */
export declare function computeFingerprint(publicKey: Uint8Array): string;
