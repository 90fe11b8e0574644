/**
 * Runs the Rust pjdfstest (`cargo install pjdfstest`) on a mount of `janusfs up` and compares the outcome with the
 * list of expected failures. Root only.
 *
 *     node dist/conformance/posix/run-pjdfstest.js [--program PATH] [-- FILTER ...]
 *
 * The suite needs the users `tests` and `pjdfstest` and the group `pjdfstest` (see its README).
 */
import { spawn } from 'node:child_process';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { startUp } from '../cross-frontend/running-up.ts';
import { compareOutcome, readExpectedFailures } from '../expected-failures.ts';

const SOURCE = join(dirname(fileURLToPath(import.meta.url)), '..', '..', '..', 'conformance', 'posix');

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { program: { type: 'string', default: 'pjdfstest' } },
});

// Optional features that Linux file systems are expected to have.
const CONFIGURATION = `
[features]
posix_fallocate = {}
rename_ctime = {}
utime_now = {}
utimensat = {}

[settings]
allow_remount = false
naptime = 0.05

[dummy_auth]
entries = [["nobody", "nogroup"], ["tests", "tests"]]
`;

const up = await startUp();
let status = 1;
try {
  chmodSync(up.root, 0o755); // The suite acts as other users too.
  const directory = up.at('pjdfstest');
  mkdirSync(directory);
  const configuration = up.scratch('pjdfstest.toml');
  writeFileSync(configuration, CONFIGURATION);
  const outcome = await run(['-c', configuration, '-p', directory, ...positionals]);
  status = compareOutcome(
    outcome,
    readExpectedFailures(join(SOURCE, 'expected-failures.txt')),
    positionals.length === 0,
  );
} finally {
  await up.end();
}
process.exit(status);

/** Test name -> passed, from lines such as `chmod::eperm_not_owner   ok`. Skipped tests are left out. */
async function run(args: string[]): Promise<Map<string, boolean>> {
  const child = spawn(values.program, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const failure = new Promise<never>((_, reject) => child.once('error', reject));
  const outcome = new Map<string, boolean>();
  const lines = (async () => {
    for await (const line of createInterface({ input: child.stdout })) {
      const result = /^(\S+::\S+)\s+(ok|FAILED|skipped)$/.exec(line.trim());
      if (result === null || result[2] !== 'ok') process.stdout.write(`${line}\n`);
      if (result !== null && result[2] !== 'skipped') outcome.set(result[1]!, result[2] === 'ok');
    }
  })();
  await Promise.race([lines, failure]);
  return outcome;
}
