import { readFileSync } from 'node:fs';

export interface MountEntry {
  path: string;
  /** File system type: `fuse.janusfs`, `ext4`. */
  type: string;
  source: string;
}

/**
 * The topmost mount at a path, from the kernel's table: it answers even where the mount itself would hang.
 * @see proc_pid_mountinfo(5)
 */
export function findMount(path: string): MountEntry | undefined {
  return readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map(parseLine)
    .findLast((mount) => mount.path === path);
}

function parseLine(line: string): MountEntry {
  const fields = line.split(' ');
  const tail = fields.indexOf('-', 6);
  return { path: unescape(fields[4]!), type: fields[tail + 1] ?? '', source: unescape(fields[tail + 2] ?? '') };
}

/** Space, tab, newline and backslash stand as three octal digits. */
function unescape(field: string): string {
  return field.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
}
