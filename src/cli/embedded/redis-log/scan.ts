/**
 * Reads a file of commands (the log of Redis) up to where it stops making sense.
 *
 *     *2 CR LF $6 CR LF SELECT CR LF $1 CR LF 0 CR LF     one command: count, then length and bytes of each argument
 *     MULTI ... EXEC                                      a script's effects: nothing of it counts without its EXEC
 *     #TS:1700000000 CR LF                                a remark
 *
 * @see https://redis.io/docs/latest/develop/reference/protocol-spec
 */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';

const WINDOW_BYTES = 1024 * 1024;
/** A count or length with its first byte and CR LF, or a remark. */
const LINE_BYTES_MAX = 1024;
const ARGUMENTS_MAX = 1024 * 1024;
const CR = 0x0d;
const LF = 0x0a;
const STAR = 0x2a;
const DOLLAR = 0x24;
const HASH = 0x23;
/** What follows the snapshot that a file before Redis 7 may begin with: its last byte, its checksum and the first command. */
const FIRST_COMMAND = Buffer.from('*2\r\n$6\r\nSELECT\r\n');
const SNAPSHOT_END = 0xff;
const CHECKSUM_BYTES = 8;

export interface Scan {
  sizeBytes: number;
  /** Whole commands and transactions end here: what may be kept. */
  goodBytes: number;
  /** The first byte that is wrong, or the file's end where something is incomplete; sizeBytes when all is well. */
  brokenAt: number;
  /** A whole command follows what is broken: this is no torn end. */
  goesOn: boolean;
}

/** Scans a file. Cost: one reading of it. @throws the system's error. */
export function scanLog(path: string): Scan {
  const file = new Window(path);
  try {
    const isSnapshot = file.text(0, 5) === 'REDIS';
    const { goodBytes, brokenAt } = isSnapshot ? scanBehindSnapshot(file) : scanFrom(file, 0);
    return { sizeBytes: file.sizeBytes, goodBytes, brokenAt, goesOn: hasCommandAfter(file, brokenAt) };
  } finally {
    file.close();
  }
}

/** Bytes of a file from an offset on, part by part. */
export function* bytesFrom(path: string, offset: number): Generator<Uint8Array> {
  const descriptor = openSync(path, 'r');
  try {
    for (let at = offset; ; ) {
      const part = Buffer.allocUnsafe(WINDOW_BYTES);
      const count = readSync(descriptor, part, 0, part.length, at);
      if (count === 0) return;
      yield part.subarray(0, count);
      at += count;
    }
  } finally {
    closeSync(descriptor);
  }
}

interface Extent {
  goodBytes: number;
  brokenAt: number;
}

function scanFrom(file: Window, start: number): Extent {
  let at = start;
  let transaction: number | undefined;
  while (at < file.sizeBytes) {
    const command = readCommand(file, at);
    if (command.end === undefined) return { goodBytes: transaction ?? at, brokenAt: command.brokenAt };
    if (command.name === 'MULTI') transaction ??= at;
    if (command.name === 'EXEC') transaction = undefined;
    at = command.end;
  }
  return { goodBytes: transaction ?? at, brokenAt: at };
}

/**
 * Finds the commands behind a snapshot, whose length is written nowhere. Bytes in the snapshot can look like its end (a
 * user stores what he likes): what is read from there breaks off before the true end, which is then found behind it.
 */
function scanBehindSnapshot(file: Window): Extent {
  let found: Extent = { goodBytes: file.sizeBytes, brokenAt: file.sizeBytes };
  for (let from = 1 + CHECKSUM_BYTES; ; ) {
    const start = file.indexOf(FIRST_COMMAND, from);
    if (start === undefined) return found;
    from = start + 1;
    if (file.byte(start - CHECKSUM_BYTES - 1) !== SNAPSHOT_END) continue;
    found = scanFrom(file, start);
    if (found.brokenAt === file.sizeBytes) return found;
    from = found.brokenAt;
  }
}

function hasCommandAfter(file: Window, brokenAt: number): boolean {
  for (let from = brokenAt; ; ) {
    const start = file.indexOf(COMMAND_START, from);
    if (start === undefined) return false;
    const command = readCommand(file, start);
    if (command.end !== undefined) return true;
    from = start + 1;
  }
}

const COMMAND_START = Buffer.from('*');

/** A command or a remark at `start`: where it ends, or where it breaks off. */
function readCommand(
  file: Window,
  start: number,
): { end: number; name: string } | { end: undefined; brokenAt: number } {
  if (file.byte(start) === HASH) {
    const end = file.lineEnd(start);
    return end === undefined ? { end, brokenAt: file.brokenLine(start) } : { end, name: '' };
  }
  const head = file.number(STAR, start);
  if (head === undefined || head.value > ARGUMENTS_MAX) return { end: undefined, brokenAt: file.brokenLine(start) };
  let at = head.end;
  let name = '';
  for (let i = 0; i < head.value; i++) {
    const length = file.number(DOLLAR, at);
    if (length === undefined) return { end: undefined, brokenAt: file.brokenLine(at) };
    const end = length.end + length.value;
    if (end + 2 > file.sizeBytes) return { end: undefined, brokenAt: file.sizeBytes };
    if (file.byte(end) !== CR || file.byte(end + 1) !== LF) return { end: undefined, brokenAt: end };
    if (i === 0 && head.value === 1 && length.value <= 5) name = file.text(length.end, length.value).toUpperCase();
    at = end + 2;
  }
  return { end: at, name };
}

/** A file of any size, looked at through a buffer that moves forward. */
class Window {
  readonly sizeBytes: number;
  readonly #descriptor: number;
  readonly #bytes = Buffer.allocUnsafe(WINDOW_BYTES);
  #start = 0;
  #length = 0;

  constructor(path: string) {
    this.#descriptor = openSync(path, 'r');
    this.sizeBytes = fstatSync(this.#descriptor).size;
  }

  close(): void {
    closeSync(this.#descriptor);
  }

  /** Undefined at the end of the file. */
  byte(at: number): number | undefined {
    if (at < 0 || at >= this.sizeBytes) return undefined;
    if (at < this.#start || at >= this.#start + this.#length) this.#load(at);
    return this.#bytes[at - this.#start];
  }

  text(at: number, length: number): string {
    let text = '';
    for (let i = at; i < at + length; i++) text += String.fromCharCode(this.byte(i) ?? 0);
    return text;
  }

  /** `first`, digits, CR LF; undefined when something else is there. */
  number(first: number, start: number): { value: number; end: number } | undefined {
    if (this.byte(start) !== first) return undefined;
    let value = 0;
    let at = start + 1;
    for (let digit = this.byte(at); digit !== undefined && digit >= 0x30 && digit <= 0x39; digit = this.byte(at)) {
      value = value * 10 + digit - 0x30;
      at += 1;
      if (at - start > 12) return undefined;
    }
    if (at === start + 1 || this.byte(at) !== CR || this.byte(at + 1) !== LF) return undefined;
    return { value, end: at + 2 };
  }

  /** Behind the line's CR LF. */
  lineEnd(start: number): number | undefined {
    for (let at = start; at < Math.min(this.sizeBytes, start + LINE_BYTES_MAX); at++) {
      if (this.byte(at) === CR && this.byte(at + 1) === LF) return at + 2;
    }
    return undefined;
  }

  /** Where a line that should hold a number stops being one: at the file's end when only the rest is missing. */
  brokenLine(start: number): number {
    const text = this.text(start, Math.min(16, this.sizeBytes - start));
    const isBegun = start + text.length === this.sizeBytes && /^([*$]\d*\r?|#[^\r]*\r?)$/.test(text);
    return isBegun ? this.sizeBytes : start;
  }

  indexOf(pattern: Buffer, from: number): number | undefined {
    for (let at = from; at + pattern.length <= this.sizeBytes; ) {
      if (at < this.#start || at + pattern.length > this.#start + this.#length) this.#load(at);
      const found = this.#bytes.subarray(0, this.#length).indexOf(pattern, at - this.#start);
      if (found >= 0) return this.#start + found;
      at = Math.max(at + 1, this.#start + this.#length - pattern.length + 1);
    }
    return undefined;
  }

  #load(at: number): void {
    this.#start = at;
    this.#length = 0;
    while (this.#length < this.#bytes.length) {
      const count = readSync(
        this.#descriptor,
        this.#bytes,
        this.#length,
        this.#bytes.length - this.#length,
        at + this.#length,
      );
      if (count === 0) break;
      this.#length += count;
    }
  }
}
