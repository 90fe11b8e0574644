import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import { ROOT } from './source-files.ts';

/** Generous: the whole tree on a loaded machine. */
const BOUNDED = { timeout: 240_000 };

function runTool(name: string, args: string[]): string {
  const result = spawnSync(join(ROOT, 'node_modules', '.bin', name), args, {
    cwd: ROOT,
    encoding: 'utf8',
    timeout: 200_000,
    maxBuffer: 64 * 1024 * 1024,
  });
  if (result.error !== undefined) throw result.error;
  return result.status === 0 ? '' : `${result.stdout}${result.stderr}`;
}

test('the type checker has nothing to say', BOUNDED, () => {
  const said = runTool('tsc', ['-p', ROOT, '--noEmit']);
  if (said !== '') assert.fail(said);
});

// Tests use what production does not only where its docstring says so (@testing).
for (const [what, args] of [
  ['module, test or tool', []],
  ['module of production', ['--production', '--tags=-testing']],
] as const) {
  test(`no ${what} is without a user, nor an export, nor a dependency`, BOUNDED, () => {
    const said = runTool('knip', [...args]);
    if (said !== '') assert.fail(said);
  });
}

test('the linter and formatter have nothing to say', BOUNDED, () => {
  const said = runTool('biome', ['check', '--max-diagnostics=100', '--colors=off', '.']);
  if (said !== '') assert.fail(said);
});
