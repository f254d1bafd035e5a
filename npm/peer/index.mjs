export {
  createPeer,
  sbpNegotiator,
  PeerError,
  RpcPeerError,
  PeerErrorCode,
  isValidEventName,
  validatePattern,
  matchPattern,
} from "@sideband/cloud/peer";
