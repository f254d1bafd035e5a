import face from "./peer-server.js";

export const { listen } = face;
