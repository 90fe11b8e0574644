/** An object's bytes on their way out: one Buffer for a small range, a stream with bounded memory for a large one. */
import { FsError } from '../../../base/errors.ts';
import type { WalkReply } from '../../../meta/meta.ts';
import type { Context, ObjectReader, VfsObjects } from '../../../vfs/vfs.ts';
import type { ByteRange } from '../../protocol/ranges.ts';

/** Ranges up to this length are answered as one Buffer. */
const BUFFER_BYTES_MAX = 1024 * 1024;
/** Bytes per read of a stream; two reads at most are in memory. */
const STEP_BYTES = 1024 * 1024;

/**
 * Reads a range: a plain Buffer when it is small and at hand, else a stream whose first piece has been read, so that
 * failures up to there become proper answers.
 * @throws FsError ESTALE when the content changed before its map was read: walk again; what the reader throws.
 */
export function readBody(
  objects: VfsObjects,
  context: Context,
  walked: WalkReply,
  range: ByteRange,
): Buffer | Promise<Buffer | AsyncIterable<Buffer>> {
  const reader = objects.openObject(context, walked);
  if (range.length > BUFFER_BYTES_MAX) return begun(streamRange(reader, range));
  let data: Buffer | Promise<Buffer>;
  try {
    data = reader.read(range.offset, range.length);
  } catch (error) {
    reader.close();
    throw error;
  }
  if (Buffer.isBuffer(data) && data.length === range.length) {
    reader.close();
    return data;
  }
  return readWhole(reader, data, range);
}

async function readWhole(reader: ObjectReader, first: Buffer | Promise<Buffer>, range: ByteRange): Promise<Buffer> {
  try {
    const head = await first;
    if (head.length === range.length) return head;
    const pieces = [head];
    let have = head.length;
    for (let piece = head; have < range.length; have += piece.length) {
      if (piece.length === 0) throw shortened();
      piece = await reader.read(range.offset + have, range.length - have);
      pieces.push(piece);
    }
    return Buffer.concat(pieces, range.length);
  } finally {
    reader.close();
  }
}

function shortened(): FsError {
  return new FsError('EIO', 'read', 'the file became shorter while it was read; ask again');
}

/**
 * Takes the first piece out of a stream and puts it in front again. The stream has begun, so return() ends it and
 * closes its reader even when nobody ever asked for a piece.
 */
async function begun(stream: AsyncGenerator<Buffer, void, undefined>): Promise<AsyncIterableIterator<Buffer>> {
  let first: IteratorResult<Buffer, void> | undefined = await stream.next();
  const pieces: AsyncIterableIterator<Buffer> = {
    next() {
      if (first === undefined) return stream.next();
      const result = first;
      first = undefined;
      return Promise.resolve(result);
    },
    return() {
      return stream.return();
    },
    [Symbol.asyncIterator]() {
      return pieces;
    },
  };
  return pieces;
}

/** The pieces of a range in order, read one ahead. Closes the reader at its end, also when it ends early. */
async function* streamRange(reader: ObjectReader, range: ByteRange): AsyncGenerator<Buffer, void, undefined> {
  const end = range.offset + range.length;
  const readAt = (offset: number): Buffer | Promise<Buffer> => reader.read(offset, Math.min(STEP_BYTES, end - offset));
  let ahead: Buffer | Promise<Buffer> | undefined;
  try {
    ahead = readAt(range.offset);
    for (let offset = range.offset; ahead !== undefined; ) {
      const data: Buffer = Buffer.isBuffer(ahead) ? ahead : await ahead;
      if (data.length === 0) throw shortened();
      offset += data.length;
      ahead = offset < end ? readAt(offset) : undefined;
      yield data;
    }
  } finally {
    // The read ahead of a consumer that went away may still fail; nobody waits for it.
    if (ahead instanceof Promise) ahead.catch(() => undefined);
    reader.close();
  }
}
