/** Opening a volume: the metadata engine for everything above it. */
import type { Meta } from '../meta.ts';
import { RedisMeta } from '../redis-meta.ts';
import { joinVolume, type OpenOptions } from './join-volume.ts';

/** Joins a volume as a new session. @throws UserError that says what to do. */
export async function openVolume(url: string, options: OpenOptions): Promise<Meta> {
  return new RedisMeta(await joinVolume(url, options));
}
