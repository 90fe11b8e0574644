import { UserError } from '../../../base/errors.ts';
import { formatBytes, parseDurationMs } from '../../../base/units.ts';
import type { FsckReport } from '../../../check/check-volume.ts';
import type { Finding } from '../../../check/findings.ts';
import { openStore } from '../../../chunk/object/open-store.ts';
import { startProgress } from '../../progress.ts';
import { stoppable } from '../../service/stoppable.ts';
import { claimStore, isEmptyVolume } from '../../volume/store-marker.ts';
import { TOOL_SETTINGS, type ToolVolume, withVolume } from '../../volume/tool-volume.ts';
import { defineCommand } from '../command-spec.ts';

/** As e2fsck's: nothing found, all mended, something left, could not look. */
const CLEAN = 0;
const MENDED = 1;
const LEFT = 4;
const FAILED = 8;
/** As gc's. */
export const DEFAULT_AGE = '24h';
const AGE_MS_MIN = 60 * 60 * 1000;

export const fsckCommand = defineCommand({
  name: 'fsck',
  positional: '[url]',
  summary: 'check a volume, while it is used: metadata, blocks, counters; with --repair, mend it',
  examples: [
    'janusfs fsck',
    'janusfs fsck redis://localhost/0?volume=home --deep --json',
    'janusfs fsck --repair        exit status: 0 clean, 1 all mended, 4 something is left, 8 could not look',
  ],
  options: [
    { flags: '--repair', text: 'mend what can be mended without losing anything' },
    {
      flags: '--zero-lost',
      text: 'with --repair: bytes that are nowhere any more read as zeros, so that the rest of the file can be read',
    },
    { flags: '--deep', text: 'read every block and check its checksums' },
    {
      flags: '--age <TIME>',
      text: `objects that no file names are left alone until they are so old, at least 1h (default ${DEFAULT_AGE})`,
    },
    { flags: '--json', text: 'print a JSON object per finding and a last one with the sums' },
  ],
  settings: TOOL_SETTINGS,
  failedStatus: FAILED,
  async run(call) {
    const { repair, zeroLost, deep, age, json } = call.options;
    if (zeroLost !== undefined && repair === undefined)
      throw new UserError('--zero-lost gives up bytes: it needs --repair', 2);
    const orphanAgeMs = ageMs(age);
    let status = CLEAN;
    await withVolume(call, call.args[0], async (volume) => {
      const print = json === undefined ? printText : printJson;
      const report = await check(
        volume,
        { repair: repair !== undefined, zeroLost: zeroLost !== undefined, deep: deep !== undefined, orphanAgeMs },
        print,
      );
      status = report.found === 0 ? CLEAN : report.mended === report.found ? MENDED : LEFT;
      if (json === undefined) process.stdout.write(`${formatReport(report, repair !== undefined)}\n`);
      else process.stdout.write(`${JSON.stringify(report)}\n`);
    });
    return status;
  },
});

/** @throws UserError for what is no time, or less than an hour. */
export function ageMs(text: string | undefined): number {
  const ms = parseDurationMs(text ?? DEFAULT_AGE, 1000);
  if (ms < AGE_MS_MIN)
    throw new UserError(`--age ${text} is less than 1h: younger objects may be on their way into a file`, 2);
  return ms;
}

async function check(
  volume: ToolVolume,
  options: { repair: boolean; zeroLost: boolean; deep: boolean; orphanAgeMs: number },
  print: (finding: Finding) => void,
): Promise<FsckReport> {
  const { fsck } = await import('../../../check/check-volume.ts');
  const store = await openStore(volume.store, { create: false });
  const bar = startProgress('fsck');
  try {
    return await stoppable(async (signal) => {
      await claimStore(store, volume.meta.session.format, signal, () => isEmptyVolume(volume.meta));
      return fsck(volume.meta, store, volume.logger, {
        ...options,
        signal,
        progress: (_step, fraction) => bar.update(fraction),
        found: print,
      });
    });
  } finally {
    bar.stop();
    await store.close();
  }
}

function printJson(finding: Finding): void {
  process.stdout.write(`${JSON.stringify(finding)}\n`);
}

function printText({ kind, what, path, state, why }: Finding): void {
  const where = path === undefined ? '' : ` (${path})`;
  const end = state === 'mended' ? ': mended' : why === undefined ? '' : `; ${why}`;
  process.stdout.write(`${kind}: ${what}${where}${end}\n`);
}

function formatReport(report: FsckReport, repair: boolean): string {
  const { inodes, objects, objectBytes, blocksRead, youngOrphans, foreignObjects, quiet, found, mended } = report;
  const lines = [
    `${inodes} inodes, ${objects} objects of ${formatBytes(objectBytes)}${blocksRead > 0 ? `, ${blocksRead} blocks read` : ''}: ` +
      (found === 0
        ? 'clean'
        : `${found} found${repair ? `, ${mended} mended, ${found - mended} left` : '; --repair mends what can be mended'}`),
  ];
  if (!quiet) lines.push('the volume was written meanwhile: counters were not judged');
  if (youngOrphans > 0)
    lines.push(`${youngOrphans} objects that no file names are younger than --age, and were left alone`);
  if (foreignObjects > 0) lines.push(`${foreignObjects} objects under chunks/ are no blocks of janusfs`);
  return lines.join('\n');
}
