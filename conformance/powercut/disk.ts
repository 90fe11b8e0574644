/** A disk that can lose its power: ext4 in a file on a loop device, stopped in one instant by EXT4_IOC_SHUTDOWN. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { shell } from '../cross-frontend/running-up.ts';

/**
 * Prints the lengths of files and stops the file system at once: its journal is not flushed (flag 2).
 * @see fs/ext4/ext4.h, EXT4_GOING_FLAGS_NOLOGFLUSH.
 */
const CUT = `
import fcntl, os, struct, sys
fd = os.open(sys.argv[1], os.O_RDONLY)
print(*[os.path.getsize(log) if os.path.exists(log) else 0 for log in sys.argv[2:]], flush=True)
fcntl.ioctl(fd, 0x8004587d, struct.pack('I', 2))
`;

export class LoopDisk {
  /** Everything of this disk that is not on it: its image, logs. */
  readonly base: string;
  /** Where it is mounted. */
  readonly root: string;
  readonly #image: string;

  private constructor(base: string) {
    this.base = base;
    this.root = join(base, 'disk');
    this.#image = join(base, 'image');
  }

  static async make(sizeMib: number): Promise<LoopDisk> {
    const disk = new LoopDisk(mkdtempSync(join(tmpdir(), 'janusfs-cut-')));
    mkdirSync(disk.root);
    await shell(`truncate -s ${sizeMib}M ${disk.#image} && mkfs.ext4 -q -F ${disk.#image}`);
    await disk.mount();
    return disk;
  }

  async mount(): Promise<void> {
    await shell(`mount -o loop ${this.#image} ${this.root}`);
  }

  /** The power fails. @returns how long each of the files (on another disk) was just before. */
  cut(files: readonly string[]): number[] {
    const cut = spawnSync('python3', ['-c', CUT, this.root, ...files], { encoding: 'utf8' });
    if (cut.status !== 0) throw new Error(`the disk could not be stopped: ${cut.stderr}`);
    return cut.stdout.trim().split(' ').filter(Boolean).map(Number);
  }

  /** The power is back. Whoever used the disk must be gone, or soon be. */
  async remount(): Promise<void> {
    await this.#unmount();
    await this.mount();
  }

  async end(): Promise<void> {
    await this.#unmount().catch(() => shell(`umount -l ${this.root} 2> /dev/null; true`));
    rmSync(this.base, { recursive: true, force: true });
  }

  /** Killed processes let go of their files a moment after they are gone. */
  async #unmount(): Promise<void> {
    await shell(`for i in $(seq 100); do umount ${this.root} && exit 0; sleep 0.1; done 2> /dev/null; exit 1`);
  }
}

/** Why there can be no power cut here; false when there can. */
export async function whyNoPowerCut(): Promise<string | false> {
  if (process.getuid?.() !== 0) return 'mounting a loop device takes root';
  if (!existsSync('/dev/loop-control') || !existsSync('/dev/fuse')) return 'no loop devices or no FUSE here';
  let disk: LoopDisk | undefined;
  try {
    disk = await LoopDisk.make(16);
    disk.cut([]);
    return false;
  } catch (error) {
    return `no ext4 on a loop device that can be stopped: ${String(error).slice(-200)}`;
  } finally {
    await disk?.end();
  }
}
