/**
 * Makes the append-only log fit for redis-server after a power cut, or says what a person has to do. Runs before every
 * start of the server, which refuses what a cut can leave, and takes a lost manifest for an empty volume.
 *
 *     what a cut leaves                                      what is done
 *     incomplete, zero or senseless end, nothing after it    moved into a file beside the log; the start goes on
 *     manifest empty, torn or gone                           written again when the files form one sequence
 *     files of a rewrite that did not end                    removed; a new file that the manifest lacks is added
 *     a damaged byte below the durable length, or with
 *     whole commands after it; several sequences             nothing is changed: one line with the command to go on
 */
import { closeSync, existsSync, fsyncSync, ftruncateSync, openSync, readdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { replaceFile, syncDirectory, writeNewFile } from '../../../base/durable-file.ts';
import { UserError } from '../../../base/errors.ts';
import { failpoints } from '../../../base/failpoints.ts';
import type { Logger } from '../../../base/log.ts';
import {
  DURABLE_LENGTH_FILE,
  type LogLength,
  readDurableLengths,
  replaceDurableLengths,
} from '../../../meta/redis/durable-length.ts';
import {
  filesThere,
  LOG_DIRECTORY,
  LOG_NAME,
  type LogFile,
  MANIFEST_NAME,
  manifestText,
  onlySequence,
  readManifest,
} from './manifest.ts';
import { bytesFrom, type Scan, scanLog } from './scan.ts';

const SIDE_FILES_MAX = 1000;

/**
 * Looks at the log in `directory` (DIR/redis) and mends it.
 * @throws UserError when a person has to decide; nothing is changed then.
 */
export function prepareLog(directory: string, logger: Logger): void {
  failpoints?.pass('mend log');
  try {
    mendLog(directory, logger);
  } catch (error) {
    if (error instanceof UserError) throw error;
    throw new UserError(`cannot make the log of Redis in ${directory} ready: ${(error as Error).message}`, 1, {
      cause: error,
    });
  }
}

function mendLog(directory: string, logger: Logger): void {
  const single = join(directory, LOG_NAME);
  const parts = join(directory, LOG_DIRECTORY);
  requireLog(directory, single, parts);
  if (statSync(single, { throwIfNoEntry: false })?.isFile()) mendEnds(directory, directory, [LOG_NAME], logger);
  const hasParts = statSync(parts, { throwIfNoEntry: false })?.isDirectory() === true;
  if (hasParts) {
    const files = mendManifest(directory, parts, existsSync(single), logger);
    mendEnds(
      directory,
      parts,
      files.filter(({ type }) => type === 'i').map(({ name }) => name),
      logger,
    );
  }
  removeMatching(directory, /^temp-rewriteaof-(?:bg-)?\d+\.aof$/);
  if (hasParts) removeMatching(parts, /^temp-appendonly\.aof/);
}

/** The files that the log consists of, after the manifest says so. */
function mendManifest(directory: string, parts: string, hasSingle: boolean, logger: Logger): LogFile[] {
  const path = join(parts, MANIFEST_NAME);
  const manifest = readManifest(parts);
  const there = filesThere(parts);
  if (manifest === undefined || manifest === 'torn') {
    if (there.every(({ name }) => isEmpty(join(parts, name)))) {
      // Nothing was ever written: a cut in the first moment, or (with a single file) of the upgrade to Redis 7.
      for (const { name } of there) rmSync(join(parts, name));
      rmSync(path, { force: true });
      syncDirectory(parts);
      return [];
    }
    const sequence = hasSingle ? undefined : onlySequence(there);
    if (sequence === undefined) throw new UserError(ambiguousFiles(directory, parts, there, hasSingle));
    requireSnapshot(directory, parts, sequence);
    replaceFile(path, manifestText(sequence), 0o644);
    logger.warn(
      { file: path, files: sequence.length },
      'the manifest of the log of Redis was lost; it is written again',
    );
    return sequence;
  }
  requireSnapshot(directory, parts, manifest);
  const missing = manifest.filter(({ name, type }) => type === 'i' && !existsSync(join(parts, name)));
  const unnamed = newerThan(manifest, there).filter(({ name }) => !isEmpty(join(parts, name)));
  if (missing.length > 0) makeMissing(directory, parts, manifest, missing, logger);
  if (unnamed.length === 0) return manifest;
  const last = Math.max(...manifest.filter(({ type }) => type === 'i').map(({ seq }) => seq));
  if (!unnamed.every(({ seq }, i) => seq === last + 1 + i)) {
    throw new UserError(ambiguousFiles(directory, parts, there, hasSingle));
  }
  const all = [...manifest, ...unnamed];
  replaceFile(path, manifestText(all), 0o644);
  logger.warn(
    { file: path, files: all.length },
    'the manifest of the log of Redis lacked its newest file; it is added',
  );
  return all;
}

/** Whether a log was ever begun in the directory. */
export function hasLog(directory: string): boolean {
  return existsSync(join(directory, LOG_NAME)) || existsSync(join(directory, LOG_DIRECTORY));
}

/** A log that was on the disk once and is gone must not be taken for that of a new volume. */
function requireLog(directory: string, single: string, parts: string): void {
  if (readDurableLengths(directory).every(({ bytes }) => bytes === 0) || existsSync(single)) return;
  if (existsSync(parts) && filesThere(parts).some(({ name }) => !isEmpty(join(parts, name)))) return;
  throw new UserError(
    `the log of Redis in ${parts} is gone (byte 0); nothing was changed. Put it back from a copy of the data directory: ` +
      `cp -a COPY/redis/${LOG_DIRECTORY} ${quoted(parts)}; to go on without it: ${keepCopy(directory)} && ${forget(directory)}`,
  );
}

/** Files of commands with numbers above those of the manifest. */
function newerThan(manifest: readonly LogFile[], there: readonly LogFile[]): LogFile[] {
  const last = Math.max(0, ...manifest.filter(({ type }) => type !== 'b').map(({ seq }) => seq));
  return there.filter(({ type, seq }) => type === 'i' && seq > last);
}

function requireSnapshot(directory: string, parts: string, files: readonly LogFile[]): void {
  const base = files.find(({ type }) => type === 'b');
  if (base === undefined) return;
  const path = join(parts, base.name);
  // The upgrade to Redis 7 names the single file before it moves it.
  if (base.name === LOG_NAME && existsSync(join(directory, LOG_NAME))) return;
  const size = statSync(path, { throwIfNoEntry: false })?.size ?? 0;
  if (size > 0) return;
  throw new UserError(
    `the snapshot ${path} of the log of Redis is missing or empty (byte 0); nothing was changed. Put it back from a copy of ` +
      `the data directory: cp -a COPY/redis/${LOG_DIRECTORY}/${base.name} ${quoted(path)}`,
  );
}

/** A file that is named and is not there: made empty when nothing in it can have been promised. */
function makeMissing(
  directory: string,
  parts: string,
  manifest: readonly LogFile[],
  missing: readonly LogFile[],
  logger: Logger,
): void {
  const last = manifest.findLast(({ type }) => type === 'i');
  const known = readDurableLengths(directory);
  for (const file of missing) {
    const path = join(parts, file.name);
    if (file !== last || (known.find(({ name }) => name === file.name)?.bytes ?? 0) > 0) {
      throw new UserError(
        `the file ${path} of the log of Redis is missing (byte 0); nothing was changed. Put it back from a copy of the data ` +
          `directory; to go on without what was in it: ${keepCopy(directory)} && touch ${quoted(path)} && ${forget(directory)}`,
      );
    }
    writeNewFile(path, [], 0o644);
    syncDirectory(parts);
    logger.warn({ file: path }, 'the newest file of the log of Redis was not there; it is made, empty');
  }
}

function ambiguousFiles(directory: string, parts: string, there: readonly LogFile[], hasSingle: boolean): string {
  const base = there.findLast(({ type }) => type === 'b');
  const incremental = there.filter(({ type }) => type === 'i');
  const wanted =
    base === undefined ? incremental : [base, ...incremental.filter(({ seq }) => seq >= base.seq).slice(-1)];
  const names = there.map(({ name }) => name);
  const text = manifestText(wanted).replaceAll('\n', '\\n');
  const aside = hasSingle
    ? ` && mv ${quoted(join(directory, LOG_NAME))} ${quoted(join(directory, 'old-single.aof'))}`
    : '';
  return (
    `the manifest ${join(parts, MANIFEST_NAME)} of the log of Redis is damaged (byte 0), and its files ` +
    `(${names.join(', ') || 'none'}) can belong together in more than one way; nothing was changed. Put it back from a copy of the ` +
    `data directory; to take the newest snapshot and what follows it: ${keepCopy(directory)}${aside} && ` +
    `printf '${text}' > ${quoted(join(parts, MANIFEST_NAME))} && ${forget(directory)}`
  );
}

/** Cuts torn ends off the files of a log, which are given in its order. */
function mendEnds(directory: string, at: string, names: readonly string[], logger: Logger): void {
  const recorded = readDurableLengths(directory);
  const scans = names.map((name) => ({ name, path: join(at, name), scan: scanLog(join(at, name)) }));
  const durable = scans.map(({ name, path }) => durableBytes(recorded, name, path));
  const first = scans.findIndex(({ scan }, i) => scan.goodBytes < scan.sizeBytes || scan.sizeBytes < durable[i]!);
  if (first < 0) return;
  const { path, scan } = scans[first]!;
  const followed = durable.slice(first + 1).some((bytes) => bytes > 0);
  const why = whyNoTornEnd(scan, durable[first]!, followed);
  if (why !== undefined) {
    const cuts = [
      `truncate -s ${scan.goodBytes} ${quoted(path)}`,
      ...scans.slice(first + 1).map((later) => `truncate -s 0 ${quoted(later.path)}`),
    ];
    throw new UserError(
      `the log of Redis is damaged: ${path} at byte ${scan.brokenAt}: ${why}; nothing was changed. Put it back from a copy of the ` +
        `data directory; to go on with the ${scan.goodBytes} bytes before the damage and lose what follows: ` +
        `${keepCopy(directory)} && ${cuts.join(' && ')} && ${forget(directory)}`,
    );
  }
  // What follows in later files was written after what is torn, so nothing in them was synced, either.
  const torn = scans.slice(first).map((file, i) => ({ ...file, goodBytes: i === 0 ? file.scan.goodBytes : 0 }));
  const lengths = new Map(torn.map(({ name, goodBytes }) => [name, goodBytes]));
  for (const { name, path: from, scan: found, goodBytes } of torn) {
    if (goodBytes === found.sizeBytes) continue;
    const kept = moveEnd(directory, name, from, goodBytes);
    const bytes = found.sizeBytes - goodBytes;
    logger.warn({ file: from, offset: goodBytes, bytes, kept }, 'moved the torn end of the log of Redis into a file');
  }
  // First the record, so that a cut in between does not make a lie of it.
  replaceDurableLengths(
    directory,
    recorded.map((one) => ({ ...one, bytes: Math.min(one.bytes, lengths.get(one.name) ?? one.bytes) })),
  );
  for (const { path: file, goodBytes } of torn) truncateDurably(file, goodBytes);
}

/** Why the end of a file is more than what a cut tears; undefined when it is just that. */
function whyNoTornEnd(scan: Scan, durable: number, followed: boolean): string | undefined {
  if (scan.brokenAt < durable) {
    return scan.brokenAt === scan.sizeBytes
      ? `the file ends there, and ${durable} bytes were on the disk once`
      : `no command, and ${durable} bytes were on the disk once`;
  }
  if (scan.goesOn) return 'no command, and whole commands follow';
  return followed ? 'no command, and a later file of the log was on the disk once' : undefined;
}

/** What is recorded for this file: before Redis 7 the name alone does not tell which file is meant. */
function durableBytes(recorded: readonly LogLength[], name: string, path: string): number {
  const known = recorded.find((one) => one.name === name);
  if (known === undefined || (name === LOG_NAME && known.ino !== statSync(path).ino)) return 0;
  return known.bytes;
}

/** Copies the bytes from an offset on into a new file beside the log. @returns its path. */
function moveEnd(directory: string, name: string, from: string, offset: number): string {
  for (let count = 1; count <= SIDE_FILES_MAX; count++) {
    const path = join(directory, `torn-${name}-${offset}${count === 1 ? '' : `-${count}`}`);
    if (existsSync(path)) continue;
    try {
      writeNewFile(path, bytesFrom(from, offset), 0o600);
    } catch (error) {
      rmSync(path, { force: true });
      throw new UserError(`cannot keep the torn end of ${from} in ${path}: ${(error as Error).message}`, 1, {
        cause: error,
      });
    }
    syncDirectory(directory);
    return path;
  }
  throw new UserError(`${directory} holds ${SIDE_FILES_MAX} torn ends of ${name}; look at them and remove them`);
}

function truncateDurably(path: string, bytes: number): void {
  const descriptor = openSync(path, 'r+');
  try {
    ftruncateSync(descriptor, bytes);
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

function removeMatching(directory: string, pattern: RegExp): void {
  for (const name of readdirSync(directory)) {
    if (pattern.test(name)) rmSync(join(directory, name), { force: true });
  }
}

function isEmpty(path: string): boolean {
  return statSync(path).size === 0;
}

function keepCopy(directory: string): string {
  return `cp -a ${quoted(directory)} ${quoted(`${directory}.kept`)}`;
}

function forget(directory: string): string {
  return `rm -f ${quoted(join(directory, DURABLE_LENGTH_FILE))}`;
}

/** A path as a POSIX shell takes it. */
function quoted(path: string): string {
  return /^[\w./-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`;
}
