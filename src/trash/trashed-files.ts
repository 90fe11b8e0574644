/** What is in the trash of a volume (docs/FORMAT.md), and getting it back. */
import { FsError, isFsError, UserError } from '../base/errors.ts';
import { readU64 } from '../base/integers.ts';
import { type Attr, type ByteString, type Caller, type Ino, ROOT_INO, S_IFDIR } from '../base/vocabulary.ts';
import { decodeAttr, decodeMember } from '../meta/codec/codec.ts';
import type { Meta } from '../meta/meta.ts';

export const TRASH_NAME = '.trash';
const INFO_BYTES = 16;
const DEPTH_MAX = 1_000;
const EXPIRE_BATCH = 200;
/** Tools act as the volume's administrator. */
const ADMINISTRATOR: Caller = { uid: 0, gid: 0, groups: [], check: false };

export interface TrashPlan {
  on: boolean;
  /** How long files stay. */
  keepMs: number;
  /** The directory; 0 when there never was one. */
  ino: Ino;
}

export interface TrashedFile {
  ino: Ino;
  /** Where it was, without a leading slash; what is not known of it any more is `?`. */
  path: string;
  removedMs: number;
  sizeBytes: number;
  /** Content of a file that was cut to nothing, rather than a file that was removed. */
  overwritten: boolean;
  /** Where it is now. */
  hour: Ino;
  entry: ByteString;
}

export async function readTrashPlan(meta: Meta): Promise<TrashPlan> {
  const plan: TrashPlan = { on: false, keepMs: 0, ino: 0 };
  for await (const page of meta.scan.fields('n')) {
    for (const [field, value] of page) {
      if (field === 'trashOn') plan.on = value.toString() === '1';
      else if (field === 'trashMs') plan.keepMs = Number(value.toString());
      else if (field === 'trashDir') plan.ino = Number(value.toString());
    }
  }
  return plan;
}

/** Keeps removed files from now on. @throws UserError when something else has the directory's name. */
export async function beginTrash(meta: Meta, keepMs: number): Promise<void> {
  const { ino } = await readTrashPlan(meta);
  const known = ino === 0 ? undefined : await attrOf(meta, ino);
  const place = known === undefined || known.nlink === 0 ? await makeDirectory(meta) : ino;
  await meta.scan.apply([
    ['set-field', 'n', 'trashDir', place],
    ['set-field', 'n', 'trashMs', keepMs],
    ['set-field', 'n', 'trashOn', 1],
  ]);
}

/** Keeps nothing more; what is there stays its time. */
export async function endTrash(meta: Meta): Promise<void> {
  await meta.scan.apply([['set-field', 'n', 'trashOn', 0]]);
}

/** Frees everything that was removed before a time, server milliseconds. Answers how many files went. */
export async function emptyTrash(meta: Meta, beforeMs: number): Promise<number> {
  for (let gone = 0; ; ) {
    const step = await meta.upkeep.expireTrash(beforeMs, EXPIRE_BATCH);
    gone += step.gone;
    if (!step.more) return gone;
  }
}

async function makeDirectory(meta: Meta): Promise<Ino> {
  const root = await meta.names.getattr(ROOT_INO);
  const { uid, gid } = root;
  const request = {
    parent: ROOT_INO,
    name: TRASH_NAME,
    mode: S_IFDIR | 0o700,
    uid,
    gid,
    rdev: 0,
    caller: ADMINISTRATOR,
  };
  try {
    return (await meta.names.mknod(request)).entry.attr.ino;
  } catch (error) {
    if (!isFsError(error) || error.code !== 'EEXIST') throw error;
    throw new UserError(`there is a ${TRASH_NAME} in the volume's root already; move it away first`);
  }
}

/** Everything in the trash, oldest first. */
export async function listTrash(meta: Meta): Promise<TrashedFile[]> {
  return new Lister(meta).list();
}

interface Info {
  parent: Ino;
  of: Ino;
  name: ByteString;
}

class Lister {
  readonly #meta: Meta;
  /** Members of `trashed`. */
  readonly #infos = new Map<string, Info>();
  readonly #paths = new Map<Ino, string>();
  readonly #places = new Map<Ino, Map<Ino, ByteString>>();

  constructor(meta: Meta) {
    this.#meta = meta;
  }

  async list(): Promise<TrashedFile[]> {
    const { scan } = this.#meta;
    const { ino: place } = await readTrashPlan(this.#meta);
    for await (const page of scan.fields('trashed')) {
      for (const [member, packed] of page) {
        const name = packed.toString('latin1', INFO_BYTES);
        this.#infos.set(member, { parent: readU64(packed, 0), of: readU64(packed, 8), name });
      }
    }
    const files: TrashedFile[] = [];
    for await (const page of scan.scored('trash')) {
      for (const [member, removedMs] of page) {
        const text = member.toString();
        const info = this.#infos.get(text);
        if (text.startsWith('d') || info === undefined) continue;
        const file = await this.#file(Number(text), info, removedMs, place);
        if (file !== undefined) files.push(file);
      }
    }
    return files.sort((a, b) => a.removedMs - b.removedMs);
  }

  /** Undefined when it was restored, or moved away by hand. */
  async #file(ino: Ino, info: Info, removedMs: number, place: Ino): Promise<TrashedFile | undefined> {
    const attr = await attrOf(this.#meta, ino);
    if (attr === undefined || attr.nlink === 0) return undefined;
    const hour = await attrOf(this.#meta, attr.parent);
    if (hour === undefined || hour.parent !== place) return undefined;
    const entry = (await this.#entries(hour.ino)).get(ino);
    if (entry === undefined) return undefined;
    const name = info.name === '' ? await this.#nameNow(info.of) : textOf(info.name);
    return {
      ino,
      path: join(await this.#path(info.parent, 0), name),
      removedMs,
      sizeBytes: attr.size,
      overwritten: info.of !== 0,
      hour: hour.ino,
      entry,
    };
  }

  /** The name of a file that is still there, or was removed later. */
  async #nameNow(ino: Ino): Promise<string> {
    const removed = this.#infos.get(String(ino));
    if (removed !== undefined && removed.name !== '') return textOf(removed.name);
    const attr = await attrOf(this.#meta, ino);
    const name = attr === undefined ? undefined : (await this.#entries(attr.parent)).get(ino);
    return name === undefined ? '?' : textOf(name);
  }

  /** The path of a directory that is there, or was removed. */
  async #path(ino: Ino, depth: number): Promise<string> {
    if (ino === ROOT_INO) return '';
    const known = this.#paths.get(ino);
    if (known !== undefined) return known;
    const path = await this.#findPath(ino, depth);
    this.#paths.set(ino, path);
    return path;
  }

  async #findPath(ino: Ino, depth: number): Promise<string> {
    if (depth > DEPTH_MAX) return '?';
    const removed = this.#infos.get(`d${ino}`);
    if (removed !== undefined) return join(await this.#path(removed.parent, depth + 1), textOf(removed.name));
    const attr = await attrOf(this.#meta, ino);
    const name = attr === undefined ? undefined : (await this.#entries(attr.parent)).get(ino);
    return name === undefined ? '?' : join(await this.#path(attr!.parent, depth + 1), textOf(name));
  }

  async #entries(directory: Ino): Promise<Map<Ino, ByteString>> {
    const known = this.#places.get(directory);
    if (known !== undefined) return known;
    const found = new Map<Ino, ByteString>();
    for await (const page of this.#meta.scan.members(`d${directory}`)) {
      for (const packed of page) {
        const { ino, name } = decodeMember(packed);
        found.set(ino, name);
      }
    }
    this.#places.set(directory, found);
    return found;
  }
}

/**
 * Puts a file of the trash where it was, or to another path; missing directories are made.
 * @param path where to, without a leading slash. @returns false when something is there.
 * @throws UserError when what is on the way is no directory.
 */
export async function restoreFile(meta: Meta, file: TrashedFile, path: string): Promise<boolean> {
  const names = path
    .split('/')
    .filter((name) => name !== '')
    .map(bytesOf);
  const last = names.pop();
  if (last === undefined || names.some((name) => name === '.' || name === '..')) {
    throw new UserError(`'${path}' is no path of a file`, 2);
  }
  let parent = ROOT_INO;
  for (const name of names) parent = await directoryAt(meta, parent, name, path);
  try {
    await meta.names.rename({
      parent: file.hour,
      name: file.entry,
      newParent: parent,
      newName: last,
      kind: 'file',
      newKind: 'primary',
      mode: 'noreplace',
      caller: ADMINISTRATOR,
    });
    return true;
  } catch (error) {
    if (isFsError(error) && error.code === 'EEXIST') return false;
    throw error;
  }
}

async function directoryAt(meta: Meta, parent: Ino, name: ByteString, path: string): Promise<Ino> {
  const root = await meta.names.getattr(ROOT_INO);
  try {
    const { uid, gid } = root;
    const made = await meta.names.mknod({
      parent,
      name,
      mode: S_IFDIR | 0o755,
      uid,
      gid,
      rdev: 0,
      caller: ADMINISTRATOR,
    });
    return made.entry.attr.ino;
  } catch (error) {
    if (!isFsError(error) || error.code !== 'EEXIST') throw error;
  }
  try {
    const found = await meta.names.lookup(parent, name, 'dir', ADMINISTRATOR);
    return found.attr.ino;
  } catch (error) {
    if (error instanceof FsError) throw new UserError(`'${textOf(name)}' on the way to '${path}' is no directory`);
    throw error;
  }
}

async function attrOf(meta: Meta, ino: Ino): Promise<Attr | undefined> {
  const [packed] = await meta.scan.values([`i${ino}`]);
  return packed === undefined ? undefined : decodeAttr(ino, packed);
}

function join(directory: string, name: string): string {
  return directory === '' ? name : `${directory}/${name}`;
}

/** Names are bytes; programs print them as UTF-8. */
function textOf(name: ByteString): string {
  return Buffer.from(name, 'latin1').toString();
}

function bytesOf(name: string): ByteString {
  return Buffer.from(name).toString('latin1');
}
