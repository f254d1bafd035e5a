import face from "./secure-relay.js";

export const { generateIdentityKeyPair, computeFingerprint, asDaemonId, SbrpError, SbrpErrorCode } = face;
