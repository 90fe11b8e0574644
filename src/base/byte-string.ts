/**
 * Byte strings: JavaScript strings that hold bytes, one UTF-16 unit per byte (latin1), so that bytes can be map keys
 * and be compared and cut like text. Names of directory entries, S3 keys, header fields and XML travel so; whether the
 * bytes are UTF-8 is asked only where somebody must read them.
 *
 * JavaScript's trim(), \s and case functions read such a string as Unicode: 0xa0, the last byte of `à` in UTF-8, would
 * be white space, and 0xb5 would become a Greek letter. What may be done to byte strings is here; a test keeps the
 * others out of src/s3api.
 */

/** A byte string in latin1: one name of a directory entry, a whole S3 key, the value of a header. */
export type ByteString = string;

/** The byte string of some bytes. @param start, end offsets, bytes */
export function byteStringOf(bytes: Buffer, start?: number, end?: number): ByteString {
  return bytes.toString('latin1', start, end);
}

/** The bytes of a byte string. */
export function bytesOf(text: ByteString): Buffer {
  return Buffer.from(text, 'latin1');
}

/** The UTF-8 bytes of JavaScript text (a user's name, a message). */
export function utf8ByteString(text: string): ByteString {
  return Buffer.from(text, 'utf8').toString('latin1');
}

/** The JavaScript text of bytes in UTF-8; what is none becomes U+FFFD. */
export function utf8Text(bytes: ByteString): string {
  return Buffer.from(bytes, 'latin1').toString('utf8');
}

/** Without the spaces and tabs at both ends: OWS, the only white space of a header field (RFC 9110 section 5.6.3). */
export function trimOws(text: ByteString): ByteString {
  let start = 0;
  let end = text.length;
  while (start < end && isBlank(text.charCodeAt(start))) start += 1;
  while (end > start && isBlank(text.charCodeAt(end - 1))) end -= 1;
  return start === 0 && end === text.length ? text : text.slice(start, end);
}

/** A-Z to a-z; every other byte stays. */
export function lowerAscii(text: ByteString): ByteString {
  if (!/[A-Z]/.test(text)) return text;
  return /[^\x00-\x7f]/.test(text) ? text.replace(/[A-Z]+/g, (letters) => letters.toLowerCase()) : text.toLowerCase();
}

/** a-z to A-Z; every other byte stays. */
export function upperAscii(text: ByteString): ByteString {
  if (!/[a-z]/.test(text)) return text;
  return /[^\x00-\x7f]/.test(text) ? text.replace(/[a-z]+/g, (letters) => letters.toUpperCase()) : text.toUpperCase();
}

const HEX: readonly string[] = Array.from({ length: 256 }, (_, byte) => upperAscii(byte.toString(16).padStart(2, '0')));

/** A byte as two upper-case hexadecimal digits. @param byte 0..255 */
export function hexByte(byte: number): string {
  return HEX[byte]!;
}

function isBlank(code: number): boolean {
  return code === 0x20 || code === 0x09;
}
