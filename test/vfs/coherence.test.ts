import assert from 'node:assert/strict';
import { test } from 'node:test';
import { silentLogger } from '../../src/base/log.ts';
import { Coherence } from '../../src/vfs/cache/coherence.ts';
import { RecordingKernel } from '../support/recording-kernel.ts';
import { until } from '../support/until.ts';

const timeout = 60_000;

function withKernel(waitMs: number): { coherence: Coherence; kernel: RecordingKernel } {
  const coherence = new Coherence(silentLogger, waitMs);
  const kernel = new RecordingKernel();
  coherence.setKernel(kernel);
  return { coherence, kernel };
}

test('pushes are never handed to the kernel from inside the operation that noticed them', { timeout }, async () => {
  const { coherence, kernel } = withKernel(1_000);
  coherence.pushEntry(1, 'a');
  coherence.pushInode(2, true);
  await Promise.resolve();
  assert.deepEqual([kernel.entries, kernel.inodes], [[], []]);
  await until(() => kernel.entries.length + kernel.inodes.length === 2, 'both to be handed over');
  assert.deepEqual(kernel.inodes, [{ ino: 2, offset: 0 }]);
});

test('more pushes than the queue holds expire everything at once', { timeout }, async () => {
  const { coherence, kernel } = withKernel(1_000);
  for (let ino = 1; ino <= 20_001; ino++) coherence.pushInode(ino, false);
  assert.equal(kernel.expired, 1);
  coherence.pushInode(5, false);
  await until(() => kernel.inodes.some((call) => call.ino === 5), 'the queue to go on');
});

test('escaped shadowed entries of a name are dropped once such an entry was seen', { timeout }, async () => {
  const { coherence, kernel } = withKernel(1_000);
  await coherence.announce({ entries: [{ parent: 1, name: 'a' }], inodes: [] });
  assert.deepEqual(
    kernel.entries.map((entry) => entry.name),
    ['a'],
  );
  coherence.sawShadowed();
  kernel.clear();
  await coherence.announce({ entries: [{ parent: 1, name: '.' }], inodes: [] });
  assert.deepEqual(
    kernel.entries.map((entry) => entry.name),
    ['%~dot', '%~file:.', '%~dir:.'],
  );
});

test('a kernel that refuses or does not answer holds no S3 call up', { timeout }, async () => {
  const { coherence, kernel } = withKernel(5);
  kernel.gate = new Promise(() => {});
  await coherence.announce({ entries: [{ parent: 1, name: 'a' }], inodes: [7] });
  kernel.gate = Promise.reject(new Error('no such mount'));
  await coherence.announce({ entries: [{ parent: 1, name: 'a' }], inodes: [] });
  coherence.setKernel(undefined);
  assert.equal(coherence.announce({ entries: [], inodes: [1] }), undefined);
});
