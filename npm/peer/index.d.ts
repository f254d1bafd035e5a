export * from "@sideband/cloud/peer";
