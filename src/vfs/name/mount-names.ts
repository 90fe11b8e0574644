/**
 * Names as the mount shows them. A stored name may be anything S3 allows as a key component, and a file and a directory
 * may share one; a POSIX directory can show neither, so the mount uses a reversible escape that starts with `%~`.
 *
 *     mount name       stored entry
 *     NAME             NAME, the primary entry (any name that does not start with %~)
 *     %~%~REST         `%~REST`, the primary entry
 *     %~dot  %~dotdot  `.` and `..`
 *     %~empty          the empty name (key `a//b`)
 *     %~file:NAME      the non-directory NAME where it is shadowed by a directory NAME
 *     %~dir:NAME       the directory NAME where it is shadowed by a non-directory NAME
 *
 * Any other name that starts with `%~` names nothing. Behind `file:` and `dir:` the stored name stands as it is.
 */
import { FsError } from '../../base/errors.ts';
import { type ByteString, type EntryKind, NAME_BYTES_MAX } from '../../base/vocabulary.ts';

/** An entry as the metadata knows it. */
export interface StoredName {
  name: ByteString;
  kind: EntryKind;
}

const ESCAPE = '%~';
const FILE = `${ESCAPE}file:`;
const DIRECTORY = `${ESCAPE}dir:`;
const RESERVED = 'names that start with %~ are reserved for what S3 keys need';
const SPECIAL: ReadonlyMap<ByteString, ByteString> = new Map([
  ['.', `${ESCAPE}dot`],
  ['..', `${ESCAPE}dotdot`],
  ['', `${ESCAPE}empty`],
]);
const SPECIAL_BACK: ReadonlyMap<ByteString, ByteString> = new Map(
  [...SPECIAL].map(([stored, shown]) => [shown, stored]),
);

/** Tells under which name the mount shows an entry. Never '', '.' or '..'; different entries of a directory differ. */
export function encodeMountName(name: ByteString, shadowed: boolean, isDirectory: boolean): ByteString {
  if (shadowed) return (isDirectory ? DIRECTORY : FILE) + name;
  if (name.startsWith(ESCAPE)) return ESCAPE + name;
  if (name.length > 2) return name;
  return SPECIAL.get(name) ?? name;
}

/** Every name under which the mount may have shown an entry of this stored name. */
export function allMountNames(name: ByteString): ByteString[] {
  return [encodeMountName(name, false, false), FILE + name, DIRECTORY + name];
}

/** Finds the stored entry a mount name means; undefined when it can mean none. */
export function decodeMountName(shown: ByteString): StoredName | undefined {
  if (!shown.startsWith(ESCAPE)) return SPECIAL.has(shown) ? undefined : { name: shown, kind: 'primary' };
  if (shown.startsWith(ESCAPE, ESCAPE.length)) return { name: shown.slice(ESCAPE.length), kind: 'primary' };
  if (shown.startsWith(FILE)) return { name: shown.slice(FILE.length), kind: 'file' };
  if (shown.startsWith(DIRECTORY)) return { name: shown.slice(DIRECTORY.length), kind: 'dir' };
  const special = SPECIAL_BACK.get(shown);
  return special === undefined ? undefined : { name: special, kind: 'primary' };
}

/**
 * Decodes the name of an entry that should be there.
 * @throws FsError ENOENT for an escape that means nothing, ENAMETOOLONG beyond 255 stored bytes.
 */
export function existingName(op: string, shown: ByteString): StoredName {
  const stored = decodeMountName(shown);
  if (stored === undefined) throw new FsError('ENOENT', op);
  return checked(op, stored);
}

/**
 * Decodes the name a rename leads to: an entry that is there (a shadowed one too) or one to be made.
 * @throws FsError EINVAL for an escape that means nothing, ENAMETOOLONG beyond 255 stored bytes.
 */
export function targetName(op: string, shown: ByteString): StoredName {
  const stored = decodeMountName(shown);
  if (stored === undefined) throw new FsError('EINVAL', op, RESERVED);
  return checked(op, stored);
}

/**
 * Decodes the name of an entry to be made. Shadowed entries come into being through S3 only.
 * @throws FsError EINVAL for an escape that means nothing or a shadowed entry, ENAMETOOLONG beyond 255 stored bytes.
 */
export function newName(op: string, shown: ByteString): ByteString {
  const stored = decodeMountName(shown);
  if (stored === undefined || stored.kind !== 'primary') {
    throw new FsError('EINVAL', op, RESERVED);
  }
  return checked(op, stored).name;
}

function checked(op: string, stored: StoredName): StoredName {
  if (stored.name.length > NAME_BYTES_MAX) throw new FsError('ENAMETOOLONG', op);
  for (let i = 0; i < stored.name.length; i++) {
    const byte = stored.name.charCodeAt(i);
    if (byte === 0 || byte === 0x2f) throw new FsError('EINVAL', op, 'a name cannot hold NUL or a slash');
  }
  return stored;
}
