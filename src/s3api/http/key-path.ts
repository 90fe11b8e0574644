/**
 * Between a request's target and the tree: which bucket and key a raw path (and Host) names, and which components a key
 * has. Nothing is normalised: `a//b`, `.` and `..` are names like any other; keys are bytes.
 */

import { type ByteString, lowerAscii } from '../../base/byte-string.ts';
import { type Ino, NAME_BYTES_MAX } from '../../base/vocabulary.ts';
import type { KeyPath } from '../../meta/meta.ts';
import { S3Error } from '../protocol/s3-error.ts';

/** @see https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html */
export const KEY_BYTES_MAX = 1024;

export interface Target {
  /** Before '?', as it came. */
  rawPath: string;
  /** After '?', as it came; '' without one. */
  rawQuery: string;
  bucket: ByteString | undefined;
  key: ByteString | undefined;
}

/**
 * Splits a request target at its first '?' and names bucket and key: by path, or by Host when it is `bucket.domain`.
 * @throws S3Error InvalidURI (bad percent-encoding, NUL), KeyTooLongError, InvalidBucketName (`//key`).
 */
export function parseTarget(url: string, host: string | undefined, domain: string | undefined): Target {
  const target = url.startsWith('/') ? url : originForm(url);
  const mark = target.indexOf('?');
  const rawPath = mark < 0 ? target : target.slice(0, mark);
  const rawQuery = mark < 0 ? '' : target.slice(mark + 1);
  const hosted = domain === undefined || host === undefined ? undefined : hostedBucket(host, domain);
  if (hosted !== undefined) {
    return { rawPath, rawQuery, bucket: hosted, key: decodeKey(rawPath.slice(1)) };
  }
  const slash = rawPath.indexOf('/', 1);
  const rawBucket = slash < 0 ? rawPath.slice(1) : rawPath.slice(1, slash);
  const key = slash < 0 ? undefined : decodeKey(rawPath.slice(slash + 1));
  if (rawBucket === '' && rawPath.length > 1) throw new S3Error('InvalidBucketName');
  return { rawPath, rawQuery, bucket: rawBucket === '' ? undefined : decodeBytes(rawBucket), key };
}

/** Decodes %XX to bytes. '+' stays. @throws S3Error InvalidURI */
export function decodeBytes(raw: string): ByteString {
  if (!raw.includes('%')) return raw;
  return raw.replace(/%(..)?/gs, (_, hex: string | undefined) => {
    if (hex === undefined || !/^[0-9a-fA-F]{2}$/.test(hex)) throw new S3Error('InvalidURI');
    return String.fromCharCode(Number.parseInt(hex, 16));
  });
}

/**
 * The tree path of a key that is to be made.
 * @throws S3Error KeyTooLongError when a component is longer than 255 bytes: no file system can show it.
 */
export function keyPath(root: Ino, key: ByteString): KeyPath {
  const path = splitKey(root, key);
  if (path === undefined) {
    throw new S3Error('KeyTooLongError', {
      message: `A part of your key between slashes is longer than ${NAME_BYTES_MAX} bytes`,
      fields: { MaxSizeAllowed: NAME_BYTES_MAX },
    });
  }
  return path;
}

/** The tree path of a key that should exist. @throws S3Error NoSuchKey when no key of this form can exist. */
export function existingKeyPath(root: Ino, key: ByteString): KeyPath {
  const path = splitKey(root, key);
  if (path === undefined) throw new S3Error('NoSuchKey', { fields: { Key: key } });
  return path;
}

function splitKey(root: Ino, key: ByteString): KeyPath | undefined {
  const directory = key.endsWith('/');
  const components = (directory ? key.slice(0, -1) : key).split('/');
  if (key.length > NAME_BYTES_MAX && components.some((one) => one.length > NAME_BYTES_MAX)) return undefined;
  return { root, components, directory };
}

function decodeKey(raw: string): ByteString | undefined {
  if (raw === '') return undefined;
  const key = decodeBytes(raw);
  if (key.includes('\0')) throw new S3Error('InvalidURI', { message: 'A key cannot hold a NUL byte.' });
  if (key.length > KEY_BYTES_MAX) {
    throw new S3Error('KeyTooLongError', { fields: { Size: key.length, MaxSizeAllowed: KEY_BYTES_MAX } });
  }
  return key;
}

/** `http://host/path?query` (RFC 9112 absolute form) -> `/path?query`. */
function originForm(url: string): string {
  const match = /^https?:\/\/[^/?]*/i.exec(url);
  if (match === null) throw new S3Error('InvalidURI');
  const rest = url.slice(match[0].length);
  return rest.startsWith('/') ? rest : `/${rest}`;
}

/** The bucket that a Host header `bucket.domain[:port]` names. */
export function hostedBucket(host: string, domain: string): ByteString | undefined {
  const name = lowerAscii(host.replace(/:\d*$/, ''));
  const suffix = `.${lowerAscii(domain)}`;
  return name.length > suffix.length && name.endsWith(suffix) ? name.slice(0, -suffix.length) : undefined;
}
