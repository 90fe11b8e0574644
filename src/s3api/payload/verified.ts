/**
 * A request's payload on its way to an operation: raw bytes -> framing -> digests -> consumer. Only what the request
 * declares or the operation asks for is computed, each digest once.
 */
import { createHash, type Hash } from 'node:crypto';
import { type Checksum, type ChecksumAlgorithm, createChecksum } from '../../base/checksums.ts';
import type { Signing } from '../auth/authenticate.ts';
import type { Payload, PayloadSummary } from '../operations/operation.ts';
import { S3Error } from '../protocol/s3-error.ts';
import { AwsChunkedDecoder } from './aws-chunked.ts';
import { type DeclaredDigests, type PayloadForm, strictBase64 } from './form.ts';

/** Where raw bytes come from; RawBody, or a list in tests. */
export interface ByteSource {
  read(): Buffer | undefined | Promise<Buffer | undefined>;
}

const NOTHING_DECLARED: DeclaredDigests = { md5: undefined, checksum: undefined, algorithm: undefined };

export interface PayloadOptions {
  source: ByteSource;
  form: PayloadForm;
  /** Left out when the request's checksum headers speak of something else than its payload. */
  declared?: DeclaredDigests;
  signing: Signing;
}

/** The payload of one request. */
export class VerifiedPayload implements Payload {
  readonly lengthBytes: number | undefined;
  readonly #source: ByteSource;
  readonly #form: PayloadForm;
  readonly #declared: DeclaredDigests;
  readonly #decoder: AwsChunkedDecoder | undefined;
  #ready: Buffer[] = [];
  #sizeBytes = 0;
  #ended = false;
  #md5: Hash | undefined;
  #checksums = new Map<ChecksumAlgorithm, Checksum>();
  #summary: PayloadSummary | undefined;
  #error: unknown;

  constructor(options: PayloadOptions) {
    const { form, signing } = options;
    this.#source = options.source;
    this.#form = form;
    this.#declared = options.declared ?? NOTHING_DECLARED;
    this.lengthBytes = form.lengthBytes;
    if (form.chunked !== undefined) {
      this.#decoder = new AwsChunkedDecoder({
        decodedBytes: form.lengthBytes ?? 0,
        signing: form.chunked.signed ? signing : undefined,
        trailers: form.chunked.trailers,
      });
    }
    if (this.#declared.md5 !== undefined) this.want({ md5: true });
    if (this.#declared.checksum !== undefined) this.want({ checksums: [this.#declared.checksum.algorithm] });
    if (form.sha256 !== undefined) this.want({ checksums: ['SHA256'] });
  }

  get algorithm(): ChecksumAlgorithm | undefined {
    return this.#declared.algorithm;
  }

  want(digests: { md5?: boolean; checksums?: readonly ChecksumAlgorithm[] }): void {
    if (this.#sizeBytes > 0) throw new Error('want() after the first read would miss bytes');
    if (digests.md5 === true) this.#md5 ??= createHash('md5');
    for (const algorithm of digests.checksums ?? []) {
      if (!this.#checksums.has(algorithm)) this.#checksums.set(algorithm, createChecksum(algorithm));
    }
  }

  read(): Buffer | undefined | Promise<Buffer | undefined> {
    for (;;) {
      const ready = this.#ready.shift();
      if (ready !== undefined) return ready;
      if (this.#error !== undefined) throw this.#error;
      if (this.#ended) return undefined;
      const raw = this.#source.read();
      if (raw instanceof Promise) return this.#readLater(raw);
      this.#accept(raw);
    }
  }

  async finish(): Promise<PayloadSummary> {
    while (!this.#ended) await this.read();
    if (this.#error !== undefined) throw this.#error;
    this.#summary ??= this.#verify();
    return this.#summary;
  }

  async readAll(limitBytes: number): Promise<Buffer> {
    if (this.lengthBytes !== undefined && this.lengthBytes > limitBytes) throw new S3Error('MaxMessageLengthExceeded');
    const pieces: Buffer[] = [];
    for (;;) {
      const next = this.read();
      const piece = next instanceof Promise ? await next : next;
      if (piece === undefined) break;
      if (this.#sizeBytes > limitBytes) throw new S3Error('MaxMessageLengthExceeded');
      pieces.push(piece);
    }
    await this.finish();
    return pieces.length === 1 ? pieces[0]! : Buffer.concat(pieces);
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Buffer> {
    for (;;) {
      const next = this.read();
      const piece = next instanceof Promise ? await next : next;
      if (piece === undefined) return;
      yield piece;
    }
  }

  async #readLater(raw: Promise<Buffer | undefined>): Promise<Buffer | undefined> {
    let piece: Buffer | undefined;
    try {
      piece = await raw;
    } catch (error) {
      this.#error = error;
      throw error;
    }
    this.#accept(piece);
    return this.read();
  }

  /** Takes one raw piece (undefined: the end) through framing and digests into #ready. */
  #accept(raw: Buffer | undefined): void {
    const before = this.#ready.length;
    try {
      if (raw === undefined) this.#end();
      else if (this.#decoder !== undefined) this.#decoder.push(raw, this.#ready);
      else this.#ready.push(raw);
      for (let i = before; i < this.#ready.length; i++) this.#digest(this.#ready[i]!);
    } catch (error) {
      this.#error = error;
      throw error;
    }
  }

  #digest(piece: Buffer): void {
    this.#sizeBytes += piece.length;
    this.#md5?.update(piece);
    for (const checksum of this.#checksums.values()) checksum.update(piece);
  }

  #end(): void {
    this.#ended = true;
    this.#decoder?.end();
    if (this.lengthBytes !== undefined && this.#sizeBytes !== this.lengthBytes) throw new S3Error('IncompleteBody');
  }

  #verify(): PayloadSummary {
    const values = new Map<ChecksumAlgorithm, Buffer>();
    for (const [algorithm, checksum] of this.#checksums) values.set(algorithm, checksum.digest());
    const md5 = this.#md5?.digest();
    try {
      this.#checkSha256(values.get('SHA256'));
      this.#checkMd5(md5);
      return { sizeBytes: this.#sizeBytes, md5, declared: this.#checkDeclared(values), checksums: encoded(values) };
    } catch (error) {
      this.#error = error;
      throw error;
    }
  }

  #checkSha256(computed: Buffer | undefined): void {
    const expected = this.#form.sha256;
    if (expected === undefined) return;
    const hex = computed!.toString('hex');
    if (hex === expected) return;
    throw new S3Error('XAmzContentSHA256Mismatch', {
      fields: { ClientComputedContentSHA256: expected, S3ComputedContentSHA256: hex },
    });
  }

  #checkMd5(computed: Buffer | undefined): void {
    const expected = this.#declared.md5;
    if (expected === undefined || expected.equals(computed!)) return;
    throw new S3Error('BadDigest', {
      message: 'The Content-MD5 you specified did not match what we received.',
      fields: { ExpectedDigest: expected.toString('base64'), CalculatedDigest: computed!.toString('base64') },
    });
  }

  #checkDeclared(values: ReadonlyMap<ChecksumAlgorithm, Buffer>): PayloadSummary['declared'] {
    const checksum = this.#declared.checksum;
    const trailers = this.#decoder?.trailers;
    for (const name of trailers?.keys() ?? []) {
      if (name !== checksum?.trailerName) throw new S3Error('MalformedTrailerError');
    }
    if (checksum === undefined) return undefined;
    const { algorithm, trailerName } = checksum;
    const computed = values.get(algorithm)!;
    const expected =
      trailerName === undefined
        ? checksum.value!
        : trailerValue(trailers!.get(trailerName), computed.length, trailerName);
    if (!expected.equals(computed)) {
      throw new S3Error('BadDigest', {
        message: `The ${algorithm} you specified did not match the calculated checksum.`,
      });
    }
    return { algorithm, value: computed.toString('base64') };
  }
}

function trailerValue(text: string | undefined, bytes: number, name: string): Buffer {
  if (text === undefined) throw new S3Error('MalformedTrailerError');
  const value = strictBase64(text, bytes);
  if (value === undefined) {
    throw new S3Error('InvalidRequest', { message: `Value for ${name} trailing header is invalid.` });
  }
  return value;
}

function encoded(values: ReadonlyMap<ChecksumAlgorithm, Buffer>): PayloadSummary['checksums'] {
  const out: PayloadSummary['checksums'] = {};
  for (const [algorithm, value] of values) out[algorithm] = value.toString('base64');
  return out;
}
