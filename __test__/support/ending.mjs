// What a test started, ended in the opposite order: clients before their daemons, programs before their folders.

const stacks = new WeakMap();

/** Runs `end` when the test is over, before everything that was given here earlier. */
export function atEnd(t, end) {
  const stack = stacks.get(t);
  if (stack !== undefined) {
    stack.push(end);
    return;
  }
  const fresh = [end];
  stacks.set(t, fresh);
  t.after(async () => {
    while (fresh.length > 0) await fresh.pop()();
  });
}
