import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { isFsError } from '../../src/base/errors.ts';
import {
  allMountNames,
  decodeMountName,
  encodeMountName,
  existingName,
  newName,
  targetName,
} from '../../src/vfs/name/mount-names.ts';

/** Byte strings that S3 may store as a component, with a liking for what the escape uses. */
const storedName = fc.oneof(
  fc.constantFrom(
    '',
    '.',
    '..',
    '...',
    '%~',
    '%~dot',
    '%~dotdot',
    '%~empty',
    '%~file:a',
    '%~dir:',
    '%~%~',
    'file:',
    '%',
  ),
  fc
    .array(fc.integer({ min: 1, max: 255 }), { maxLength: 20 })
    .map((bytes) => Buffer.from(bytes).toString('latin1').replaceAll('/', '_')),
  fc.string({ maxLength: 6 }).map((rest) => `%~${Buffer.from(rest).toString('latin1').replaceAll(/[/\0]/g, '_')}`),
);

test('every stored entry has one mount name that leads back to it', () => {
  fc.assert(
    fc.property(storedName, fc.boolean(), fc.boolean(), (name, shadowed, isDirectory) => {
      const shown = encodeMountName(name, shadowed, isDirectory);
      assert.deepEqual(decodeMountName(shown), {
        name,
        kind: shadowed ? (isDirectory ? 'dir' : 'file') : 'primary',
      });
      assert.ok(shown !== '' && shown !== '.' && shown !== '..' && !shown.includes('/'));
      assert.ok(allMountNames(name).includes(shown));
    }),
  );
});

test('different entries never share a mount name', () => {
  const entry = fc.record({ name: storedName, shadowed: fc.boolean(), isDirectory: fc.boolean() });
  fc.assert(
    fc.property(entry, entry, (a, b) => {
      const sameEntry =
        a.name === b.name && a.shadowed === b.shadowed && (!a.shadowed || a.isDirectory === b.isDirectory);
      const same =
        encodeMountName(a.name, a.shadowed, a.isDirectory) === encodeMountName(b.name, b.shadowed, b.isDirectory);
      assert.equal(same, sameEntry);
    }),
  );
});

test('whatever a user types that decodes is the mount name of what it decodes to', () => {
  fc.assert(
    fc.property(fc.oneof(storedName, fc.string()), (shown) => {
      const stored = decodeMountName(shown);
      if (stored === undefined) return;
      assert.equal(encodeMountName(stored.name, stored.kind !== 'primary', stored.kind === 'dir'), shown);
    }),
  );
});

test('names of the escape that mean nothing are ENOENT to find and EINVAL to make', () => {
  for (const shown of ['%~', '%~x', '%~dotx', '%~files:a', '%~DOT', '.', '..', '']) {
    assert.throws(() => existingName('lookup', shown), code('ENOENT'), shown);
    assert.throws(() => newName('mkdir', shown), code('EINVAL'), shown);
    assert.throws(() => targetName('rename', shown), code('EINVAL'), shown);
  }
  assert.throws(() => newName('mkdir', '%~file:a'), code('EINVAL'));
  assert.equal(newName('mkdir', '%~dot'), '.');
  assert.deepEqual(targetName('rename', '%~file:a'), { name: 'a', kind: 'file' });
});

test('255 stored bytes are a name, 256 are too long, whatever the escape adds', () => {
  const longest = 'n'.repeat(255);
  assert.equal(existingName('lookup', longest).name, longest);
  assert.equal(existingName('lookup', `%~file:${longest}`).name, longest);
  assert.equal(newName('create', `%~%~${'n'.repeat(253)}`).length, 255);
  assert.throws(() => newName('create', `${longest}n`), code('ENAMETOOLONG'));
  assert.throws(() => existingName('lookup', `%~%~${'n'.repeat(254)}`), code('ENAMETOOLONG'));
  assert.throws(() => newName('create', 'a\0b'), code('EINVAL'));
});

function code(wanted: string): (error: unknown) => boolean {
  return (error) => isFsError(error) && error.code === wanted;
}
