import { existsSync, readFileSync } from 'node:fs';

/** Reads `name  # reason` lines. Every line must have a reason. */
export function readExpectedFailures(file: string): Map<string, string> {
  const expected = new Map<string, string>();
  if (!existsSync(file)) return expected;
  for (const line of readFileSync(file, 'utf8').split('\n')) {
    if (line.trim() === '' || line.startsWith('#')) continue;
    const [name, reason] = line.split(/\s+#\s*/);
    if (name === undefined || reason === undefined) throw new Error(`${file}: no reason given in "${line}"`);
    expected.set(name.trim(), reason);
  }
  return expected;
}

/**
 * Prints what differs from the list and the totals.
 * @param whole false: only part of the suite ran, listed tests may be missing
 * @returns exit status: 1 when an unlisted test failed or a listed one passed
 */
export function compareOutcome(outcome: Map<string, boolean>, expected: Map<string, string>, whole: boolean): 0 | 1 {
  const failed = [...outcome].filter(([, passed]) => !passed).map(([name]) => name);
  const unlistedFailures = failed.filter((name) => !expected.has(name)).sort();
  const unlistedPasses = [...expected.keys()].filter((name) => outcome.get(name) === true).sort();
  const unknown = whole ? [...expected.keys()].filter((name) => !outcome.has(name)) : [];
  for (const name of unlistedFailures) process.stdout.write(`fails and is not listed: ${name}\n`);
  for (const name of unlistedPasses) process.stdout.write(`passes but is listed as failing: ${name}\n`);
  for (const name of unknown) process.stdout.write(`is listed but did not run: ${name}\n`);
  process.stdout.write(`${outcome.size - failed.length} passed, ${failed.length} failed\n`);
  return unlistedFailures.length + unlistedPasses.length + unknown.length > 0 || outcome.size === 0 ? 1 : 0;
}
