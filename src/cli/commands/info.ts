import { relative } from 'node:path';
import { UserError } from '../../base/errors.ts';
import { CHUNK_BYTES, type SliceRecord } from '../../base/slice-record.ts';
import { formatBytes } from '../../base/units.ts';
import {
  type Attr,
  allocatedBytes,
  type Entry,
  type Ino,
  ROOT_INO,
  S_IFDIR,
  S_IFLNK,
  S_IFMT,
  S_IFREG,
} from '../../base/vocabulary.ts';
import type { Meta } from '../../meta/meta.ts';
import { mountHolding } from '../service/mount-registry.ts';
import { TOOL_SETTINGS, withVolume } from '../volume/tool-volume.ts';
import { type CommandCall, defineCommand } from './command-spec.ts';
import { pathWithoutLinks } from './mount-path.ts';

const CHUNKS_SHOWN_MAX = 64;
const CALLER = { uid: 0, gid: 0, groups: [], check: false };

export const infoCommand = defineCommand({
  name: 'info',
  positional: '<path> [url]',
  summary: 'show what is behind a path: inode, S3 object, slices and blocks',
  examples: [
    'janusfs info ~/janusfs/bucket/key',
    'janusfs info /bucket/key redis://localhost/0?volume=home',
    'janusfs info /bucket/key --data ~/.janusfs',
  ],
  options: [{ flags: '--json', text: 'print JSON' }],
  settings: TOOL_SETTINGS,
  async run(call) {
    const { path, url, data } = locate(call);
    const where = data === undefined ? call : { ...call, settings: { ...call.settings, data }, isGiven: () => false };
    await withVolume(where, url, async ({ meta }) => {
      const info = await readInfo(meta, path);
      const text = call.options.json === undefined ? formatInfo(info) : JSON.stringify(info, undefined, 2);
      process.stdout.write(`${text}\n`);
    });
  },
});

/** A path on a mount of this machine already names its volume; with a URL or --data it is a path inside the volume. */
function locate(call: CommandCall<'data'>): { path: string; url: string | undefined; data: string | undefined } {
  const [given, url] = call.args as [string, string | undefined];
  if (url !== undefined || call.isGiven('data')) return { path: given, url, data: undefined };
  const path = pathWithoutLinks(given);
  const mount = mountHolding(path);
  if (mount === undefined) {
    throw new UserError(`${given} is on no janusfs mount of this machine; add the volume's URL or --data`, 2);
  }
  const inside = relative(mount.mountPoint, path);
  return mount.data === undefined
    ? { path: inside, url: mount.volumeUrl, data: undefined }
    : { path: inside, url: undefined, data: mount.data };
}

interface Info {
  path: string;
  ino: Ino;
  kind: string;
  mode: string;
  uid: number;
  gid: number;
  nlink: number;
  sizeBytes: number;
  allocatedBytes: number;
  modified: string;
  version: number;
  etag: string | undefined;
  contentType: string | undefined;
  linkTarget: string | undefined;
  chunks: { index: number; slices: readonly SliceRecord[] }[];
  chunksLeftOut: number;
}

async function readInfo(meta: Meta, path: string): Promise<Info> {
  const attr = await findPath(meta, path);
  const isFile = (attr.mode & S_IFMT) === S_IFREG;
  const chunkCount = isFile ? Math.ceil(attr.size / CHUNK_BYTES) : 0;
  const shown = Math.min(chunkCount, CHUNKS_SHOWN_MAX);
  const [s3, content] = await Promise.all([
    isFile ? meta.objects.getS3(attr.ino) : undefined,
    shown === 0 ? undefined : meta.data.readMap(attr.ino, 0, shown, 0),
  ]);
  const isLink = (attr.mode & S_IFMT) === S_IFLNK;
  return {
    path: `/${path.replace(/^\/+/, '')}`,
    ino: attr.ino,
    kind: kindOf(attr),
    mode: (attr.mode & 0o7777).toString(8).padStart(4, '0'),
    uid: attr.uid,
    gid: attr.gid,
    nlink: attr.nlink,
    sizeBytes: attr.size,
    allocatedBytes: allocatedBytes(attr),
    modified: new Date(attr.mtimeSec * 1000 + attr.mtimeNsec / 1e6).toISOString(),
    version: attr.version,
    etag: s3?.version === attr.version ? s3.etag : undefined,
    contentType: s3?.headers['content-type'],
    linkTarget: isLink ? (await meta.names.readlink(attr.ino)).toString() : undefined,
    chunks: [...(content?.map.chunks ?? [])].map(([index, slices]) => ({ index, slices })),
    chunksLeftOut: chunkCount - shown,
  };
}

/** Goes from the root down by the names that the mount shows. */
async function findPath(meta: Meta, path: string): Promise<Attr> {
  const { decodeMountName } = await import('../../vfs/name/mount-names.ts');
  const names = path.split('/').filter((name) => name !== '');
  let attr = await meta.names.getattr(ROOT_INO);
  for (const name of names) {
    const stored = decodeMountName(Buffer.from(name).toString('latin1'));
    const entry: Entry | undefined =
      stored === undefined
        ? undefined
        : await meta.names.lookup(attr.ino, stored.name, stored.kind, CALLER).catch((error) => notFound(error, path));
    if (entry === undefined) throw new UserError(`there is no ${path} in the volume`);
    attr = entry.attr;
  }
  return attr;
}

function notFound(error: { code?: string }, path: string): never {
  if (error.code === 'ENOENT' || error.code === 'ENOTDIR') throw new UserError(`there is no ${path} in the volume`);
  throw error;
}

function kindOf(attr: Attr): string {
  switch (attr.mode & S_IFMT) {
    case S_IFREG:
      return 'file';
    case S_IFDIR:
      return 'directory';
    case S_IFLNK:
      return 'symbolic link';
    default:
      return 'special file';
  }
}

function formatInfo(info: Info): string {
  const lines = [
    `${info.path}: ${info.kind}, inode ${info.ino}`,
    `  mode ${info.mode}, uid ${info.uid}, gid ${info.gid}, ${info.nlink} link${info.nlink === 1 ? '' : 's'}`,
    `  ${formatBytes(info.sizeBytes)} (${info.sizeBytes} bytes, ${info.allocatedBytes} allocated), modified ${info.modified}, content version ${info.version}`,
  ];
  if (info.linkTarget !== undefined) lines.push(`  -> ${info.linkTarget}`);
  if (info.etag !== undefined) lines.push(`  S3: etag "${info.etag}", type ${info.contentType ?? 'not set'}`);
  for (const { index, slices } of info.chunks) {
    lines.push(`  chunk ${index}: ${slices.length} slice record${slices.length === 1 ? '' : 's'}`);
    for (const slice of slices) lines.push(`    ${formatSlice(slice)}`);
  }
  if (info.chunksLeftOut > 0) lines.push(`  and ${info.chunksLeftOut} more chunks`);
  return lines.join('\n');
}

function formatSlice({ pos, id, size, off, len, inline }: SliceRecord): string {
  const range = `[${pos}, ${pos + len})`;
  if (id === 0) return `${range} zeros`;
  if (inline) return `${range} inline in Redis, slice ${id}`;
  const folder = `chunks/${Math.floor(id / 1e6)}/${Math.floor(id / 1e3)}/`;
  return `${range} slice ${id} of ${size} bytes from ${off}: ${folder}${id}_*`;
}
