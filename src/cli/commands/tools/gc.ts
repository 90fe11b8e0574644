import { UserError } from '../../../base/errors.ts';
import { formatBytes } from '../../../base/units.ts';
import type { GcReport } from '../../../check/collect-garbage.ts';
import { openStore } from '../../../chunk/object/open-store.ts';
import { startProgress } from '../../progress.ts';
import { stoppable } from '../../service/stoppable.ts';
import { claimStore, isEmptyVolume } from '../../volume/store-marker.ts';
import { TOOL_SETTINGS, type ToolVolume, withVolume } from '../../volume/tool-volume.ts';
import { KEY_SETTINGS, keySourceOf } from '../../volume/volume-key.ts';
import { defineCommand } from '../command-spec.ts';
import { ageMs, DEFAULT_AGE } from './fsck.ts';

const DEFAULT_LIVE_PERCENT = 50;

export const gcCommand = defineCommand({
  name: 'gc',
  positional: '[url]',
  summary: 'find objects that belong to no file, and packs that are half dead; with --delete, free their room',
  examples: ['janusfs gc', 'janusfs gc --delete --age 3d', 'janusfs gc redis://localhost/0?volume=home --json'],
  options: [
    { flags: '--delete', text: 'delete them, rewrite the packs, and free what is due; without it nothing is changed' },
    { flags: '--age <TIME>', text: `leave what is younger alone, at least 1h (default ${DEFAULT_AGE})` },
    {
      flags: '--live <PERCENT>',
      text: `rewrite packs with at most this share of live bytes, 0 to 90 (default ${DEFAULT_LIVE_PERCENT})`,
    },
    { flags: '--json', text: 'print JSON' },
  ],
  settings: [...TOOL_SETTINGS, ...KEY_SETTINGS],
  async run(call) {
    const { age, live, json } = call.options;
    const percent = live === undefined ? DEFAULT_LIVE_PERCENT : Number(live);
    if (!(percent >= 0 && percent <= 90)) throw new UserError(`--live ${live} is no percentage of 0 to 90`, 2);
    const options = { delete: call.options.delete !== undefined, ageMs: ageMs(age), liveShare: percent / 100 };
    const key = keySourceOf(call.settings, call.env);
    const task = async (volume: ToolVolume): Promise<void> => {
      const { collectGarbage } = await import('../../../check/collect-garbage.ts');
      const store = await openStore(volume.store, { create: false });
      const bar = startProgress('gc');
      try {
        const report = await stoppable(async (signal) => {
          await claimStore(store, volume.meta.session.format, signal, () => isEmptyVolume(volume.meta));
          const progress = (_step: string, fraction: number): void => bar.update(fraction);
          return collectGarbage(volume.meta, store, volume.logger, {
            ...options,
            ...packsOf(volume),
            signal,
            progress,
          });
        });
        bar.stop();
        process.stdout.write(`${json === undefined ? formatReport(report, options.delete) : JSON.stringify(report)}\n`);
      } finally {
        bar.stop();
        await store.close();
      }
    };
    await withVolume(call, call.args[0], task, key);
  },
});

/** Packs hold what is encrypted: without the key they stay as they are. */
function packsOf({ meta, dataKey }: ToolVolume): { dataKey?: Buffer; liveShare?: number } {
  if (dataKey !== undefined) return { dataKey };
  if (meta.session.format.encryption === undefined) return {};
  process.stderr.write('janusfs: half-dead packs are left alone: the volume is encrypted, and its key was not given\n');
  return { liveShare: -1 };
}

function formatReport(report: GcReport, deleted: boolean): string {
  const { objects, objectBytes, orphans, orphanBytes, youngOrphans, packs, packDeadBytes } = report;
  const lines = [
    `${objects} objects of ${formatBytes(objectBytes)}`,
    `${orphans} belong to no file (${formatBytes(orphanBytes)}); ${youngOrphans} more are too young to be judged`,
    `${packs} packs are half dead (${formatBytes(packDeadBytes)} to be freed)`,
  ];
  if (deleted)
    lines.push(
      `deleted ${report.deleted} objects, rewrote ${report.packsRewritten} packs, freed ${report.inodesFreed} removed inodes`,
    );
  else if (orphans > 0 || packs > 0) lines.push('nothing was changed; --delete frees it');
  return lines.join('\n');
}
