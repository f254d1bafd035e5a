export {
  generateIdentityKeyPair,
  computeFingerprint,
  asDaemonId,
  SbrpError,
  SbrpErrorCode,
} from "@sideband/cloud/secure-relay";
