export * from "@sideband/cloud/peer/server";
