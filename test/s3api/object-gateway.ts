/** A gateway over the in-memory VfsObjects and a real client for it. */
import { S3Client, type S3ClientConfig, S3ServiceException } from '@aws-sdk/client-s3';
import { silentLogger } from '../../src/base/log.ts';
import { type Gateway, startGateway } from '../../src/s3api/start-gateway.ts';
import type { Vfs } from '../../src/vfs/vfs.ts';
import { FakeObjectVfs } from './fake-object-vfs.ts';

export const CREDENTIALS = { accessKeyId: 'AKTEST', secretAccessKey: 'secret' };
export const BUCKET = 'bucket';

export interface ObjectGateway {
  objects: FakeObjectVfs;
  client: S3Client;
  url: string;
  close(): Promise<void>;
}

/** Serves an empty bucket named `bucket`. Close it in the test's end. */
export async function startObjectGateway(config: Partial<S3ClientConfig> = {}): Promise<ObjectGateway> {
  const objects = new FakeObjectVfs();
  await objects.createBucket({ uid: 0, gid: 0, groups: [], pid: 0, check: true }, BUCKET);
  // The operations reach nothing of a Vfs but its objects; the front sees that it must not cache buckets.
  const vfs = { ...objects.facets(), validity: () => ({ entrySec: 0, attrSec: 0 }) } as unknown as Vfs;
  const gateway: Gateway = await startGateway({
    vfs,
    listen: { host: '127.0.0.1', port: 0 },
    region: 'us-east-1',
    logger: silentLogger,
  });
  const client = new S3Client({
    endpoint: gateway.url,
    region: 'us-east-1',
    forcePathStyle: true,
    credentials: CREDENTIALS,
    maxAttempts: 1,
    ...config,
  });
  return {
    objects,
    client,
    url: gateway.url,
    async close() {
      client.destroy();
      await gateway.close();
    },
  };
}

/** Awaits a failure of the client and answers what the server said. */
export async function refusal(sent: Promise<unknown>): Promise<{ code: string; status: number; message: string }> {
  try {
    await sent;
  } catch (error) {
    if (!(error instanceof S3ServiceException)) throw error;
    return { code: error.name, status: error.$metadata.httpStatusCode ?? 0, message: error.message };
  }
  throw new Error('the request was answered, but should have been refused');
}

/** `code status` of a refusal. */
export async function refusalCode(sent: Promise<unknown>): Promise<string> {
  const { code, status } = await refusal(sent);
  return `${code} ${status}`;
}
