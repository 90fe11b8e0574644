/** Does a workload through an S3 endpoint, below a prefix of its own, until something fails. Every answer binds. */
import {
  CompleteMultipartUploadCommand,
  CopyObjectCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  PutObjectCommand,
  type S3Client,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { type AnyOperation, bytesOf, Workload } from './workload.ts';

export class S3Writer {
  begun = 0;
  answered = 0;
  readonly #s3: S3Client;
  readonly #Bucket: string;
  readonly #prefix: string;

  constructor(s3: S3Client, bucket: string, prefix: string) {
    this.#s3 = s3;
    this.#Bucket = bucket;
    this.#prefix = prefix;
  }

  /** Resolves at the first failure: the power is gone. */
  async run(seed: number): Promise<void> {
    const workload = new Workload({ kind: 's3', seed, lazyShare: 0 });
    for (;;) {
      const operation = workload.next();
      this.begun += 1;
      try {
        await this.#send(operation);
      } catch {
        return;
      }
      this.answered += 1;
      workload.apply(operation);
    }
  }

  async #send(operation: AnyOperation): Promise<void> {
    const where = { Bucket: this.#Bucket, Key: this.#prefix + operation.name };
    switch (operation.kind) {
      case 'put':
        await this.#s3.send(new PutObjectCommand({ ...where, Body: bytesOf(operation.seed, operation.length) }));
        return;
      case 'multipart': {
        const { UploadId } = await this.#s3.send(new CreateMultipartUploadCommand(where));
        const Parts = [];
        for (const [i, length] of operation.lengths.entries()) {
          const part = { ...where, UploadId, PartNumber: i + 1, Body: bytesOf(`${operation.seed}-${i}`, length) };
          const { ETag } = await this.#s3.send(new UploadPartCommand(part));
          Parts.push({ PartNumber: i + 1, ETag });
        }
        await this.#s3.send(new CompleteMultipartUploadCommand({ ...where, UploadId, MultipartUpload: { Parts } }));
        return;
      }
      case 'copy': {
        const CopySource = `${this.#Bucket}/${this.#prefix}${operation.name}`;
        await this.#s3.send(new CopyObjectCommand({ ...where, Key: this.#prefix + operation.to, CopySource }));
        return;
      }
      case 'delete':
        await this.#s3.send(new DeleteObjectCommand(where));
        return;
      default:
        throw new Error(`${operation.kind} is nothing for S3`);
    }
  }
}
