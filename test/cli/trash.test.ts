import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { DeleteObjectCommand, GetObjectCommand, ListBucketsCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import { shell, startUp } from '../../conformance/cross-frontend/running-up.ts';
import { janusfs } from '../support/command-line.ts';

test('T3: what either door removes or overwrites is in MNT/.trash and comes back by restore; bad requests are one line', {
  timeout: 240_000,
}, async () => {
  const up = await startUp();
  try {
    const at = ['--data', up.data];
    await shell(`mkdir ${up.at('bkt')} && echo early > ${up.at('bkt', 'early')} && rm ${up.at('bkt', 'early')}`);
    assert.match((await janusfs(['trash', ...at])).stdout, /^0 files of 0 B; nothing is kept; --keep 7d begins it\n$/);
    assert.match(
      (await janusfs(['trash', ...at, '--keep', '7d'])).stdout,
      /^0 files of 0 B; what is removed is kept 7 d\n$/,
    );
    const put = (Key: string, Body: string): Promise<unknown> =>
      up.s3.send(new PutObjectCommand({ Bucket: 'bkt', Key, Body, ContentType: 'text/x-kept' }));
    await put('a/object', 'first');
    await put('a/object', 'second');
    await up.s3.send(new DeleteObjectCommand({ Bucket: 'bkt', Key: 'a/object' }));
    await shell(
      `cd ${up.at('bkt')} && echo one > file && echo two > file && echo x > moved && mv moved file && mkdir -p t/u && echo deep > t/u/v && rm -r t`,
    );
    const listed = (await janusfs(['trash', ...at])).stdout;
    const paths = listed.split('\n').map((line) => line.split(/ {2,}/).slice(1).join(' '));
    assert.deepEqual(paths.slice(0, -2), [
      'removed 5 B bkt/a/object',
      'removed 6 B bkt/a/object',
      'overwritten 4 B bkt/file',
      'removed 4 B bkt/file',
      'removed 5 B bkt/t/u/v',
    ]);
    const hours = readdirSync(up.at('.trash'));
    assert.ok(
      hours.every((name) => /^20\d\d-\d\d-\d\dT\d\d$/.test(name)),
      hours.join(),
    );
    const there = hours.flatMap((hour) => readdirSync(up.at('.trash', hour)));
    assert.equal(there.length, 5);
    assert.ok(there.some((name) => /^\d+-v$/.test(name)));
    const { Buckets } = await up.s3.send(new ListBucketsCommand({}));
    assert.deepEqual(
      Buckets!.map(({ Name }) => Name),
      ['bkt'],
    );

    assert.equal((await janusfs(['restore', 'bkt/a/object', ...at])).stdout, 'bkt/a/object\n');
    const back = await up.s3.send(new GetObjectCommand({ Bucket: 'bkt', Key: 'a/object' }));
    assert.deepEqual([await back.Body!.transformToString(), back.ContentType], ['second', 'text/x-kept']);
    assert.equal((await janusfs(['restore', 'bkt/t/', ...at])).stdout, 'bkt/t/u/v\n');
    assert.equal(readFileSync(up.at('bkt', 't', 'u', 'v'), 'utf8'), 'deep\n');
    const occupied = await janusfs(['restore', 'bkt/file', ...at]);
    assert.deepEqual([occupied.status, /is there; remove it first, or use --to/.test(occupied.stderr)], [1, true]);
    assert.equal((await janusfs(['restore', 'bkt/file', '--to', 'bkt/file-2', ...at])).stdout, 'bkt/file-2\n');
    assert.equal(readFileSync(up.at('bkt', 'file-2'), 'utf8'), 'two\n');
    assert.match((await janusfs(['restore', 'bkt/none', ...at])).stderr, /the trash holds no 'bkt\/none'/);
    assert.match((await janusfs(['trash', '--empty', ...at])).stdout, /^2 files freed\n0 files of 0 B/);
    assert.deepEqual(readdirSync(up.at('.trash')), []);
    assert.equal((await janusfs(['fsck', ...at])).status, 0);
    for (const wrong of [
      ['trash', '--keep', '1s'],
      ['trash', '--keep', '1d', '--off'],
      ['trash', '--older', '1d'],
      ['restore', 'x', '--before', 'noon'],
      ['restore'],
    ]) {
      const refused = await janusfs([...wrong, ...at]);
      assert.deepEqual([refused.status, refused.stderr.split('\n').length], [2, 2], refused.stderr);
    }
  } finally {
    await up.end();
  }
});
