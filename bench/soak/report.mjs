// The report: for people on stdout, for programs as JSON.

const MB = 1 << 20;
const sized = (figure, value) => (figure === "descriptors" ? value.toFixed(1) : `${(value / MB).toFixed(1)} MB`);

function recoveries(events) {
  const rows = {};
  for (const { kind, at, recoveredAt } of events) (rows[kind] ??= []).push((recoveredAt - at) / 1_000);
  return Object.entries(rows).map(([kind, seconds]) => {
    seconds.sort((a, b) => a - b);
    return { kind, times: seconds.length, median: seconds[seconds.length >> 1], longest: seconds.at(-1) };
  });
}

export function makeReport({ options, startedAt, ledger, fleet, relay, measures, from, warmUpMs, flatnessCounts }) {
  const flatness = measures.since(from, warmUpMs);
  const grown = flatness.filter(({ flat }) => !flat);
  for (const { name, figure, grown: by } of flatnessCounts ? grown : []) {
    ledger.violation(`${name}: ${figure} is not flat, it grew by ${sized(figure, by)}`);
  }
  return {
    options,
    minutes: (Date.now() - startedAt) / 60_000,
    totals: fleet.totals,
    relayStarts: relay.starts,
    chaos: recoveries(ledger.events),
    explained: ledger.explained,
    flatness,
    violations: ledger.violations,
  };
}

export function print(report) {
  const { options, minutes, totals, chaos, explained, flatness, violations } = report;
  console.log(`\n${minutes.toFixed(1)} minutes, ${options.sessions} sessions, seed ${options.seed}`);
  console.log(Object.entries(totals).map(([name, value]) => `${name} ${value}`).join(", "));
  console.log("\n| event | times | all active again after, median | longest |\n| --- | --- | --- | --- |");
  for (const { kind, times, median, longest } of chaos) {
    console.log(`| ${kind} | ${times} | ${median.toFixed(1)} s | ${longest.toFixed(1)} s |`);
  }
  console.log("\n| event | what it explains | times |\n| --- | --- | --- |");
  for (const [kind, rows] of Object.entries(explained)) {
    for (const [what, times] of Object.entries(rows)) console.log(`| ${kind} | ${what} | ${times} |`);
  }
  console.log("\n| process | figure | over | mean | growth | flat |\n| --- | --- | --- | --- | --- | --- |");
  for (const { name, figure, minutes: over, mean, grown, flat } of flatness) {
    const figures = `${over.toFixed(0)} min | ${sized(figure, mean)} | ${sized(figure, grown)}`;
    console.log(`| ${name} | ${figure} | ${figures} | ${flat ? "yes" : "no"} |`);
  }
  console.log(violations.length === 0 ? "\nno violation" : `\n${violations.length} violations`);
  for (const violation of violations.slice(0, 50)) console.log(`  ${JSON.stringify(violation)}`);
}
