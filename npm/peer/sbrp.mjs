export {
  relayClientNegotiator,
  relayDaemonNegotiator,
  createMemoryIdentityKeyStore,
  asDaemonId,
  classifySbrpError,
} from "@sideband/cloud/peer/sbrp";
