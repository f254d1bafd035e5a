export * from "@sideband/cloud/secure-relay";
