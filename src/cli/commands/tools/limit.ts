import { UserError } from '../../../base/errors.ts';
import { formatBytes, parseBytes } from '../../../base/units.ts';
import { TOOL_SETTINGS, withVolume } from '../../volume/tool-volume.ts';
import { defineCommand } from '../command-spec.ts';

export const limitCommand = defineCommand({
  name: 'limit',
  positional: '[url]',
  summary: 'show or set how large a volume may become; clients heed it within a second',
  examples: [
    'janusfs limit --capacity 500GiB --inodes 10000000',
    'janusfs limit redis://localhost/0?volume=home --capacity none',
  ],
  options: [
    { flags: '--capacity <SIZE>', text: 'limit of what all files take together, or none' },
    { flags: '--inodes <N>', text: 'limit of files and directories, or none' },
  ],
  settings: TOOL_SETTINGS,
  async run(call) {
    const limits = parseLimits(call.options);
    await withVolume(call, call.args[0], async ({ meta }) => {
      if (limits !== undefined) await meta.session.setLimits(limits);
      const { usedBytes, usedInodes, maxBytes, maxInodes } = await meta.session.usage();
      const of = (used: string, limit: string | undefined): string =>
        `${used} used, ${limit === undefined ? 'no limit' : `limit ${limit}`}`;
      process.stdout.write(
        `capacity    ${of(formatBytes(usedBytes), maxBytes === undefined ? undefined : formatBytes(maxBytes))}\n` +
          `inodes      ${of(String(usedInodes), maxInodes?.toString())}\n`,
      );
    });
  },
});

/** 0 for `none`; undefined when neither is given. @throws UserError for what is no size or number. */
export function parseLimits(
  options: Readonly<Record<string, string | undefined>>,
): { maxBytes?: number; maxInodes?: number } | undefined {
  const { capacity, inodes } = options;
  if (capacity === undefined && inodes === undefined) return undefined;
  const maxBytes = capacity === undefined ? undefined : capacity === 'none' ? 0 : parseBytes(capacity);
  if (maxBytes === 0 && capacity !== 'none')
    throw new UserError('--capacity 0 would hold nothing; write none for no limit', 2);
  const maxInodes = inodes === undefined ? undefined : inodes === 'none' ? 0 : Number(inodes);
  if (maxInodes !== undefined && !(Number.isSafeInteger(maxInodes) && (maxInodes > 0 || inodes === 'none'))) {
    throw new UserError(`--inodes ${inodes} is no number of files; write for example 1000000, or none`, 2);
  }
  return { ...(maxBytes === undefined ? {} : { maxBytes }), ...(maxInodes === undefined ? {} : { maxInodes }) };
}
