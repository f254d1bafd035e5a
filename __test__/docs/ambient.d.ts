// What the TypeScript blocks of the documentation take for granted.
import type { Peer } from "@sideband/cloud";

declare global {
  const peer: Peer;
}
