// Memory and file descriptors of every process, and whether they stay flat.
import { readFileSync, readdirSync } from "node:fs";

const MB = 1 << 20;

/** A flat figure grows over the window by no more than this: a share of its mean, or so much, whichever is more. */
const FLAT = {
  rss: { share: 0.1, least: { relay: 2 * MB, other: 8 * MB } },
  heapUsed: { share: 0.1, least: { relay: 0, other: 2 * MB } },
  descriptors: { share: 0, least: { relay: 4, other: 4 } },
};

/** Resident memory and open descriptors of a process (Linux). */
export function ofProcess(pid) {
  const pages = Number(readFileSync(`/proc/${pid}/statm`, "utf8").split(" ")[1]);
  return { at: Date.now(), rss: pages * 4096, descriptors: readdirSync(`/proc/${pid}/fd`).length };
}

/** Growth by least squares, over the time from the first to the last sample. */
function growth(samples, figure) {
  const times = samples.map(({ at }) => at);
  const values = samples.map((sample) => sample[figure]);
  const mean = (list) => list.reduce((sum, value) => sum + value, 0) / list.length;
  const [time, value] = [mean(times), mean(values)];
  const spread = times.reduce((sum, each) => sum + (each - time) ** 2, 0);
  const slope = times.reduce((sum, each, index) => sum + (each - time) * (values[index] - value), 0) / spread;
  return { mean: value, grown: slope * (times.at(-1) - times[0]), first: values[0], last: values.at(-1) };
}

export class Measures {
  samples = [];

  /** @param calm whether nobody is recovering now: only such samples tell something about descriptors */
  constructor(calm) {
    this.calm = calm;
  }

  add(name, pid, sample) {
    this.samples.push({ name, pid, calm: this.calm(), ...sample });
  }

  /**
   * For each process that lived from `from` to the end: mean and growth of each figure, and whether it is flat. Its first
   * `warmUpMs` do not count: an allocator takes what the first storms of reconnects need, and keeps it.
   */
  since(from, warmUpMs) {
    const rows = [];
    for (const pid of new Set(this.samples.map((sample) => sample.pid))) {
      const life = this.samples.filter((sample) => sample.pid === pid);
      const [{ name, at: start }] = life;
      const mine = life.filter(({ at }) => at >= Math.max(from, start + warmUpMs));
      if (start - from > 30_000 || mine.length === 0 || this.samples.at(-1).at - mine.at(-1).at > 30_000) continue;
      for (const [figure, { share, least }] of Object.entries(FLAT)) {
        const samples = figure === "descriptors" ? mine.filter(({ calm }) => calm) : mine;
        if (samples.length < 3 || samples[0][figure] === undefined) continue;
        const result = growth(samples, figure);
        const allowed = Math.max(share * result.mean, name === "relay" ? least.relay : least.other);
        const minutes = (samples.at(-1).at - samples[0].at) / 60_000;
        rows.push({ name, figure, minutes, ...result, flat: result.grown <= allowed });
      }
    }
    return rows.sort((a, b) => a.name.localeCompare(b.name));
  }
}
