// The child's end of `startProcess`: says that it is ready, and answers questions by name.

/** What the parent wants this process to know. */
export const options = JSON.parse(process.argv[2] ?? "{}");

/** CPU time and memory of this process. */
export function usage() {
  globalThis.gc?.();
  const { user, system } = process.cpuUsage();
  return { cpuMs: (user + system) / 1000, rss: process.memoryUsage.rss() };
}

/** Tells the parent that this process is ready, and answers what it asks. */
export function serve(questions, ready = {}) {
  process.on("message", async ({ id, question, parameters }) => {
    try {
      process.send({ id, answer: (await questions[question](parameters)) ?? null });
    } catch (error) {
      process.send({ id, error: error.message });
    }
  });
  process.send({ ready });
}

/** Keeps `inFlight` runs of `once` going for some seconds; latencies in µs. */
export async function repeat(once, { inFlight, seconds }) {
  const { percentile } = await import("../table.mjs");
  const latencies = [];
  const start = performance.now();
  const end = start + seconds * 1000;
  const lane = async () => {
    for (let now = performance.now(); now < end; ) {
      await once();
      const done = performance.now();
      latencies.push((done - now) * 1000);
      now = done;
    }
  };
  await Promise.all(Array.from({ length: inFlight }, lane));
  const elapsed = (performance.now() - start) / 1000;
  return {
    count: latencies.length,
    perSecond: latencies.length / elapsed,
    p50: percentile(latencies, 0.5),
    p99: percentile(latencies, 0.99),
  };
}
