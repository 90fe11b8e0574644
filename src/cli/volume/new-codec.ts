import { UserError } from '../../base/errors.ts';
import type { Compression } from '../../base/vocabulary.ts';
import type { KeySource } from '../../chunk/codec/data-key.ts';

/** How blocks of a new volume are stored. */
export interface NewCodec {
  compress?: Compression;
  /** Wraps the key of an encrypted volume. */
  encrypt?: KeySource;
}

/** @throws UserError for another compression than there is, or --encrypt without a key. */
export function parseCodec(
  { compress, encrypt }: Readonly<Record<string, string | undefined>>,
  key: KeySource | undefined,
): NewCodec | undefined {
  if (compress !== undefined && !['zstd', 'lz4', 'none'].includes(compress)) {
    throw new UserError(`--compress ${compress} is none of zstd, lz4, none`, 2);
  }
  if (encrypt !== undefined && key === undefined) {
    throw new UserError('--encrypt needs a key: JANUSFS_PASSPHRASE, --key-file or --key-command', 2);
  }
  const kind = compress === 'none' ? undefined : (compress as Compression | undefined);
  if (kind === undefined && encrypt === undefined) return undefined;
  return {
    ...(kind === undefined ? {} : { compress: kind }),
    ...(encrypt === undefined ? {} : { encrypt: key! }),
  };
}
