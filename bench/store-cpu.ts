/**
 * What a small block costs this process on its way to an S3 store: the driver's own requests against the SDK's.
 *
 *     node dist/bench/store-cpu.js [--rounds 5] [--requests 3000] [--parallel 16]
 *
 * The server is a process of its own and answers everything at once, so the figures are the client's CPU and nothing else:
 * microseconds of user and system time per request, the least of all rounds. The two take turns.
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { GetObjectCommand, PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { S3Store } from '../src/chunk/object/s3-store.ts';

const BLOCK = Buffer.alloc(4096, 'block');
const BUCKET = 'bench';
const credentials = { accessKeyId: 'BENCH', secretAccessKey: 'bench' };

if (process.argv[2] === '--serve') serve();
else await measure();

function serve(): void {
  const server = createServer((request, response) => {
    request.resume().on('end', () => response.end(request.method === 'GET' ? BLOCK : undefined));
  });
  server.listen(0, '127.0.0.1', () => process.send?.((server.address() as AddressInfo).port));
  process.once('disconnect', () => process.exit());
}

async function measure(): Promise<void> {
  const { values } = parseArgs({
    options: {
      rounds: { type: 'string', default: '5' },
      requests: { type: 'string', default: '3000' },
      parallel: { type: 'string', default: '16' },
    },
  });
  const parallel = Number(values.parallel);
  const server = fork(fileURLToPath(import.meta.url), ['--serve']);
  const [port] = (await once(server, 'message')) as [number];
  const calls = requests(new URL(`http://127.0.0.1:${port}`), parallel);
  const least = new Map<string, number>();
  for (let round = 0; round <= Number(values.rounds); round++) {
    for (const [name, call] of calls) {
      const microseconds = await cpuPerCall(call, Number(values.requests), parallel);
      // The first round is for the compiler.
      if (round > 0) least.set(name, Math.min(microseconds, least.get(name) ?? Number.POSITIVE_INFINITY));
    }
  }
  for (const [name, microseconds] of least) process.stdout.write(`${name}: ${microseconds.toFixed(0)} us of CPU\n`);
  server.disconnect();
  process.exit();
}

function requests(endpoint: URL, connections: number): Map<string, (key: string) => Promise<unknown>> {
  const store = new S3Store({
    bucket: BUCKET,
    prefix: '',
    endpoint,
    region: 'us-east-1',
    style: 'path',
    payload: 'unsigned',
    connections,
    credentials: async () => credentials,
  });
  const agent = { keepAlive: true, maxSockets: connections };
  const client = new S3Client({
    endpoint: endpoint.origin,
    region: 'us-east-1',
    forcePathStyle: true,
    credentials,
    maxAttempts: 1,
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    requestHandler: { httpAgent: agent },
  });
  return new Map<string, (key: string) => Promise<unknown>>([
    ['GET 4 KiB, own', (key) => store.get(key, undefined)],
    [
      'GET 4 KiB, SDK',
      async (Key) => (await client.send(new GetObjectCommand({ Bucket: BUCKET, Key }))).Body?.transformToByteArray(),
    ],
    ['PUT 4 KiB, own', (key) => store.put(key, [BLOCK])],
    ['PUT 4 KiB, SDK', (Key) => client.send(new PutObjectCommand({ Bucket: BUCKET, Key, Body: BLOCK }))],
  ]);
}

async function cpuPerCall(call: (key: string) => Promise<unknown>, count: number, parallel: number): Promise<number> {
  const before = process.cpuUsage();
  let sent = 0;
  const lane = async (): Promise<void> => {
    while (sent < count) await call(`chunks/0/1/${sent++}_0_4096`);
  };
  await Promise.all(Array.from({ length: parallel }, lane));
  const { user, system } = process.cpuUsage(before);
  return (user + system) / count;
}
