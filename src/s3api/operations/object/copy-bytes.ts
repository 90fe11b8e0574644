/** Copying by reading: only where a digest of the bytes is wanted that nobody has stored. */
import { createHash } from 'node:crypto';
import { type ChecksumAlgorithm, createChecksum } from '../../../base/checksums.ts';
import { FsError } from '../../../base/errors.ts';
import type { WalkReply } from '../../../meta/meta.ts';
import type { ObjectWriter } from '../../../vfs/vfs.ts';
import type { ByteRange } from '../../protocol/ranges.ts';
import type { S3Request } from '../operation.ts';

const STEP_BYTES = 1024 * 1024;

export interface CopiedBytes {
  /** Holds the bytes; the caller publishes or aborts it. */
  writer: ObjectWriter;
  /** MD5, hex. */
  etag: string;
  checksums: Record<string, string>;
}

/**
 * Reads a range into a new writer with bounded memory and computes MD5 and checksums of exactly these bytes.
 * @throws FsError EIO when the source got shorter meanwhile; on failure the writer is aborted.
 */
export async function copyBytes(
  request: S3Request,
  source: WalkReply,
  range: ByteRange,
  algorithms: readonly ChecksumAlgorithm[],
): Promise<CopiedBytes> {
  const { objects } = request.vfs;
  const md5 = createHash('md5');
  const running = algorithms.map((algorithm) => ({ algorithm, checksum: createChecksum(algorithm) }));
  const writer = objects.beginObject(request.context);
  const reader = objects.openObject(request.context, source);
  try {
    for (let done = 0; done < range.length; ) {
      const data = await reader.read(range.offset + done, Math.min(STEP_BYTES, range.length - done));
      if (data.length === 0)
        throw new FsError('EIO', 'copy', 'the source became shorter while it was copied; ask again');
      md5.update(data);
      for (const { checksum } of running) checksum.update(data);
      await writer.write(data);
      done += data.length;
    }
  } catch (error) {
    await writer.abort();
    throw error;
  } finally {
    reader.close();
  }
  const checksums: Record<string, string> = {};
  for (const { algorithm, checksum } of running) checksums[algorithm] = checksum.digest().toString('base64');
  return { writer, etag: md5.digest('hex'), checksums };
}
