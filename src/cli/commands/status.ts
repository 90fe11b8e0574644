import { formatBytes, formatDurationMs } from '../../base/units.ts';
import type { SessionInfo, VolumeUsage } from '../../base/vocabulary.ts';
import { TOOL_SETTINGS, type ToolVolume, withVolume } from '../volume/tool-volume.ts';
import { defineCommand } from './command-spec.ts';

interface Status {
  volume: string;
  uuid: string;
  store: string;
  data: string | undefined;
  served: boolean;
  durability: string;
  usage: VolumeUsage;
  scrub: { rate: number; underWay: boolean; endedMs: number; damagedBlocks: number };
  sessions: SessionInfo[];
}

export const statusCommand = defineCommand({
  name: 'status',
  positional: '[url]',
  summary: 'show a volume: store, usage, what fsync waits for, mounts and gateways',
  examples: ['janusfs status', 'janusfs status redis://localhost/0?volume=home --json'],
  options: [{ flags: '--json', text: 'print JSON' }],
  settings: TOOL_SETTINGS,
  async run(call) {
    await withVolume(call, call.args[0], async (volume) => {
      const status = await readStatus(volume);
      const text = call.options.json === undefined ? formatStatus(status) : JSON.stringify(status, undefined, 2);
      process.stdout.write(`${text}\n`);
    });
  },
});

async function readStatus({ meta, data, served }: ToolVolume): Promise<Status> {
  const { readScrub } = await import('../../check/scrub-blocks.ts');
  const [usage, sessions, scrub] = await Promise.all([meta.session.usage(), meta.session.list(), readScrub(meta)]);
  const { name, uuid, store } = meta.session.format;
  return {
    volume: name,
    uuid,
    store,
    data,
    served,
    durability: meta.durability.text,
    usage,
    scrub: {
      rate: scrub.rate,
      underWay: scrub.cursor !== '',
      endedMs: scrub.endedMs,
      damagedBlocks: scrub.bad.size,
    },
    // This command's own session is left out.
    sessions: sessions.filter(({ sid }) => sid !== meta.session.sid),
  };
}

function formatStatus(status: Status): string {
  const { usage, sessions } = status;
  const lines = [
    `volume      ${status.volume} (${status.uuid})`,
    `store       ${status.store}`,
    ...(status.data === undefined ? [] : [`data        ${status.data}${status.served ? '' : ' (not up)'}`]),
    `durability  ${status.durability}`,
    `used        ${formatBytes(usage.usedBytes)}${limited(usage.maxBytes, formatBytes)} in ${usage.usedInodes}${limited(usage.maxInodes, String)} inodes, ${formatBytes(usage.inlineBytes)} inline`,
    `scrub       ${formatScrubState(status.scrub)}`,
    `sessions    ${sessions.length === 0 ? 'none' : sessions.length}`,
  ];
  for (const session of sessions) {
    const leaseMs = Math.max(0, session.expiresMs - Date.now());
    lines.push(
      `  ${session.kind} ${session.where || '(starting)'} on ${session.hostname}, process ${session.pid}, ` +
        `since ${new Date(session.startedMs).toISOString()}, lease ends in ${formatDurationMs(leaseMs)}`,
    );
  }
  return lines.join('\n');
}

function formatScrubState({ rate, underWay, endedMs, damagedBlocks }: Status['scrub']): string {
  const parts = [
    rate === 0 ? 'off' : `on, ${formatBytes(rate)} a second`,
    ...(underWay ? ['under way'] : []),
    ...(endedMs === 0 ? [] : [`last pass ended ${new Date(endedMs).toISOString()}`]),
    ...(damagedBlocks === 0 ? [] : [`${damagedBlocks} damaged blocks (janusfs scrub names them)`]),
  ];
  return parts.join(', ');
}

function limited(limit: number | undefined, format: (value: number) => string): string {
  return limit === undefined ? '' : ` of ${format(limit)}`;
}
