/** What programs on a mount do with whole files, as calls of a Vfs. */
import { type Entry, type Ino, ROOT_INO } from '../../src/base/vocabulary.ts';
import { O_CREAT, O_RDONLY, O_RDWR, O_TRUNC, O_WRONLY } from '../../src/vfs/file/open-flags.ts';
import type { FileHandle, Vfs } from '../../src/vfs/vfs.ts';
import { MOUNT } from './callers.ts';

/** Looks a path up, name by name. @param path text; its UTF-8 is the name's bytes */
export async function lookupPath(vfs: Vfs, path: string, parent: Ino = ROOT_INO): Promise<Entry> {
  let entry: Entry | undefined;
  for (const name of path.split('/')) {
    const directory: Ino = entry?.attr.ino ?? parent;
    entry = await vfs.names.lookup(MOUNT, directory, Buffer.from(name, 'utf8').toString('latin1'));
  }
  return entry!;
}

export async function create(vfs: Vfs, name: string, flags = O_RDWR | O_CREAT, parent = ROOT_INO): Promise<FileHandle> {
  return (await vfs.files.create(MOUNT, parent, name, 0o644, flags)).handle;
}

/** close(2) */
export async function close(vfs: Vfs, handle: FileHandle): Promise<void> {
  await vfs.files.flush(MOUNT, handle);
  await vfs.files.release(MOUNT, handle);
}

/** Makes or overwrites a file in a directory, which is a path or an inode, and closes it. */
export async function writeFile(
  vfs: Vfs,
  name: string,
  data: Buffer | string,
  directory: string | Ino = ROOT_INO,
): Promise<Ino> {
  const parent = typeof directory === 'string' ? (await lookupPath(vfs, directory)).attr.ino : directory;
  const handle = await create(vfs, name, O_WRONLY | O_CREAT | O_TRUNC, parent);
  await vfs.files.write(MOUNT, handle, 0, Buffer.from(data), false);
  await close(vfs, handle);
  return handle.ino;
}

/** Writes into a file that is there, without truncating it. */
export async function patchFile(vfs: Vfs, path: string, offset: number, data: string): Promise<void> {
  const { attr } = await lookupPath(vfs, path);
  const { handle } = await vfs.files.open(MOUNT, attr.ino, O_RDWR, false);
  await vfs.files.write(MOUNT, handle, offset, Buffer.from(data), false);
  await close(vfs, handle);
}

/** Looks a path up and reads the whole file, as latin1. */
export async function readFile(vfs: Vfs, path: string): Promise<string> {
  const { attr } = await lookupPath(vfs, path);
  const { handle } = await vfs.files.open(MOUNT, attr.ino, O_RDONLY, false);
  try {
    return (await readAll(vfs, handle)).toString('latin1');
  } finally {
    await vfs.files.release(MOUNT, handle);
  }
}

export async function readAll(vfs: Vfs, handle: FileHandle): Promise<Buffer> {
  const parts: Buffer[] = [];
  for (let offset = 0; ; ) {
    const part = await vfs.files.read(MOUNT, handle, offset, 1024 * 1024);
    if (part.length === 0) return Buffer.concat(parts);
    parts.push(Buffer.from(part));
    offset += part.length;
  }
}
