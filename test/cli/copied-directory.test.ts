import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { shell, startMain, startUp, stopChild } from '../../conformance/cross-frontend/running-up.ts';
import { janusfs } from '../support/command-line.ts';

/** Files that are written while the directory is copied. */
const WRITER = 'i=0; while :; do i=$((i+1)); head -c $((i % 7 * 30000 + 500)) /dev/zero | tr "\\0" x > "$1/f$i"; done';

test('D18: a copy of the data directory that was taken while it was written starts, and is whole but for what fsck names', {
  timeout: 170_000,
}, async () => {
  const up = await startUp();
  try {
    mkdirSync(up.at('bkt'));
    const copies = ['one', 'two'].map((name) => up.scratch(name));
    const writer = shell(`timeout 8 sh -c '${WRITER}' sh ${up.at('bkt')}; true`);
    for (const copy of copies) await shell(`sleep 2; mkdir ${copy} && cp -a ${up.data} ${copy}/data`);
    await writer;
    for (const copy of copies) {
      const mount = join(copy, 'mnt');
      const flags = ['--data', join(copy, 'data'), '--mount', mount, '--listen', '127.0.0.1:0'];
      const started = await startMain(['up', ...flags]);
      const checked = await janusfs(['fsck', '--data', join(copy, 'data'), '--json']);
      const found = checked.stdout.split('\n').filter((line) => line.includes('"kind"'));
      const kinds = new Set(found.map((line) => (JSON.parse(line) as { kind: string }).kind));
      kinds.delete('stale-session'); // That of the process that was copied.
      for (const kind of kinds) assert.equal(kind, 'missing-block');
      const names = readdirSync(join(mount, 'bkt'));
      assert.ok(names.length > 20, `${names.length} files`);
      for (const name of names) {
        if (found.some((line) => line.includes(`/bkt/${name}"`) || line.includes(`/bkt/${name})`))) continue;
        const bytes = readFileSync(join(mount, 'bkt', name));
        assert.ok(bytes.equals(Buffer.alloc(bytes.length, 'x')), name);
      }
      await stopChild(started.child);
    }
  } finally {
    await up.end();
  }
});
