import { TOOL_SETTINGS, withVolume } from '../../volume/tool-volume.ts';
import { defineCommand } from '../command-spec.ts';

export const pendingCommand = defineCommand({
  name: 'pending',
  positional: '[url]',
  summary: 'show whose journals hold written data that is not in the store yet (write-back)',
  examples: ['janusfs pending redis://redis.example/0?volume=home'],
  options: [{ flags: '--json', text: 'print JSON: slices by journal' }],
  settings: TOOL_SETTINGS,
  async run(call) {
    await withVolume(call, call.args[0], async ({ meta }) => {
      const slices = new Map<string, number>();
      for await (const page of meta.scan.fields('pend')) {
        for (const [, place] of page) slices.set(place.toString(), (slices.get(place.toString()) ?? 0) + 1);
      }
      if (call.options.json !== undefined) {
        process.stdout.write(`${JSON.stringify(Object.fromEntries(slices))}\n`);
        return;
      }
      if (slices.size === 0) process.stdout.write('nothing is pending: all data is in the store\n');
      for (const [place, count] of slices) process.stdout.write(`${place}  ${count} slices\n`);
    });
  },
});
