import type { ByteString, Ino } from '../../src/base/vocabulary.ts';
import type { KernelCache } from '../../src/vfs/vfs.ts';

/** Stands for a kernel with a mount: keeps what it was told to drop. */
export class RecordingKernel implements KernelCache {
  entries: { parent: Ino; name: ByteString }[] = [];
  inodes: { ino: Ino; offset: number }[] = [];
  expired = 0;
  /** Kept unanswered while set. */
  gate: Promise<void> | undefined;

  async invalidateEntry(parent: Ino, name: ByteString): Promise<void> {
    await this.gate;
    this.entries.push({ parent, name });
  }

  async invalidateInode(ino: Ino, offset: number): Promise<void> {
    await this.gate;
    this.inodes.push({ ino, offset });
  }

  expireAll(): void {
    this.expired += 1;
  }

  clear(): void {
    this.entries = [];
    this.inodes = [];
  }
}
