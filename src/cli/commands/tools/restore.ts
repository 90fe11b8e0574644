import { UserError } from '../../../base/errors.ts';
import type { TrashedFile } from '../../../trash/trashed-files.ts';
import { TOOL_SETTINGS, withVolume } from '../../volume/tool-volume.ts';
import { defineCommand } from '../command-spec.ts';

export const restoreCommand = defineCommand({
  name: 'restore',
  positional: '<path> [url]',
  summary: 'get a removed or overwritten file back from the trash, or all below a directory',
  examples: [
    'janusfs restore bkt/report.txt',
    'janusfs restore bkt/dir/ redis://localhost/0?volume=home     everything below; what is there stays',
    'janusfs restore bkt/report.txt --before 2026-11-20T12:00:00Z --to bkt/report-old.txt',
  ],
  options: [
    { flags: '--to <PATH>', text: 'restore to another path; of a directory, below another one' },
    { flags: '--before <TIME>', text: 'what was removed last before that time (ISO 8601); otherwise the newest' },
  ],
  settings: TOOL_SETTINGS,
  async run(call) {
    const { to, before } = call.options;
    const wanted = call.args[0]!.replace(/^\/+/, '');
    const beforeMs = before === undefined ? Number.POSITIVE_INFINITY : Date.parse(before);
    if (Number.isNaN(beforeMs)) throw new UserError(`--before ${before} is no time; write 2026-11-20T12:00:00Z`, 2);
    await withVolume(call, call.args[1], async ({ meta }) => {
      const { listTrash, restoreFile } = await import('../../../trash/trashed-files.ts');
      const files = newest(await listTrash(meta), wanted, beforeMs);
      if (files.length === 0) throw new UserError(`the trash holds no '${wanted}'; janusfs trash lists what there is`);
      const isDirectory = wanted === '' || wanted.endsWith('/');
      let kept = 0;
      for (const file of files) {
        const path = to === undefined ? file.path : isDirectory ? `${to}/${file.path.slice(wanted.length)}` : to;
        if (path.split('/').includes('?')) {
          throw new UserError(`where '${file.path}' was is not known any more; take it from .trash by hand`);
        }
        if (await restoreFile(meta, file, path)) process.stdout.write(`${path}\n`);
        else if (!isDirectory) throw new UserError(`'${path}' is there; remove it first, or use --to`);
        else kept += 1;
      }
      if (kept > 0) process.stderr.write(`${kept} files are there already and were left as they are\n`);
    });
  },
});

/** The newest version of each path that is meant. */
function newest(files: readonly TrashedFile[], wanted: string, beforeMs: number): TrashedFile[] {
  const found = new Map<string, TrashedFile>();
  for (const file of files) {
    const isMeant = wanted === '' || (wanted.endsWith('/') ? file.path.startsWith(wanted) : file.path === wanted);
    // Oldest first: the last one counts.
    if (isMeant && file.removedMs < beforeMs) found.set(file.path, file);
  }
  return [...found.values()];
}
