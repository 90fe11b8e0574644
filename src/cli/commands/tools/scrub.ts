import { UserError } from '../../../base/errors.ts';
import { formatBytes, formatDurationMs, parseBytes, parseDurationMs } from '../../../base/units.ts';
import type { ScrubState } from '../../../check/scrub-blocks.ts';
import { openStore } from '../../../chunk/object/open-store.ts';
import { startProgress } from '../../progress.ts';
import { stoppable } from '../../service/stoppable.ts';
import { TOOL_SETTINGS, withVolume } from '../../volume/tool-volume.ts';
import { defineCommand } from '../command-spec.ts';

const EVERY_DEFAULT_MS = 30 * 24 * 3600 * 1000;
const RATE_DEFAULT = 16 * 2 ** 20;
/** As fsck: damage was found and is not mended. */
const FOUND = 4;

export const scrubCommand = defineCommand({
  name: 'scrub',
  positional: '[url]',
  summary: 'read every block and check it: now, or regularly by whoever serves the volume',
  examples: [
    'janusfs scrub                            the plan, how far it is, damaged blocks',
    'janusfs scrub --every 30d --rate 16MiB   from now on, in the background',
    'janusfs scrub --now',
    'janusfs scrub --off',
  ],
  options: [
    { flags: '--every <TIME>', text: 'begin a pass so often (default 30d)' },
    { flags: '--rate <SIZE>', text: 'read at most so much per second (default 16MiB in the background)' },
    { flags: '--off', text: 'scrub no more' },
    { flags: '--now', text: 'read everything now, here; exit status 4 when a block is damaged' },
    { flags: '--json', text: 'print JSON' },
  ],
  settings: TOOL_SETTINGS,
  async run(call) {
    const { every, rate, off, now, json } = call.options;
    if (off !== undefined && (every !== undefined || rate !== undefined || now !== undefined)) {
      throw new UserError('--off contradicts the other options', 2);
    }
    const bytesPerSecond = rate === undefined ? undefined : parseBytes(rate);
    if (bytesPerSecond === 0) throw new UserError('--rate 0 would never end; use --off', 2);
    const everyMs = every === undefined ? undefined : parseDurationMs(every, 1000);
    let status = 0;
    await withVolume(call, call.args[0], async ({ meta, store: url, logger }) => {
      const { readScrub, Scrubber, setScrub } = await import('../../../check/scrub-blocks.ts');
      if (off !== undefined) await setScrub(meta, undefined);
      else if (everyMs !== undefined || (bytesPerSecond !== undefined && now === undefined)) {
        const before = await readScrub(meta);
        await setScrub(meta, {
          rate: bytesPerSecond ?? (before.rate || RATE_DEFAULT),
          everyMs: everyMs ?? (before.everyMs || EVERY_DEFAULT_MS),
        });
      }
      if (now !== undefined) {
        const store = await openStore(url, { create: false });
        const scrubber = new Scrubber(meta, store, logger);
        const state = { ...(await readScrub(meta)), cursor: '' };
        const { usedBytes } = await meta.session.usage();
        const progress = startProgress('scrubbing');
        try {
          await stoppable((signal) =>
            scrubber.run(state, {
              rate: bytesPerSecond ?? Number.POSITIVE_INFINITY,
              signal,
              onBlock: ({ bytes }) => progress.update(bytes / Math.max(1, usedBytes)),
            }),
          );
        } finally {
          progress.stop();
          scrubber.close();
          await store.close();
        }
      }
      const state = await readScrub(meta);
      process.stdout.write(json === undefined ? `${formatScrub(state)}\n` : `${JSON.stringify(jsonOf(state))}\n`);
      status = state.bad.size > 0 ? FOUND : 0;
    });
    return status;
  },
});

function jsonOf({ bad, ...state }: ScrubState): object {
  return { ...state, bad: Object.fromEntries(bad) };
}

/** Several lines: plan, pass, damaged blocks. */
export function formatScrub(state: ScrubState): string {
  const { rate, everyMs, cursor, beganMs, endedMs, blocks, bytes, bad } = state;
  const time = (ms: number): string => new Date(ms).toISOString();
  const read = `${blocks} blocks, ${formatBytes(bytes)}`;
  return [
    rate === 0
      ? 'not scrubbed in the background; --every 30d begins it'
      : `a pass every ${formatDurationMs(everyMs)}, at ${formatBytes(rate)} a second`,
    ...(cursor === '' ? [] : [`under way since ${time(beganMs)}: ${read}`]),
    endedMs === 0 ? 'no pass has ended yet' : `the last pass ended ${time(endedMs)}${cursor === '' ? `: ${read}` : ''}`,
    ...[...bad].map(([key, what]) => `damaged: ${key}: ${what}`),
    ...(bad.size === 0 ? [] : ['janusfs fsck --deep says which files are hurt']),
  ].join('\n');
}
