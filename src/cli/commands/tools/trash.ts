import { UserError } from '../../../base/errors.ts';
import { formatBytes, formatDurationMs, parseDurationMs } from '../../../base/units.ts';
import type { TrashedFile, TrashPlan } from '../../../trash/trashed-files.ts';
import { TOOL_SETTINGS, withVolume } from '../../volume/tool-volume.ts';
import { defineCommand } from '../command-spec.ts';

const KEEP_MS_MIN = 60_000;

export const trashCommand = defineCommand({
  name: 'trash',
  positional: '[url]',
  summary: 'keep removed and overwritten files for a while; list them, or free them',
  examples: [
    'janusfs trash --keep 7d        from now on; they are in MNT/.trash',
    'janusfs trash                  what is kept, oldest first',
    'janusfs trash --empty          frees all of it; --older 1d: what was removed so long ago',
    'janusfs trash --off            keeps nothing more',
  ],
  options: [
    { flags: '--keep <TIME>', text: 'keep what is removed or overwritten from now on so long, at least 1m' },
    { flags: '--off', text: 'keep nothing more; what is there stays its time' },
    { flags: '--empty', text: 'free what is there' },
    { flags: '--older <TIME>', text: 'with --empty: only what was removed so long ago' },
    { flags: '--json', text: 'print a JSON object per file and a last one with the plan' },
  ],
  settings: TOOL_SETTINGS,
  async run(call) {
    const { keep, off, empty, older, json } = call.options;
    if (keep !== undefined && off !== undefined) throw new UserError('--keep and --off contradict each other', 2);
    if (older !== undefined && empty === undefined) throw new UserError('--older needs --empty', 2);
    const keepMs = keep === undefined ? undefined : parseDurationMs(keep, 1000);
    if (keepMs !== undefined && keepMs < KEEP_MS_MIN) throw new UserError(`--keep ${keep} is less than 1m`, 2);
    const olderMs = older === undefined ? 0 : parseDurationMs(older, 1000);
    await withVolume(call, call.args[0], async ({ meta }) => {
      const trash = await import('../../../trash/trashed-files.ts');
      if (keepMs !== undefined) await trash.beginTrash(meta, keepMs);
      if (off !== undefined) await trash.endTrash(meta);
      if (empty !== undefined) {
        const gone = await trash.emptyTrash(meta, Math.floor(meta.clock.nowUs() / 1000) - olderMs);
        if (json === undefined) process.stdout.write(`${gone} files freed\n`);
      }
      const plan = await trash.readTrashPlan(meta);
      const files = await trash.listTrash(meta);
      process.stdout.write(json === undefined ? textOf(plan, files) : jsonOf(plan, files));
    });
  },
});

function textOf(plan: TrashPlan, files: readonly TrashedFile[]): string {
  const bytes = files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  const lines = files.map(
    ({ path, removedMs, sizeBytes, overwritten }) =>
      `${new Date(removedMs).toISOString()}  ${overwritten ? 'overwritten' : 'removed    '}  ${formatBytes(sizeBytes)}  ${path}`,
  );
  const state = plan.on
    ? `what is removed is kept ${formatDurationMs(plan.keepMs)}`
    : 'nothing is kept; --keep 7d begins it';
  return [...lines, `${files.length} files of ${formatBytes(bytes)}; ${state}`, ''].join('\n');
}

function jsonOf(plan: TrashPlan, files: readonly TrashedFile[]): string {
  const rows = files.map(({ path, removedMs, sizeBytes, overwritten, ino }) => ({
    path,
    removedMs,
    sizeBytes,
    overwritten,
    ino,
  }));
  return [...rows, { on: plan.on, keepMs: plan.keepMs, files: files.length }]
    .map((row) => `${JSON.stringify(row)}\n`)
    .join('');
}
