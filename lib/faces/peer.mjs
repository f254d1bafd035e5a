import face from "./peer.js";

export const {
  createPeer,
  sbpNegotiator,
  PeerError,
  RpcPeerError,
  PeerErrorCode,
  isValidEventName,
  validatePattern,
  matchPattern,
} = face;
