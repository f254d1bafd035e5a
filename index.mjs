// The same exports for ESM: one module behind both, so that there is one of every class.
import face from "./index.js";

export const {
  listen,
  connect,
  generateIdentityKeyPair,
  createMemoryIdentityKeyStore,
  createFileIdentityKeyStore,
  renewPresenceToken,
  extractDaemonIdFromToken,
  CloudApiError,
  PeerError,
  RpcPeerError,
  PeerErrorCode,
} = face;
