/**
 * DIR/ballast: room that nobody else can take. A start writes small files, and Redis' log grows by every deletion; on a disk that is full to the last
 * byte both would fail, and with them the way back. So a file of random bytes (nothing that a file system could compress away) is kept, given up when
 * the disk is full, and made again when there is room.
 */
import { randomBytes } from 'node:crypto';
import { statfsSync, statSync, unlinkSync } from 'node:fs';
import { open, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Logger } from '../../base/log.ts';
import { sleep } from '../../base/sleep.ts';

const MIB = 2 ** 20;
/** Share of the disk, within bounds. */
const SHARE = 0.02;
const BYTES_MIN = 2 * MIB;
const BYTES_MAX = 32 * MIB;
/** With less than this free a start would fail. */
const FULL_BYTES = MIB;
/** It is made only where so many times its size is free. */
const ROOM_FACTOR = 8;
const LOOK_MS = 30_000;

/** Gives the ballast up when the disk is full. Before anything is written at a start. */
export function releaseIfFull(directory: string): void {
  try {
    const { bavail, bsize } = statfsSync(directory);
    if (bavail * bsize < FULL_BYTES) unlinkSync(join(directory, 'ballast'));
  } catch {
    // No directory yet, or no ballast: the start says by itself what it cannot write.
  }
}

/** Makes the ballast where it is missing, now and whenever there is room, until the signal. Never rejects. */
export async function keepBallast(directory: string, logger: Logger, stop: AbortSignal): Promise<void> {
  while (!stop.aborted) {
    try {
      await makeBallast(directory);
    } catch (error) {
      logger.debug({ error: (error as Error).message }, 'the ballast could not be made; it is tried again');
    }
    await sleep(LOOK_MS, stop).catch(() => {});
  }
}

async function makeBallast(directory: string): Promise<void> {
  const path = join(directory, 'ballast');
  if (statSync(path, { throwIfNoEntry: false }) !== undefined) return;
  const { blocks, bavail, bsize } = statfsSync(directory);
  const bytes = Math.floor(Math.min(BYTES_MAX, Math.max(BYTES_MIN, blocks * bsize * SHARE)));
  if (bavail * bsize < bytes * ROOM_FACTOR) return;
  const temporary = `${path}.part`;
  const file = await open(temporary, 'w', 0o600);
  try {
    for (let done = 0; done < bytes; done += MIB) await file.write(randomBytes(Math.min(MIB, bytes - done)));
    await file.close();
    await rename(temporary, path);
  } catch (error) {
    await file.close().catch(() => {});
    await rm(temporary, { force: true });
    throw error;
  }
}
