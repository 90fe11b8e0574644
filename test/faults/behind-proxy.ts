import { join } from 'node:path';
import { S3TestServer, TEST_BUCKET, TEST_KEY, TEST_REGION, TEST_SECRET } from '../chunk/s3-test-server.ts';
import { type ServedVolume, withVolume } from './served-volume.ts';
import { StoreProxy } from './store-proxy.ts';

export interface Behind {
  volume: ServedVolume;
  proxy: StoreProxy;
  path: (name: string) => string;
}

/** Serves a volume without a cache whose S3 store is behind a proxy, which passes everything again when `body` ends. @param retryTime seconds */
export async function behindProxy(retryTime: string, body: (behind: Behind) => Promise<void>): Promise<void> {
  const server = new S3TestServer();
  await server.start();
  const proxy = new StoreProxy(new URL(server.endpoint));
  await proxy.start();
  try {
    await withVolume(
      {
        storeUrl: () => `s3://${TEST_BUCKET}/p?endpoint=${proxy.endpoint}&region=${TEST_REGION}`,
        env: { AWS_ACCESS_KEY_ID: TEST_KEY, AWS_SECRET_ACCESS_KEY: TEST_SECRET },
        flags: ['--retry-time', retryTime, '--cache-size', '0'],
      },
      async (volume) => {
        try {
          await body({ volume, proxy, path: (name) => join(volume.bucket, name) });
        } finally {
          await proxy.set('pass');
        }
      },
    );
  } finally {
    await proxy.stop();
    await server.stop();
  }
}
