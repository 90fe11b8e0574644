import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import {
  CompleteMultipartUploadCommand,
  CreateBucketCommand,
  CreateMultipartUploadCommand,
  HeadObjectCommand,
  PutObjectCommand,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { ACCESS_KEY, type RunningUp, SECRET_KEY, shell, startUp } from './running-up.ts';

let up: RunningUp;

before(async () => {
  up = await startUp();
  await up.s3.send(new CreateBucketCommand({ Bucket: 'clients' }));
});
after(() => up?.end());

/** False, or the reason why the client cannot be used here. */
function missing(command: string, args: string[]): string | false {
  try {
    execFileSync(command, args, { stdio: 'ignore', timeout: 60_000 });
    return false;
  } catch {
    return `${command} ${args.join(' ')} does not work here`;
  }
}
const noAws = missing('aws', ['--version']);
const noBoto3 = missing('python3', ['-c', 'import boto3']);
const noGit = missing('git', ['--version']);

const awsEnv = (): Record<string, string> => ({
  AWS_ACCESS_KEY_ID: ACCESS_KEY,
  AWS_SECRET_ACCESS_KEY: SECRET_KEY,
  AWS_DEFAULT_REGION: 'us-east-1',
  AWS_ENDPOINT_URL: up.endpoint,
  AWS_CONFIG_FILE: '/dev/null',
  AWS_EC2_METADATA_DISABLED: 'true',
});

test('S4: a multipart upload of 200 MiB has the same md5sum on the mount', { timeout: 170_000 }, async () => {
  const partBytes = 25 * 1024 * 1024;
  const whole = createHash('md5');
  const Key = 'big';
  const target = { Bucket: 'clients', Key };
  const { UploadId } = await up.s3.send(new CreateMultipartUploadCommand(target));
  const parts: { PartNumber: number; ETag: string }[] = [];
  const partHashes: Buffer[] = [];
  for (let PartNumber = 1; PartNumber <= 8; PartNumber++) {
    const Body = Buffer.alloc(partBytes);
    for (let at = 0; at < partBytes; at += 4096) Body.writeUInt32LE((at * 31 + PartNumber) >>> 0, at);
    whole.update(Body);
    partHashes.push(createHash('md5').update(Body).digest());
    const { ETag } = await up.s3.send(new UploadPartCommand({ ...target, UploadId, PartNumber, Body }));
    parts.push({ PartNumber, ETag: ETag! });
  }
  const done = await up.s3.send(
    new CompleteMultipartUploadCommand({ ...target, UploadId, MultipartUpload: { Parts: parts } }),
  );
  assert.equal(done.ETag, `"${createHash('md5').update(Buffer.concat(partHashes)).digest('hex')}-8"`);
  const onMount = createHash('md5');
  for await (const piece of createReadStream(up.at('clients', Key), { highWaterMark: 1 << 20 })) onMount.update(piece);
  assert.equal(onMount.digest('hex'), whole.digest('hex'));
});

test('E1: the ETag of a PUT is the MD5 of its bytes', async () => {
  const Body = Buffer.from('some bytes\n');
  const { ETag } = await up.s3.send(new PutObjectCommand({ Bucket: 'clients', Key: 'md5', Body }));
  const md5 = createHash('md5').update(Body).digest('hex');
  assert.equal(ETag, `"${md5}"`);
  assert.equal((await up.s3.send(new HeadObjectCommand({ Bucket: 'clients', Key: 'md5' }))).ETag, `"${md5}"`);
  assert.match(await shell(`md5sum ${up.at('clients', 'md5')}`), new RegExp(`^${md5} `));
});

test('aws s3 cp and ls see the mount, and the mount sees them', { skip: noAws }, async () => {
  await writeFile(up.scratch('local'), 'from the command line\n');
  await shell(`aws s3 cp --quiet ${up.scratch('local')} s3://clients/cli/up.txt`, awsEnv());
  assert.equal(await shell(`cat ${up.at('clients', 'cli', 'up.txt')}`), 'from the command line\n');
  await shell(`echo from the mount > ${up.at('clients', 'cli', 'down.txt')}`);
  assert.equal(await shell('aws s3 cp s3://clients/cli/down.txt -', awsEnv()), 'from the mount\n');
  const listed = await shell('aws s3 ls s3://clients/cli/', awsEnv());
  assert.match(listed, / 22 up\.txt\n/);
  assert.match(listed, / 15 down\.txt\n/);
});

test('aws s3 sync of a source tree, both ways, leaves no difference', {
  skip: noAws || noGit,
  timeout: 170_000,
}, async () => {
  const tree = up.scratch('tree');
  await makeTree(tree);
  await shell(`aws s3 sync --quiet ${tree} s3://clients/tree`, awsEnv());
  await shell(`diff -r ${tree} ${up.at('clients', 'tree')}`);
  await shell(`cp -r ${tree} ${up.at('clients', 'copied')}`);
  await shell(`aws s3 sync --quiet s3://clients/copied ${up.scratch('back')}`, awsEnv());
  await shell(`diff -r ${tree} ${up.scratch('back')}`);
  await shell('aws s3 rm --quiet --recursive s3://clients/tree', awsEnv());
  await shell(`test ! -e ${up.at('clients', 'tree')}`);
});

test('boto3 uploads, reads and lists what the mount sees', { skip: noBoto3 }, async () => {
  const script = `
import boto3, botocore.config, io
s3 = boto3.client('s3', config=botocore.config.Config(signature_version='s3v4'))
s3.upload_fileobj(io.BytesIO(b'z' * 20_000_000), 'clients', 'py/large')
s3.put_object(Bucket='clients', Key='py/small', Body=b'small', Metadata={'m': 'v'})
data = s3.get_object(Bucket='clients', Key='py/from-mount')['Body'].read()
assert data == b'mount', data
keys = [o['Key'] for o in s3.list_objects_v2(Bucket='clients', Prefix='py/')['Contents']]
assert keys == ['py/from-mount', 'py/large', 'py/small'], keys
assert s3.head_object(Bucket='clients', Key='py/small')['Metadata'] == {'m': 'v'}
url = s3.generate_presigned_url('get_object', Params={'Bucket': 'clients', 'Key': 'py/small'})
import urllib.request
assert urllib.request.urlopen(url).read() == b'small'
`;
  await mkdir(up.at('clients', 'py'));
  await writeFile(up.at('clients', 'py', 'from-mount'), 'mount');
  await writeFile(up.scratch('client.py'), script);
  await shell(`python3 ${up.scratch('client.py')}`, awsEnv());
  assert.equal((await shell(`stat -c %s ${up.at('clients', 'py', 'large')}`)).trim(), '20000000');
});

test('git works in a repository on the mount', { skip: noGit, timeout: 120_000 }, async () => {
  await makeTree(up.scratch('work'));
  const repository = up.at('clients', 'repo');
  await shell(
    `cp -r ${up.scratch('work')} ${repository} && cd ${repository} && git init -q . && git add -A && git -c user.name=n -c user.email=e@example.org commit -qm first && git fsck --full && git status --porcelain > ${up.scratch('status')}`,
  );
  assert.equal(await shell(`cat ${up.scratch('status')}`), '');
  await shell(
    `git clone -q ${repository} ${up.scratch('clone')} && diff -r --exclude=.git ${repository} ${up.scratch('clone')}`,
  );
});

/** A tree like a source repository: nested directories, small files, a few larger ones. */
async function makeTree(root: string): Promise<void> {
  for (let d = 0; d < 6; d++) {
    await mkdir(`${root}/dir ${d}/sub`, { recursive: true });
    for (let f = 0; f < 12; f++)
      await writeFile(`${root}/dir ${d}/file-${f}.txt`, `file ${f} of ${d}\n`.repeat(f * f * 7 + 1));
    await writeFile(`${root}/dir ${d}/sub/blob.bin`, Buffer.alloc(200_000 * d + 1, d + 1));
  }
  await writeFile(`${root}/empty`, '');
}
