/** Keeps secrets of this process out of places where others look. */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import type { Logger } from '../../base/log.ts';
import { withoutPassword } from '../volume/volume-argument.ts';

/**
 * A crash leaves no core file, which would hold keys and file data. Where that cannot be had (no util-linux), the log says so.
 * Children, redis-server among them, inherit it.
 */
export function forbidCoreFiles(logger: Logger): void {
  let limits: string;
  try {
    limits = readFileSync('/proc/self/limits', 'latin1');
  } catch {
    return; // No Linux: no mount, either.
  }
  if (/^Max core file size\s+0\s/m.test(limits)) return;
  const limited = spawnSync('prlimit', ['--pid', String(process.pid), '--core=0:'], {
    stdio: 'ignore',
    timeout: 10_000,
  });
  if (limited.status !== 0)
    logger.warn({}, 'core files are not switched off (prlimit is part of util-linux); use: ulimit -c 0');
}

/** Passwords of URLs in the command line are taken out of what `ps` shows, as soon as we run. */
export function hidePasswords(argv: readonly string[]): void {
  const shown = argv.map(withoutPassword);
  if (shown.some((text, i) => text !== argv[i])) process.title = ['janusfs', ...shown].join(' ');
}
