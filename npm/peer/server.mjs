export { listen } from "@sideband/cloud/peer/server";
