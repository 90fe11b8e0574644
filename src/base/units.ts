/** Amounts as people write them (`64MiB`, `1.5s`) to and from the numbers the code uses (bytes, milliseconds). */
import { UserError } from './errors.ts';

const BYTE_UNITS: ReadonlyMap<string, number> = new Map([
  ['', 1],
  ['b', 1],
  ['k', 2 ** 10],
  ['kib', 2 ** 10],
  ['kb', 1e3],
  ['m', 2 ** 20],
  ['mib', 2 ** 20],
  ['mb', 1e6],
  ['g', 2 ** 30],
  ['gib', 2 ** 30],
  ['gb', 1e9],
  ['t', 2 ** 40],
  ['tib', 2 ** 40],
  ['tb', 1e12],
]);

const DURATION_UNITS_MS: ReadonlyMap<string, number> = new Map([
  ['ms', 1],
  ['s', 1000],
  ['m', 60_000],
  ['min', 60_000],
  ['h', 3_600_000],
  ['d', 86_400_000],
]);

const AMOUNT = /^(\d+(?:\.\d+)?)\s*([a-z]*)$/i;

/**
 * Reads an amount of bytes: `4096`, `64k`, `64KiB` (powers of 1024), `64KB` (powers of 1000).
 * @returns whole bytes. @throws UserError (usage) when it is no amount.
 */
export function parseBytes(text: string): number {
  const match = AMOUNT.exec(text.trim());
  const unit = match === null ? undefined : BYTE_UNITS.get(match[2]!.toLowerCase());
  const bytes = unit === undefined ? Number.NaN : Math.round(Number(match![1]) * unit);
  if (!Number.isSafeInteger(bytes)) {
    throw new UserError(`'${text}' is no amount of bytes; write for example 4096, 64KiB or 1.5GiB`, 2);
  }
  return bytes;
}

/**
 * Reads a duration: `250ms`, `10s`, `5m`, `2h`, `1d`. A bare number counts in `bareUnitMs`.
 * @returns milliseconds. @throws UserError (usage) when it is no duration.
 */
export function parseDurationMs(text: string, bareUnitMs: number): number {
  const match = AMOUNT.exec(text.trim());
  const unit =
    match === null ? undefined : match[2] === '' ? bareUnitMs : DURATION_UNITS_MS.get(match[2]!.toLowerCase());
  const ms = unit === undefined ? Number.NaN : Math.round(Number(match![1]) * unit);
  if (!Number.isSafeInteger(ms)) throw new UserError(`'${text}' is no duration; write for example 250ms, 10s or 5m`, 2);
  return ms;
}

/** Writes bytes for people with three significant digits: `0 B`, `1.5 KiB`, `64 MiB`. */
export function formatBytes(bytes: number): string {
  const names = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB', 'EiB'];
  let value = bytes;
  let step = 0;
  while (value >= 1024 && step < names.length - 1) {
    value /= 1024;
    step++;
  }
  return `${step === 0 ? value : Number(value.toPrecision(value >= 1000 ? 4 : 3))} ${names[step]}`;
}

/** Writes a duration for people: `850 ms`, `12.5 s`, `3 min`, `2.5 h`, `4 d`. */
export function formatDurationMs(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  const [unitMs, name] =
    ms < 60_000
      ? [1000, 's']
      : ms < 3_600_000
        ? [60_000, 'min']
        : ms < 86_400_000
          ? [3_600_000, 'h']
          : [86_400_000, 'd'];
  return `${Number((ms / unitMs).toFixed(1))} ${name}`;
}
