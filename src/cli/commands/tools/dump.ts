import { finished } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import { UserError } from '../../../base/errors.ts';
import { openOutput } from '../../output-file.ts';
import { startProgress } from '../../progress.ts';
import { stoppable } from '../../service/stoppable.ts';
import { TOOL_SETTINGS, withVolume } from '../../volume/tool-volume.ts';
import { defineCommand } from '../command-spec.ts';
import { readVersion } from '../version.ts';

export const dumpCommand = defineCommand({
  name: 'dump',
  positional: '[url]',
  summary: 'write all metadata of a volume, as of one moment, while it is used; `load` makes a volume from it',
  examples: [
    'janusfs dump --output home.jdump',
    'janusfs dump redis://localhost/0?volume=home | ssh backup "cat > home.jdump"',
  ],
  options: [
    { flags: '--output <FILE>', text: 'write FILE, which is there when it is complete; standard output without it' },
  ],
  settings: TOOL_SETTINGS,
  async run(call) {
    const { output } = call.options;
    if (output === undefined && process.stdout.isTTY)
      throw new UserError('a dump is no text for a terminal; give --output FILE', 2);
    await withVolume(call, call.args[0], async ({ meta }) => {
      const { dumpVolume } = await import('../../../dump/dump-volume.ts');
      const { writeTo } = await import('../../../dump/copies.ts');
      const bar = startProgress('dump');
      const target = openOutput(output); // It will hold the secret keys of the volume's users.
      const gzip = createGzip({ level: 3 });
      const written = Promise.race([finished(gzip), target.failed]);
      written.catch(() => {}); // Awaited below, unless the dump fails first.
      gzip.pipe(target.stream, { end: false });
      try {
        const report = await stoppable((signal) => {
          const options = { version: readVersion(), signal, progress: (fraction: number) => bar.update(fraction) };
          return dumpVolume(meta, options, (bytes) => writeTo(gzip, bytes, written));
        });
        gzip.end();
        await written;
        await target.complete();
        process.stderr.write(`dumped ${report.keys} keys (${report.bytes} bytes before compression)\n`);
      } catch (error) {
        target.discard();
        throw error;
      } finally {
        bar.stop();
      }
    });
  },
});
