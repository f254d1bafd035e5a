import face from "./peer-sbrp.js";

export const {
  relayClientNegotiator,
  relayDaemonNegotiator,
  createMemoryIdentityKeyStore,
  asDaemonId,
  classifySbrpError,
} = face;
