/**
 * Storage classes: those that leave an object readable at once are kept and answered, since tools set them and compare;
 * the bytes are stored alike. Archives are refused: nothing here would have to be restored first.
 * @see https://docs.aws.amazon.com/AmazonS3/latest/userguide/storage-class-intro.html
 */
import { wordSet } from '../../base/lookup-table.ts';
import type { S3Record } from '../../base/vocabulary.ts';
import { S3Error } from './s3-error.ts';

export const STORAGE_CLASS = 'x-amz-storage-class';
/** Never kept: what has no class has this one, and no header says so. */
export const STANDARD = 'STANDARD';
const KEPT = wordSet(['GLACIER_IR', 'INTELLIGENT_TIERING', 'ONEZONE_IA', 'REDUCED_REDUNDANCY', 'STANDARD_IA']);

/** @throws S3Error InvalidStorageClass for archives and unknown names. */
export function checkStorageClass(name: string): void {
  if (name !== STANDARD && !KEPT.has(name)) throw new S3Error('InvalidStorageClass');
}

/** What listings and documents say of an object or upload. */
export function storageClassOf(s3: S3Record | undefined): string {
  return s3?.headers[STORAGE_CLASS] ?? STANDARD;
}
