/**
 * The aws-chunked payload encoding, taken apart as bytes arrive. Bytes of a chunk are handed on before its signature is
 * known (the object is published only after the end), so memory is bounded by one header line whatever the chunks'
 * sizes.
 *
 *     signed:    HEX;chunk-signature=SIG CRLF  data CRLF ... 0;chunk-signature=SIG CRLF  [trailers]  CRLF
 *     unsigned:  HEX CRLF  data CRLF ... 0 CRLF  [name:value CRLF ...]  CRLF
 *     trailers:  name:value CRLF ...  x-amz-trailer-signature:SIG CRLF (signed form)
 * @see https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming-trailers.html
 */

import { createHash, type Hash } from 'node:crypto';
import { byteStringOf, lowerAscii, trimOws } from '../../base/byte-string.ts';
import type { Signing } from '../auth/authenticate.ts';
import { ALGORITHM, EMPTY_SHA256, hmacHex, sameSignature, sha256Hex } from '../auth/sigv4.ts';
import { S3Error } from '../protocol/s3-error.ts';

const LINE_BYTES_MAX = 8192;
const TRAILERS_MAX = 16;
/** Every signed chunk but the last has at least this many bytes. */
const SIGNED_CHUNK_BYTES_MIN = 8192;
const TRAILER_SIGNATURE = 'x-amz-trailer-signature';

const LF = 0x0a;
const CR = 0x0d;

type State = 'header' | 'data' | 'data-end' | 'trailers' | 'end';

export interface AwsChunkedOptions {
  /** x-amz-decoded-content-length. */
  decodedBytes: number;
  /** Set for the signed forms. */
  signing: Signing | undefined;
  /** The form's name says that trailers follow. */
  trailers: boolean;
}

/** A decoder for one payload: push() what arrives, end() at the end. */
export class AwsChunkedDecoder {
  readonly #options: AwsChunkedOptions;
  readonly #signer: ChunkSigner | undefined;
  /** Lower-case names; there after the end. */
  readonly trailers = new Map<string, string>();
  #state: State = 'header';
  #line = '';
  #chunkLeft = 0;
  #sawShortChunk = false;
  #decoded = 0;

  constructor(options: AwsChunkedOptions) {
    this.#options = options;
    this.#signer = options.signing === undefined ? undefined : new ChunkSigner(options.signing);
  }

  /**
   * Takes raw bytes and appends the payload's slices (views, no copies) to `out`.
   * @throws S3Error SignatureDoesNotMatch, InvalidChunkSizeError, IncompleteBody (more bytes than announced),
   * InvalidRequest (bad framing), MalformedTrailerError.
   */
  push(data: Buffer, out: Buffer[]): void {
    let at = 0;
    while (at < data.length) {
      if (this.#state === 'data') at = this.#takeData(data, at, out);
      else at = this.#takeLine(data, at);
    }
  }

  /** @throws S3Error IncompleteBody, MalformedTrailerError when the payload stops early. */
  end(): void {
    // Some clients leave the last empty line out; what counts is that no line is cut.
    if (this.#state === 'trailers' && this.#line === '') this.#finishTrailers();
    if (this.#state !== 'end') throw new S3Error('IncompleteBody');
    if (this.#decoded !== this.#options.decodedBytes) throw this.#lengthError();
  }

  #takeData(data: Buffer, at: number, out: Buffer[]): number {
    const until = Math.min(data.length, at + this.#chunkLeft);
    const slice = at === 0 && until === data.length ? data : data.subarray(at, until);
    this.#signer?.update(slice);
    this.#chunkLeft -= slice.length;
    if (this.#chunkLeft === 0) this.#state = 'data-end';
    out.push(slice);
    return until;
  }

  #takeLine(data: Buffer, at: number): number {
    const newline = data.indexOf(LF, at);
    const until = newline < 0 ? data.length : newline;
    if (this.#line.length + until - at > LINE_BYTES_MAX) throw framingError('a line is too long');
    this.#line += byteStringOf(data, at, until);
    if (newline < 0) return data.length;
    const line = this.#line.charCodeAt(this.#line.length - 1) === CR ? this.#line.slice(0, -1) : this.#line;
    this.#line = '';
    this.#lineDone(line);
    return newline + 1;
  }

  #lineDone(line: string): void {
    if (this.#state === 'header') this.#chunkHeader(line);
    else if (this.#state === 'data-end') this.#dataDone(line);
    else if (this.#state === 'end') refuseTrailing(line);
    else if (line === '') this.#finishTrailers();
    else this.#trailer(line);
  }

  #dataDone(line: string): void {
    if (line !== '') throw framingError('a chunk is longer than its size says');
    this.#signer?.endChunk();
    this.#state = 'header';
  }

  #chunkHeader(line: string): void {
    const semicolon = line.indexOf(';');
    const digits = trimOws(semicolon < 0 ? line : line.slice(0, semicolon));
    if (!/^[0-9a-fA-F]{1,12}$/.test(digits)) throw framingError('a chunk size is not a hexadecimal number');
    const size = Number.parseInt(digits, 16);
    if (this.#signer !== undefined) this.#signer.beginChunk(semicolon < 0 ? '' : line.slice(semicolon + 1));
    if (size === 0) {
      this.#signer?.endChunk();
      this.#state = 'trailers';
      return;
    }
    this.#checkSize(size);
    this.#decoded += size;
    if (this.#decoded > this.#options.decodedBytes) throw this.#lengthError();
    this.#chunkLeft = size;
    this.#state = 'data';
  }

  /** S3 refuses small chunks; clients of the unsigned form send whatever their stream gave, so there it is allowed. */
  #checkSize(size: number): void {
    if (this.#signer === undefined) return;
    if (this.#sawShortChunk) throw new S3Error('InvalidChunkSizeError');
    this.#sawShortChunk = size < SIGNED_CHUNK_BYTES_MIN;
  }

  #trailer(line: string): void {
    const colon = line.indexOf(':');
    const name = lowerAscii(trimOws(line.slice(0, Math.max(colon, 0))));
    if (name === '' || !this.#options.trailers || this.trailers.size === TRAILERS_MAX || this.trailers.has(name)) {
      throw new S3Error('MalformedTrailerError');
    }
    this.trailers.set(name, trimOws(line.slice(colon + 1)));
  }

  #finishTrailers(): void {
    this.#state = 'end';
    const signature = this.trailers.get(TRAILER_SIGNATURE);
    this.trailers.delete(TRAILER_SIGNATURE);
    if (this.#signer === undefined || !this.#options.trailers) return;
    if (signature === undefined) {
      if (this.trailers.size > 0) throw new S3Error('MalformedTrailerError');
      return;
    }
    this.#signer.checkTrailers(this.trailers, signature);
  }

  #lengthError(): S3Error {
    return new S3Error('IncompleteBody', {
      message: 'The payload does not have the length that x-amz-decoded-content-length announces',
    });
  }
}

/** Checks the chain of chunk signatures. */
class ChunkSigner {
  readonly #signing: Signing;
  #previous: string;
  #given = '';
  #hash: Hash | undefined;

  constructor(signing: Signing) {
    this.#signing = signing;
    this.#previous = signing.signature;
  }

  beginChunk(extension: string): void {
    const match = /^[ \t]*chunk-signature=([0-9a-f]{64})[ \t]*$/.exec(extension);
    if (match === null) throw framingError('a chunk carries no chunk-signature');
    this.#given = match[1]!;
    this.#hash = undefined;
  }

  update(data: Buffer): void {
    this.#hash ??= createHash('sha256');
    this.#hash.update(data);
  }

  endChunk(): void {
    const hash = this.#hash === undefined ? EMPTY_SHA256 : this.#hash.digest('hex');
    this.#check(`-PAYLOAD\n${this.#prefix()}\n${EMPTY_SHA256}\n${hash}`, this.#given);
  }

  checkTrailers(trailers: ReadonlyMap<string, string>, given: string): void {
    const canonical = [...trailers.keys()].sort().map((name) => `${name}:${trailers.get(name)}\n`);
    this.#check(`-TRAILER\n${this.#prefix()}\n${sha256Hex(canonical.join(''))}`, given);
  }

  #prefix(): string {
    return `${this.#signing.amzDate}\n${this.#signing.scope}\n${this.#previous}`;
  }

  #check(text: string, given: string): void {
    const expected = hmacHex(this.#signing.key, `${ALGORITHM}${text}`);
    if (!sameSignature(expected, given)) {
      throw new S3Error('SignatureDoesNotMatch', {
        message: 'The signature of a chunk or of the trailers does not match the one we calculated.',
        fields: { StringToSign: `${ALGORITHM}${text}`, SignatureProvided: given },
      });
    }
    this.#previous = expected;
  }
}

function refuseTrailing(line: string): void {
  if (line !== '') throw new S3Error('MalformedTrailerError');
}

function framingError(detail: string): S3Error {
  return new S3Error('InvalidRequest', { message: `The aws-chunked body is malformed: ${detail}` });
}
