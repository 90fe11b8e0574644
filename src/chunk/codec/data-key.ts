/**
 * The key that a volume's data is encrypted with, and what it is derived into.
 *
 *     data key (32 random bytes, made by format)
 *       wrapped: AES-256-GCM under scrypt(passphrase), or by a command of the user's (a KMS); stored in the format record
 *       block key  = HMAC-SHA256(data key, 'block'  + 16 random bytes of the block)      one for each block: frames count as nonces
 *       inline key = HMAC-SHA256(data key, 'inline' + 16 random bytes of the value)
 *
 * A key for each block makes nonces unique without remembering any, whatever happens to slice ids.
 */
import { createCipheriv, createDecipheriv, createHmac, randomBytes, scrypt } from 'node:crypto';
import { UserError } from '../../base/errors.ts';
import type { WrappedKey } from '../../base/vocabulary.ts';

const KEY_BYTES = 32;
export const SALT_BYTES = 16;
export const TAG_BYTES = 16;
const NONCE_BYTES = 12;
/** RFC 7914; 64 MiB and about a tenth of a second. */
const SCRYPT = { N: 2 ** 16, r: 8, p: 1 };
const SCRYPT_MEMORY = 256 * SCRYPT.N * SCRYPT.r;

/** Wraps or unwraps by a command: bytes in, bytes out. */
export type KeyCommand = (mode: 'wrap' | 'unwrap', bytes: Buffer) => Promise<Buffer>;

export type KeySource = { kind: 'passphrase'; passphrase: Buffer } | { kind: 'command'; run: KeyCommand };

export function newDataKey(): Buffer {
  return randomBytes(KEY_BYTES);
}

/** @throws UserError when the command fails. */
export async function wrapKey(dataKey: Buffer, source: KeySource): Promise<WrappedKey> {
  if (source.kind === 'command') {
    return { kind: 'command', wrapped: (await source.run('wrap', dataKey)).toString('base64') };
  }
  const salt = randomBytes(SALT_BYTES);
  const nonce = randomBytes(NONCE_BYTES);
  const { N, r, p } = SCRYPT;
  const cipher = createCipheriv('aes-256-gcm', await derive(source.passphrase, salt, SCRYPT), nonce);
  const wrapped = Buffer.concat([nonce, cipher.update(dataKey), cipher.final(), cipher.getAuthTag()]);
  return { kind: 'passphrase', salt: salt.toString('base64'), n: N, r, p, wrapped: wrapped.toString('base64') };
}

/** @throws UserError when it is the wrong passphrase, or the wrong kind of source. */
export async function unwrapKey(key: WrappedKey, source: KeySource): Promise<Buffer> {
  if (key.kind !== source.kind) {
    const wanted = key.kind === 'command' ? '--key-command' : 'JANUSFS_PASSPHRASE or --key-file';
    throw new UserError(`the volume's data key is wrapped in another way: give ${wanted}`);
  }
  const wrapped = Buffer.from(key.wrapped, 'base64');
  if (key.kind === 'command' && source.kind === 'command') return checkedKey(await source.run('unwrap', wrapped));
  if (key.kind !== 'passphrase' || source.kind !== 'passphrase') throw new UserError('the wrapped key is damaged');
  const wrapping = await derive(source.passphrase, Buffer.from(key.salt, 'base64'), { N: key.n, r: key.r, p: key.p });
  const decipher = createDecipheriv('aes-256-gcm', wrapping, wrapped.subarray(0, NONCE_BYTES));
  decipher.setAuthTag(wrapped.subarray(-TAG_BYTES));
  try {
    return checkedKey(Buffer.concat([decipher.update(wrapped.subarray(NONCE_BYTES, -TAG_BYTES)), decipher.final()]));
  } catch (error) {
    if (error instanceof UserError) throw error;
    throw new UserError('the passphrase is wrong', 1, { cause: error });
  }
}

function checkedKey(key: Buffer): Buffer {
  if (key.length === KEY_BYTES) return key;
  throw new UserError(`the unwrapped data key has ${key.length} bytes instead of ${KEY_BYTES}`);
}

function derive(passphrase: Buffer, salt: Buffer, cost: { N: number; r: number; p: number }): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    scrypt(passphrase, salt, KEY_BYTES, { ...cost, maxmem: SCRYPT_MEMORY }, (error, key) => {
      if (error === null) resolve(key);
      else reject(error);
    });
  });
}

/** The key of one block or inline value. */
export function derivedKey(dataKey: Buffer, use: 'block' | 'inline', salt: Buffer): Buffer {
  return createHmac('sha256', dataKey).update(use).update(salt).digest();
}

/** Bytes, then a tag of TAG_BYTES. */
export function encrypt(key: Buffer, counter: number, aad: Buffer, bytes: Buffer): Buffer {
  const cipher = createCipheriv('aes-256-gcm', key, nonceOf(counter));
  cipher.setAAD(aad);
  return Buffer.concat([cipher.update(bytes), cipher.final(), cipher.getAuthTag()]);
}

/** @throws Error when key, place or bytes are not those of encrypt(). */
export function decrypt(key: Buffer, counter: number, aad: Buffer, sealed: Buffer): Buffer {
  const decipher = createDecipheriv('aes-256-gcm', key, nonceOf(counter));
  decipher.setAAD(aad);
  decipher.setAuthTag(sealed.subarray(-TAG_BYTES));
  return Buffer.concat([decipher.update(sealed.subarray(0, -TAG_BYTES)), decipher.final()]);
}

function nonceOf(counter: number): Buffer {
  const nonce = Buffer.alloc(NONCE_BYTES);
  nonce.writeUInt32LE(counter, 0);
  return nonce;
}
