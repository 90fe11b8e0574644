/**
 * S3 benchmark with a reference: each step runs against both endpoints in turn and the report gives ratios.
 *
 *     node dist/bench/s3-bench.js --endpoint URL --reference URL [--seconds 3] [--rounds 3]
 *
 * Keys of both come from JANUSFS_ACCESS_KEY and JANUSFS_SECRET_KEY. The load is presigned requests over keep-alive
 * connections; the client is one Node process and costs both systems the same.
 */
import { parseArgs } from 'node:util';
import {
  CreateBucketCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
} from '@aws-sdk/client-s3';
import { getSignedUrl } from '@aws-sdk/s3-request-presigner';
import { Pool } from 'undici';
import { compare, type Figures } from './figures.ts';

const { values } = parseArgs({
  options: {
    endpoint: { type: 'string' },
    reference: { type: 'string' },
    seconds: { type: 'string', default: '3' },
    rounds: { type: 'string', default: '3' },
  },
});
const { JANUSFS_ACCESS_KEY: accessKeyId, JANUSFS_SECRET_KEY: secretAccessKey } = process.env;
if (
  values.endpoint === undefined ||
  values.reference === undefined ||
  accessKeyId === undefined ||
  secretAccessKey === undefined
) {
  process.stderr.write(
    'usage: JANUSFS_ACCESS_KEY=... JANUSFS_SECRET_KEY=... s3-bench --endpoint URL --reference URL\n',
  );
  process.exit(2);
}
const credentials = { accessKeyId, secretAccessKey };
const BUCKET = `s3-bench-${process.pid}`;
const URL_COUNT = 64;
const LIST_KEYS = 1000;

interface Step {
  name: string;
  connections: number;
  method: 'GET' | 'PUT';
  bodyBytes: number;
  key: (i: number) => string;
  list?: boolean;
}

const STEPS: Step[] = [
  { name: 'PUT 4 KiB', connections: 16, method: 'PUT', bodyBytes: 4096, key: (i) => `small/${i}` },
  { name: 'GET 4 KiB', connections: 16, method: 'GET', bodyBytes: 0, key: (i) => `small/${i}` },
  { name: 'PUT 4 KiB, 1 connection', connections: 1, method: 'PUT', bodyBytes: 4096, key: (i) => `small/${i}` },
  { name: 'GET 4 KiB, 1 connection', connections: 1, method: 'GET', bodyBytes: 0, key: (i) => `small/${i}` },
  { name: 'PUT 1 MiB', connections: 4, method: 'PUT', bodyBytes: 1 << 20, key: (i) => `mib/${i}` },
  { name: 'GET 1 MiB', connections: 4, method: 'GET', bodyBytes: 0, key: (i) => `mib/${i}` },
  { name: 'LIST 1,000 keys', connections: 4, method: 'GET', bodyBytes: 0, key: () => '', list: true },
];

class Subject {
  readonly s3: S3Client;
  readonly pool: Pool;
  readonly figures = new Map<string, number[]>();
  readonly #urls = new Map<string, string[]>();

  constructor(endpoint: string) {
    this.s3 = new S3Client({ endpoint, region: 'us-east-1', forcePathStyle: true, credentials });
    this.pool = new Pool(endpoint, { connections: 16, pipelining: 1 });
  }

  async prepare(): Promise<void> {
    await this.s3.send(new CreateBucketCommand({ Bucket: BUCKET }));
    for (let i = 0; i < LIST_KEYS; i += 20) {
      await Promise.all(
        Array.from({ length: 20 }, (_, j) =>
          this.s3.send(new PutObjectCommand({ Bucket: BUCKET, Key: `list/${i + j}`, Body: '' })),
        ),
      );
    }
    for (const step of STEPS) {
      const urls: string[] = [];
      for (let i = 0; i < (step.list ? 1 : URL_COUNT); i++) urls.push(await this.#sign(step, i));
      this.#urls.set(step.name, urls);
    }
  }

  /** Requests per second with the step's connections for the given time. */
  async measure(step: Step, seconds: number): Promise<number> {
    const urls = this.#urls.get(step.name)!;
    const body = step.method === 'PUT' ? Buffer.alloc(step.bodyBytes, 'z') : null;
    let done = 0;
    const begun = process.hrtime.bigint();
    const elapsed = (): number => Number(process.hrtime.bigint() - begun) / 1e9;
    const worker = async (start: number): Promise<void> => {
      for (let i = start; elapsed() < seconds; i++) {
        const reply = await this.pool.request({ path: urls[i % urls.length]!, method: step.method, body });
        await reply.body.dump({ limit: 1 << 30 });
        if (reply.statusCode !== 200) throw new Error(`${step.name}: status ${reply.statusCode}`);
        done++;
      }
    };
    await Promise.all(Array.from({ length: step.connections }, (_, i) => worker(i * 7)));
    return done / elapsed();
  }

  async end(): Promise<void> {
    let truncated = true;
    while (truncated) {
      const page = await this.s3.send(new ListObjectsV2Command({ Bucket: BUCKET }));
      for (const { Key } of page.Contents ?? [])
        await this.s3.send(new DeleteObjectCommand({ Bucket: BUCKET, Key: Key! }));
      truncated = page.IsTruncated === true;
    }
    await this.pool.close();
    this.s3.destroy();
  }

  async #sign(step: Step, i: number): Promise<string> {
    const target = { Bucket: BUCKET, Key: step.key(i) };
    const options = { expiresIn: 3600 };
    let url: string;
    if (step.list)
      url = await getSignedUrl(this.s3, new ListObjectsV2Command({ Bucket: BUCKET, Prefix: 'list/' }), options);
    else if (step.method === 'GET') url = await getSignedUrl(this.s3, new GetObjectCommand(target), options);
    else url = await getSignedUrl(this.s3, new PutObjectCommand(target), options);
    const { pathname, search } = new URL(url);
    return pathname + search;
  }
}

const subjects = [new Subject(values.endpoint), new Subject(values.reference)];
for (const subject of subjects) await subject.prepare();
for (let round = 0; round < Number(values.rounds); round++) {
  for (const step of STEPS) {
    for (const subject of subjects) {
      const figures = subject.figures.get(step.name) ?? [];
      figures.push(await subject.measure(step, Number(values.seconds)));
      subject.figures.set(step.name, figures);
    }
  }
}
for (const subject of subjects) await subject.end();
const rows: Figures[] = STEPS.map(({ name }) => ({
  name,
  unit: 'requests/s',
  subject: subjects[0]!.figures.get(name)!,
  reference: subjects[1]!.figures.get(name)!,
}));
process.stdout.write(compare(rows));
