/** Inline bytes of an encrypted volume, as they are in the metadata store: 16 random bytes, the bytes, a tag of 16. */
import { randomBytes } from 'node:crypto';
import { FsError } from '../../base/errors.ts';
import type { InlineSeal } from '../../base/slices.ts';
import type { VolumeFormat } from '../../base/vocabulary.ts';
import { decrypt, derivedKey, encrypt, SALT_BYTES, TAG_BYTES } from './data-key.ts';

const AAD = Buffer.from('inline');

/** By how much what is kept of an inline slice is longer than its bytes. */
export function sealBytesOf({ encryption }: Pick<VolumeFormat, 'encryption'>): number {
  return encryption === undefined ? 0 : SALT_BYTES + TAG_BYTES;
}

export function inlineSeal(dataKey: Buffer): InlineSeal {
  return {
    seal(bytes) {
      const salt = randomBytes(SALT_BYTES);
      return Buffer.concat([salt, encrypt(derivedKey(dataKey, 'inline', salt), 0, AAD, bytes)]);
    },
    open(sealed) {
      const salt = sealed.subarray(0, SALT_BYTES);
      const key = derivedKey(dataKey, 'inline', salt);
      try {
        return decrypt(key, 0, AAD, sealed.subarray(SALT_BYTES));
      } catch (error) {
        throw new FsError('EIO', 'read', 'bytes in the metadata store are damaged, or of another key', {
          cause: error,
        });
      }
    },
  };
}
