const { connect, createMemoryIdentityKeyStore } = require("@sideband/cloud");

const peer = connect({
  daemonId: process.env.SIDEBAND_DAEMON_ID,
  getAccessToken: async () => process.env.ACCESS_TOKEN,
  identityKeyStore: createMemoryIdentityKeyStore(),
});

peer
  .whenReady()
  .then(() => peer.rpc.call("ping"))
  .then((answer) => console.log(answer))
  .then(() => peer.disconnect());
