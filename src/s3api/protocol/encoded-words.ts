/**
 * RFC 2047 encoded words in user metadata, as Amazon reads and writes them: a header holds ASCII, the file's extended
 * attribute holds the UTF-8 itself.
 *
 * | bytes kept                     | header                                     |
 * |--------------------------------|--------------------------------------------|
 * | ASCII                          | as they are                                |
 * | UTF-8 `Zürich`                 | `=?UTF-8?Q?Z=C3=BCrich?=`                  |
 * | no UTF-8 (single latin1 bytes) | as they are                                |
 * | ASCII that reads as such a word| encoded, so that the same bytes come back  |
 * All text here is bytes (latin1).
 * @see RFC 2047; https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingMetadata.html#UserMetadata
 */

import { isUtf8 } from 'node:buffer';
import { type ByteString, byteStringOf, bytesOf, hexByte, lowerAscii, utf8ByteString } from '../../base/byte-string.ts';
import { lookupTable } from '../../base/lookup-table.ts';

/** RFC 2047 section 2. */
const WORD_CHARS_MAX = 75;
const OPEN = '=?UTF-8?Q?';
const CLOSE = '?=';
const WORD = /^=\?([!#$%&'+\-0-9A-Z^_`a-z{|}~]+)(?:\*[0-9A-Za-z-]*)?\?([QqBb])\?([\x21-\x3e\x40-\x7e]*)\?=$/;
const ASCII = /^[\x00-\x7f]*$/;
/** What a decoded value may not hold: it could not be shown as a header again. */
const CONTROL = /[\x00-\x08\x0a-\x1f\x7f]/;
/** One character of valid UTF-8. */
const CHARACTER = /[\x00-\x7f]|[\xc0-\xff][\x80-\xbf]+/g;

/** The header text of kept bytes. */
export function encodeWords(value: string): string {
  const plain = ASCII.test(value) ? decodeWords(value) === value : !isUtf8(bytesOf(value));
  return plain ? value : encoded(value);
}

/**
 * The bytes to keep of a header's text. Words in UTF-8, US-ASCII and ISO-8859-1 are decoded to UTF-8; white space
 * between two of them is dropped. Text that cannot be decoded, or holds control characters then, is kept as it came.
 */
export function decodeWords(text: string): string {
  if (!text.includes('=?')) return text;
  let decoded = '';
  let gap = '';
  let afterWord = false;
  for (const piece of text.split(/([ \t]+)/)) {
    if (piece === '' || piece[0] === ' ' || piece[0] === '\t') {
      gap += piece;
      continue;
    }
    const word = decodedWord(piece);
    decoded += word !== undefined && afterWord ? word : gap + (word ?? piece);
    afterWord = word !== undefined;
    gap = '';
  }
  decoded += gap;
  return CONTROL.test(decoded) || !isUtf8(bytesOf(decoded)) ? text : decoded;
}

function decodedWord(piece: string): string | undefined {
  const match = WORD.exec(piece);
  if (match === null) return undefined;
  const [, charset, encoding, inner] = match as unknown as [string, string, string, string];
  const bytes = encoding === 'Q' || encoding === 'q' ? fromQ(inner) : fromBase64(inner);
  if (bytes === undefined) return undefined;
  return CHARSETS.get(lowerAscii(charset))?.(bytes);
}

/** To UTF-8 bytes; undefined for bytes that the charset does not have. */
type Decoder = (bytes: ByteString) => ByteString | undefined;
/** A character may be split between two words, so validity is checked at the end. */
const asIs: Decoder = (bytes) => bytes;
const CHARSETS = lookupTable<string, Decoder>({
  'utf-8': asIs,
  utf8: asIs,
  'us-ascii': (bytes) => (ASCII.test(bytes) ? bytes : undefined),
  'iso-8859-1': utf8ByteString,
});

function fromQ(inner: string): string | undefined {
  if (/=(?![0-9A-Fa-f]{2})/.test(inner)) return undefined;
  return inner
    .replaceAll('_', ' ')
    .replace(/=([0-9A-Fa-f]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}

function fromBase64(inner: string): string | undefined {
  if (!/^[A-Za-z0-9+/]*={0,2}$/.test(inner)) return undefined;
  return byteStringOf(Buffer.from(inner, 'base64'));
}

/** Words of at most 75 characters that each hold whole characters. */
function encoded(value: string): string {
  const words: string[] = [];
  let word = '';
  for (const character of value.match(CHARACTER) ?? []) {
    const next = character.replace(/[^A-Za-z0-9!*+\-/]/g, qByte);
    if (OPEN.length + word.length + next.length + CLOSE.length > WORD_CHARS_MAX) {
      words.push(OPEN + word + CLOSE);
      word = '';
    }
    word += next;
  }
  words.push(OPEN + word + CLOSE);
  return words.join(' ');
}

function qByte(byte: string): string {
  return byte === ' ' ? '_' : `=${hexByte(byte.charCodeAt(0))}`;
}
