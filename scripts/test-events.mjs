// A node:test reporter: one JSON line per finished test, for scripts/test.mjs to count. Not for people.
// biome-ignore lint/style/noDefaultExport: node takes a reporter from the default export.
export default async function* testEvents(source) {
  const path = [];
  for await (const event of source) {
    const { type, data } = event;
    if (type === 'test:start') {
      path.length = data.nesting;
      path[data.nesting] = data.name;
    }
    if (type !== 'test:pass' && type !== 'test:fail') continue;
    const names = [...path.slice(0, data.nesting), data.name];
    const error = data.details?.error;
    yield `${JSON.stringify({
      ok: type === 'test:pass' || data.todo !== undefined,
      suite: data.details?.type === 'suite',
      skip: data.skip,
      // It failed only because something in it did, which has an event of its own.
      inner: error?.failureType === 'subtestsFailed',
      name: names.join(' > '),
      why: type === 'test:fail' ? String(error?.cause?.message ?? error?.message ?? error) : undefined,
    })}\n`;
  }
}
