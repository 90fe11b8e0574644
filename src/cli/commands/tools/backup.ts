import { UserError } from '../../../base/errors.ts';
import { formatBytes, formatDurationMs, parseDurationMs } from '../../../base/units.ts';
import type { ObjectStore } from '../../../chunk/chunks.ts';
import { openStore } from '../../../chunk/object/open-store.ts';
import type { CopyPlan } from '../../../dump/copy-plan.ts';
import { stoppable } from '../../service/stoppable.ts';
import { TOOL_SETTINGS, withVolume } from '../../volume/tool-volume.ts';
import { defineCommand } from '../command-spec.ts';
import { readVersion } from '../version.ts';

const KEEP_DEFAULT = 7;
const KEEP_MAX = 1_000;
const EVERY_MS_MIN = 60_000;

export const backupCommand = defineCommand({
  name: 'backup',
  positional: '[url]',
  summary: 'copies of the metadata in the object store: list them, take one, or have them taken regularly',
  examples: [
    'janusfs backup                          the plan, and the copies that are there',
    'janusfs backup --every 24h --keep 7     whoever serves the volume takes them',
    'janusfs backup --now',
    'janusfs load file:///srv/home-blocks redis://localhost/0?volume=home     makes the volume again from the newest',
  ],
  options: [
    {
      flags: '--every <TIME>',
      text: 'take one so often, at least 1m; deleted blocks that the newest copy names are kept until the next',
    },
    { flags: '--keep <N>', text: `copies kept, 1 to ${KEEP_MAX} (default ${KEEP_DEFAULT})` },
    { flags: '--off', text: 'take no more' },
    { flags: '--now', text: 'take one now' },
    { flags: '--json', text: 'print JSON' },
  ],
  settings: TOOL_SETTINGS,
  async run(call) {
    const { every, keep, off, now, json } = call.options;
    if (off !== undefined && every !== undefined) throw new UserError('--off and --every contradict each other', 2);
    const kept = keep === undefined ? undefined : Number(keep);
    if (kept !== undefined && !(Number.isInteger(kept) && kept >= 1 && kept <= KEEP_MAX)) {
      throw new UserError(`--keep ${keep} is no number of copies from 1 to ${KEEP_MAX}`, 2);
    }
    const everyMs = every === undefined ? undefined : parseDurationMs(every, 1000);
    if (everyMs !== undefined && everyMs < EVERY_MS_MIN) throw new UserError(`--every ${every} is less than 1m`, 2);
    await withVolume(call, call.args[0], async ({ meta, store: url }) => {
      const { copyNow, readPlan, setPlan } = await import('../../../dump/copy-plan.ts');
      const store = await openStore(url, { create: false });
      try {
        const before = await readPlan(meta);
        if (off !== undefined) await setPlan(meta, undefined);
        else if (everyMs !== undefined || (kept !== undefined && before.everyMs > 0)) {
          const wanted = everyMs ?? before.everyMs;
          await setPlan(meta, { everyMs: wanted, keep: kept ?? (before.keep || KEEP_DEFAULT) });
        }
        if (now !== undefined) {
          const number = kept ?? (before.keep || KEEP_DEFAULT);
          await stoppable((signal) => copyNow(meta, store, { version: readVersion(), keep: number, signal }));
        }
        await show(await readPlan(meta), store, json !== undefined);
      } finally {
        await store.close();
      }
    });
  },
});

async function show(plan: CopyPlan, store: ObjectStore, json: boolean): Promise<void> {
  const { listCopies } = await import('../../../dump/copies.ts');
  const copies = await listCopies(store);
  if (json) {
    process.stdout.write(`${JSON.stringify({ everyMs: plan.everyMs, keep: plan.keep, copies }, undefined, 2)}\n`);
    return;
  }
  const lines = [
    plan.everyMs === 0
      ? 'no regular copies; --every 24h begins them'
      : `a copy every ${formatDurationMs(plan.everyMs)}, ${plan.keep} are kept`,
    ...copies.map(({ name, bytes }) => `${name}  ${formatBytes(bytes)}`),
  ];
  process.stdout.write(`${lines.join('\n')}\n`);
}
