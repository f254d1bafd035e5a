// CommonJS programs with types.
import cloud = require("@sideband/cloud");
import peerFace = require("@sideband/cloud/peer");
import { listen } from "@sideband/cloud/peer/server";
import { SbrpError } from "@sideband/cloud/secure-relay";

const error: unknown = undefined;
if (error instanceof cloud.PeerError) error.code satisfies cloud.PeerErrorCode;
const one: typeof cloud.PeerError = peerFace.PeerError;
void one;
void listen;
void SbrpError;
