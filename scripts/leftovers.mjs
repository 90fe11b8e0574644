// Finds and removes what one test file left: processes it started and mounts below its temporary directory.
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';

const ROUNDS_MAX = 10;

/**
 * Kills what the file of this TMPDIR started and unmounts what it mounted. Answers what there was, for the report.
 * A process counts as its own when it is in the file's process group, or when its environment, working directory or
 * command line names the file's own temporary directory, which nobody else knows. Linux only; elsewhere the group.
 */
export function clearAway(temporary, groupId) {
  if (process.platform !== 'linux') return [];
  const left = new Map();
  for (let round = 0; round < ROUNDS_MAX; round++) {
    const processes = ownProcesses(temporary, groupId);
    const mounts = mountsBelow(temporary);
    if (processes.length === 0 && mounts.length === 0) break;
    for (const { pid, command } of processes) {
      left.set(`process ${pid}`, `process ${pid} (${command})`);
      kill(pid);
    }
    for (const mount of mounts.reverse()) {
      left.set(`mount ${mount.path}`, `mount ${mount.path} (${mount.type})`);
      unmount(mount);
    }
    pause(50 * (round + 1));
  }
  return [...left.values()];
}

function ownProcesses(temporary, groupId) {
  const own = [];
  for (const name of readdirSync('/proc')) {
    const pid = Number(name);
    if (!Number.isInteger(pid) || pid <= 1 || pid === process.pid) continue;
    const stat = read(`/proc/${pid}/stat`);
    // After the command in parentheses: state, parent, process group.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    if (stat === '' || fields[0] === 'Z') continue;
    if (Number(fields[2]) === groupId || names(pid, temporary)) {
      own.push({ pid, command: read(`/proc/${pid}/cmdline`).replaceAll('\0', ' ').trim().slice(0, 120) });
    }
  }
  return own;
}

function names(pid, temporary) {
  if (read(`/proc/${pid}/environ`).includes(`${temporary}\0`)) return true;
  if (read(`/proc/${pid}/cmdline`).includes(`${temporary}/`)) return true;
  try {
    return readlinkSync(`/proc/${pid}/cwd`).startsWith(temporary);
  } catch {
    return false; // Gone meanwhile, or another user's process.
  }
}

function read(path) {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return ''; // Gone meanwhile, or another user's process.
  }
}

function kill(pid) {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if (error.code !== 'ESRCH') throw error;
  }
}

/** Mounts below a directory, outermost first, from the kernel's table (proc_pid_mountinfo(5)). */
export function mountsBelow(directory) {
  return read('/proc/self/mountinfo')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      const fields = line.split(' ');
      const type = fields[fields.indexOf('-') + 1];
      const path = fields[4].replace(/\\([0-7]{3})/g, (_, octal) => String.fromCharCode(Number.parseInt(octal, 8)));
      return { path, type, minor: fields[2].split(':')[1] };
    })
    .filter(({ path }) => path.startsWith(`${directory}/`));
}

/** A FUSE connection without a server is aborted first, so that nothing can hang in it. */
function unmount({ path, type, minor }) {
  if (type.startsWith('fuse')) {
    try {
      writeFileSync(`/sys/fs/fuse/connections/${minor}/abort`, '1');
    } catch {
      // Not mounted in /sys or not permitted: the lazy unmount below does without.
    }
  }
  const [command, ...args] = process.getuid() === 0 ? ['umount', '-l', path] : ['fusermount3', '-u', '-z', path];
  spawnSync(command, args, { timeout: 10_000, stdio: 'ignore' });
}

function pause(ms) {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}
