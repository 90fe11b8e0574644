/** From a bucket and key to the inode that is the object. GET, HEAD and LIST agree on what is one. */
import type { ByteString } from '../../../base/byte-string.ts';
import { isFsError } from '../../../base/errors.ts';
import {
  type Attr,
  type Entry,
  FLAG_IMPLICIT,
  FLAG_MARKER,
  S_IFDIR,
  S_IFMT,
  S_IFREG,
} from '../../../base/vocabulary.ts';
import type { WalkReply } from '../../../meta/meta.ts';
import { existingKeyPath } from '../../http/key-path.ts';
import { objectEtag } from '../../protocol/etag.ts';
import { S3Error } from '../../protocol/s3-error.ts';
import type { S3Request } from '../operation.ts';

export interface FoundObject {
  walked: WalkReply;
  /** Without quotes. */
  etag: string;
  /** 0 for a directory's key. */
  sizeBytes: number;
  /** The key ends in '/'. */
  directory: boolean;
}

/**
 * Finds the object. Symbolic links that stay in the volume are followed; devices, fifos and sockets are no objects; a
 * directory is one only as `dir/`, and only while a listing shows that key. One round trip; a second for a directory
 * that mkdir made.
 * @throws S3Error NoSuchKey; FsError ENOENT (same meaning), EACCES.
 */
export async function findObject(
  request: S3Request,
  bucket: Entry,
  key: ByteString,
  want: { data: boolean; xattrs: boolean },
): Promise<FoundObject> {
  const path = existingKeyPath(bucket.attr.ino, key);
  const objects = request.vfs.objects;
  const walked = await objects.walk(request.context, path, { data: want.data, xattrs: want.xattrs, follow: true });
  const { attr } = walked;
  const type = attr.mode & S_IFMT;
  const found = path.directory ? type === S_IFDIR && (await isListed(request, attr)) : type === S_IFREG;
  if (!found) throw new S3Error('NoSuchKey', { fields: { Key: key } });
  return {
    walked,
    etag: objectEtag(attr, walked.s3),
    sizeBytes: path.directory ? 0 : attr.size,
    directory: path.directory,
  };
}

/** Walks that one request may cost while others keep writing to its object. */
const ATTEMPTS_MAX = 8;

/**
 * Runs a task that walks to an object and then reads or shares its content, again when somebody changed the content
 * between the two (ESTALE): what the task said about the object no longer held.
 * @throws S3Error SlowDown after 8 attempts.
 */
export async function walkAgainWhenStale<T>(task: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await task();
    } catch (error) {
      if (!isFsError(error, 'ESTALE')) throw error;
      if (attempt < ATTEMPTS_MAX) continue;
      throw new S3Error('SlowDown', {
        message: 'The object is being written to all the time; please try again.',
        cause: error,
      });
    }
  }
}

/** Whether a listing shows the directory as a key: made by PUT `dir/`, or by mkdir and empty. */
async function isListed(request: S3Request, attr: Attr): Promise<boolean> {
  if ((attr.flags & FLAG_MARKER) !== 0) return true;
  if ((attr.flags & FLAG_IMPLICIT) !== 0) return false;
  const page = await request.vfs.objects.list(request.context, attr.ino, {
    prefix: '',
    after: '',
    delimiter: '/',
    limit: 1,
  });
  return page.items.length === 0;
}

/**
 * Accepts the one version that objects of a never-versioned bucket have.
 * @throws S3Error NoSuchVersion, InvalidArgument for an empty id.
 */
export function refuseVersion(versionId: string | undefined, key: ByteString): void {
  if (versionId === undefined || versionId === 'null') return;
  if (versionId === '') {
    throw new S3Error('InvalidArgument', {
      message: 'Version id cannot be the empty string',
      fields: { ArgumentName: 'versionId', ArgumentValue: '' },
    });
  }
  throw new S3Error('NoSuchVersion', { fields: { Key: key, VersionId: versionId } });
}
