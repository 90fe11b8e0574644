import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { ROOT } from './source-files.ts';

test('no package that is shipped has a known hole of high severity', { timeout: 120_000 }, (t) => {
  const audit = spawnSync('npm', ['audit', '--omit=dev', '--json'], { cwd: ROOT, encoding: 'utf8', timeout: 100_000 });
  let report: { vulnerabilities?: Record<string, { severity: string }> };
  try {
    report = JSON.parse(audit.stdout);
  } catch {
    report = {};
  }
  if (report.vulnerabilities === undefined) {
    t.skip('the registry does not answer audits');
    return;
  }
  const grave = Object.entries(report.vulnerabilities).filter(([, { severity }]) =>
    ['high', 'critical'].includes(severity),
  );
  assert.deepEqual(grave, []);
});
