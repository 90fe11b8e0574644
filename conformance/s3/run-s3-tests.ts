/**
 * Runs ceph/s3-tests against `janusfs up` and compares the outcome with the list of expected failures.
 *
 *     node dist/conformance/s3/run-s3-tests.js --suite DIR [--list FILE] [--workers N] [-k EXPRESSION]
 *
 * DIR is a checkout of the suite, its Python requirements installed (pytest, pytest-xdist, pytest-timeout, boto3 ...).
 * The list defaults to t1.txt beside this file's source. Exit status 1: an unlisted failure, or an unlisted pass.
 */
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { ACCESS_KEY, type RunningUp, runMain, SECRET_KEY, startUp } from '../cross-frontend/running-up.ts';
import { compareOutcome, readExpectedFailures } from '../expected-failures.ts';

const SOURCE = join(dirname(fileURLToPath(import.meta.url)), '..', '..', '..', 'conformance', 's3');
const TEST_SECONDS_MAX = 60;
/** Tests that count all buckets of their account: no other test may run beside them. */
const ALONE = new Set(['test_list_buckets_paginated']);

const { values } = parseArgs({
  options: {
    suite: { type: 'string' },
    list: { type: 'string', default: join(SOURCE, 't1.txt') },
    workers: { type: 'string', default: '2' },
    k: { type: 'string', short: 'k' },
  },
});
if (values.suite === undefined) {
  process.stderr.write('usage: run-s3-tests --suite DIR (a checkout of ceph/s3-tests)\n');
  process.exit(2);
}

const up = await startUp();
let status = 1;
try {
  await runMain([
    'user',
    'add',
    'alt',
    '--uid',
    '2002',
    '--gid',
    '2002',
    '--access-key',
    'alt-access',
    '--secret-key',
    'alt-secret-key',
    '--data',
    up.data,
  ]);
  await runMain([
    'user',
    'add',
    'tenant',
    '--uid',
    '2003',
    '--gid',
    '2003',
    '--access-key',
    'tenant-access',
    '--secret-key',
    'tenant-secret-key',
    '--data',
    up.data,
  ]);
  status = run(up, values.suite);
} finally {
  await up.end();
}
process.exit(status);

function run(server: RunningUp, suite: string): number {
  const conf = server.scratch('s3tests.conf');
  writeFileSync(conf, configuration(new URL(server.endpoint)));
  const tests = readFileSync(values.list, 'utf8')
    .split('\n')
    .filter((line) => line !== '');
  const alone = tests.filter((test) => ALONE.has(test.slice(test.lastIndexOf(':') + 1)));
  const others = tests.filter((test) => !alone.includes(test));
  const outcome = new Map([
    ...runTests(suite, conf, server.scratch('alone.xml'), ['-n', '0'], alone),
    ...runTests(suite, conf, server.scratch('report.xml'), ['-n', values.workers], others),
  ]);
  const expected = readExpectedFailures(join(SOURCE, 'expected-failures.txt'));
  return compareOutcome(outcome, expected, values.k === undefined);
}

function runTests(
  suite: string,
  conf: string,
  report: string,
  workers: string[],
  tests: string[],
): Map<string, boolean> {
  if (tests.length === 0) return new Map();
  const limits = ['--timeout', String(TEST_SECONDS_MAX), '-p', 'no:cacheprovider', '--tb=short'];
  const chosen = values.k === undefined ? [] : ['-k', values.k];
  spawnSync('python3', ['-m', 'pytest', '-q', ...workers, ...limits, ...chosen, `--junitxml=${report}`, ...tests], {
    cwd: suite,
    env: { ...process.env, S3TEST_CONF: conf },
    stdio: 'inherit',
  });
  return readReport(readFileSync(report, 'utf8'));
}

/** Test name -> passed, from pytest's JUnit report. Skipped tests are left out. */
function readReport(xml: string): Map<string, boolean> {
  const outcome = new Map<string, boolean>();
  for (const [, attributes, body] of xml.matchAll(/<testcase ([^>]*?)(?:\/>|>([\s\S]*?)<\/testcase>)/g)) {
    const name = /(?:^| )name="([^"]*)"/.exec(attributes!)?.[1];
    if (name === undefined || body?.includes('<skipped')) continue;
    outcome.set(name, body === undefined || !(body.includes('<failure') || body.includes('<error')));
  }
  return outcome;
}

/** The suite's configuration; user_id is the Owner ID that the server answers: the uid. */
function configuration(endpoint: URL): string {
  const account = (section: string, name: string, uid: number, access: string, secret: string): string =>
    `[${section}]\ndisplay_name = ${name}\nuser_id = ${uid}\nemail = ${name}@example.org\naccess_key = ${access}\nsecret_key = ${secret}\napi_name = us-east-1\n`;
  return `[DEFAULT]
host = ${endpoint.hostname}
port = ${endpoint.port}
is_secure = False
ssl_verify = False
[fixtures]
bucket prefix = s3tests-{random}-
iam name prefix = s3tests-
iam path prefix = /s3tests/
${account('s3 main', 'root', 0, ACCESS_KEY, SECRET_KEY)}
${account('s3 alt', 'alt', 2002, 'alt-access', 'alt-secret-key')}
${account('s3 tenant', 'tenant', 2003, 'tenant-access', 'tenant-secret-key')}tenant = testx
${account('iam', 'root', 0, ACCESS_KEY, SECRET_KEY)}
${account('iam root', 'root', 0, ACCESS_KEY, SECRET_KEY)}
${account('iam alt root', 'alt', 2002, 'alt-access', 'alt-secret-key')}
`;
}
