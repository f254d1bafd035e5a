export * from "@sideband/cloud/peer/sbrp";
