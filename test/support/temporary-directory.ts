import { mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { afterwards } from './clean-up.ts';

/** A directory of the test's own, without symbolic links in its path; removed after the test. */
export function temporaryDirectory(t: TestContext, name: string): string {
  const path = mkdtempSync(join(realpathSync(tmpdir()), `janusfs-${name}-`));
  afterwards(t, () => rmSync(path, { recursive: true, force: true, maxRetries: 3 }));
  return path;
}
