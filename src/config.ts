/**
 * Every setting of every command, once: its default, unit, documentation, flag and environment variable.
 *
 *     flag (--lease 20)  >  environment (JANUSFS_LEASE=20)  >  --config FILE ({"lease": "20s"})  >  default
 *
 * A key that is not in the table is refused wherever it comes from the user's hand (flags, file); a setting that a
 * command does not use is no flag of it. docs/OPERATIONS.md tells when to change what.
 */
import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { UserError } from './base/errors.ts';
import { formatBytes, formatDurationMs, parseBytes, parseDurationMs } from './base/units.ts';

interface SettingText {
  kind: 'text';
  /** What stands for the value in --help. */
  placeholder: string;
  default: string | undefined;
}
interface SettingPath {
  kind: 'path';
  placeholder: string;
  /** Relative to the home directory. */
  default: string | undefined;
}
interface SettingBytes {
  kind: 'bytes';
  default: number;
  min: number;
}
interface SettingDuration {
  kind: 'duration';
  /** Milliseconds. */
  default: number;
  minMs: number;
  maxMs: number;
}
interface SettingCount {
  kind: 'count';
  default: number;
  min: number;
  max: number;
}
interface SettingSwitch {
  kind: 'switch';
  default: boolean;
}
interface SettingChoice {
  kind: 'choice';
  choices: readonly string[];
  default: string;
}

type Setting = { doc: string } & (
  | SettingText
  | SettingPath
  | SettingBytes
  | SettingDuration
  | SettingCount
  | SettingSwitch
  | SettingChoice
);

const KIB = 2 ** 10;
const MIB = 2 ** 20;

/** The table. Names are camelCase; the flag is --kebab-case and the variable JANUSFS_UPPER_CASE of the name. */
export const SETTINGS = {
  data: {
    kind: 'path',
    placeholder: 'DIR',
    default: '.janusfs',
    doc: 'data directory of an embedded volume: Redis log, blocks, credentials',
  },
  mount: { kind: 'path', placeholder: 'MNT', default: 'janusfs', doc: 'mount point; made when it does not exist' },
  listen: {
    kind: 'text',
    placeholder: 'HOST:PORT',
    default: '127.0.0.1:9000',
    doc: 'address of the S3 endpoint; port 0 takes a free one',
  },
  volume: { kind: 'text', placeholder: 'NAME', default: 'janusfs', doc: 'name of the volume that a first run formats' },
  store: {
    kind: 'text',
    placeholder: 'URL',
    default: undefined,
    doc: 'where blocks go: file:///DIR or s3://BUCKET/PREFIX?endpoint=URL&region=NAME',
  },
  region: { kind: 'text', placeholder: 'NAME', default: 'us-east-1', doc: 'region that the S3 endpoint answers with' },
  domain: {
    kind: 'text',
    placeholder: 'NAME',
    default: undefined,
    doc: 'host name for virtual-host buckets: BUCKET.NAME is then a bucket',
  },
  lease: {
    kind: 'duration',
    default: 60_000,
    minMs: 1000,
    maxMs: 3_600_000,
    doc: 'a client that is silent for so long is fenced; a bare number is seconds',
  },
  bufferSize: {
    kind: 'bytes',
    default: 256 * MIB,
    min: 16 * MIB,
    doc: 'memory for written data on its way to the store',
  },
  cacheSize: { kind: 'bytes', default: 256 * MIB, min: 0, doc: 'memory for cached blocks' },
  readahead: { kind: 'bytes', default: 32 * MIB, min: 0, doc: 'most that is read ahead of a sequential reader' },
  uploads: { kind: 'count', default: 16, min: 1, max: 1000, doc: 'blocks uploaded at the same time' },
  downloads: { kind: 'count', default: 32, min: 1, max: 1000, doc: 'blocks downloaded at the same time' },
  requests: {
    kind: 'count',
    default: 1000,
    min: 1,
    max: 1_000_000,
    doc: 'S3 requests handled at the same time; more are answered 503 SlowDown',
  },
  retryTime: {
    kind: 'duration',
    default: 60_000,
    minMs: 0,
    maxMs: 3_600_000,
    doc: 'how long a failing request to the store is tried again; then the file operation fails',
  },
  idleFlush: {
    kind: 'duration',
    default: 5000,
    minMs: 10,
    maxMs: 600_000,
    doc: 'written data that nobody flushes is stored after this time',
  },
  writeback: {
    kind: 'path',
    placeholder: 'DIR',
    default: undefined,
    doc: 'acknowledge written data when it is on this local directory, and upload it behind; other clients wait for it',
  },
  writebackSize: {
    kind: 'bytes',
    default: 10 * 1024 * MIB,
    min: 16 * MIB,
    doc: 'most that may wait there; beyond it data goes to the store at once',
  },
  keyFile: {
    kind: 'path',
    placeholder: 'FILE',
    default: undefined,
    doc: 'file with the passphrase or key of an encrypted volume (or JANUSFS_PASSPHRASE)',
  },
  keyCommand: {
    kind: 'text',
    placeholder: 'COMMAND',
    default: undefined,
    doc: 'shell command that is run with wrap or unwrap behind it: the key of an encrypted volume goes through a KMS',
  },
  fuseDriver: {
    kind: 'choice',
    choices: ['raw', 'fuse-native'],
    default: 'raw',
    doc: 'raw speaks the kernel protocol itself; fuse-native needs the npm package of that name',
  },
  fuseTransport: {
    kind: 'choice',
    choices: ['auto', 'native', 'pure'],
    default: 'auto',
    doc: 'how raw reads /dev/fuse: with the addon, or slower without',
  },
  allowOther: { kind: 'switch', default: true, doc: "let other users than the mount's owner in" },
  logLevel: {
    kind: 'choice',
    choices: ['debug', 'info', 'warn', 'error', 'silent'],
    default: 'info',
    doc: 'what is logged on stderr',
  },
  logFile: {
    kind: 'path',
    placeholder: 'FILE',
    default: undefined,
    doc: 'where a --background process logs',
  },
  debug: { kind: 'switch', default: false, doc: 'log at level debug, and show the stack of an error' },
  background: { kind: 'switch', default: false, doc: 'return when ready and go on in the background' },
} as const satisfies Record<string, Setting>;

export type SettingName = keyof typeof SETTINGS;

type ValueOf<S> = S extends { kind: 'switch' }
  ? boolean
  : S extends { kind: 'choice'; choices: readonly (infer C)[] }
    ? C
    : S extends { kind: 'text' | 'path' }
      ? S extends { default: string }
        ? string
        : string | undefined
      : number;

/** Values of the named settings: bytes, milliseconds, absolute paths. */
export type Settings<N extends SettingName = SettingName> = { [K in N]: ValueOf<(typeof SETTINGS)[K]> };

/** `logLevel` -> `--log-level`. */
export function flagOf(name: SettingName): string {
  return `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}

/** `logLevel` -> `JANUSFS_LOG_LEVEL`. */
export function variableOf(name: SettingName): string {
  return `JANUSFS_${name.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}`;
}

/** What --help says for one setting: the flag with its argument, and the text with default and variable. */
export function describeSetting(name: SettingName): { flags: string; text: string } {
  const setting: Setting = SETTINGS[name];
  const flag = flagOf(name);
  const text = `${setting.doc} (${[defaultText(setting), variableOf(name)].filter((part) => part !== '').join(', ')})`;
  if (setting.kind === 'switch') {
    return {
      flags: setting.default ? `${flag.replace('--', '--no-')}` : flag,
      text: setting.default ? `do not ${text}` : text,
    };
  }
  return { flags: `${flag} <${placeholderOf(setting)}>`, text };
}

function placeholderOf(setting: Exclude<Setting, { kind: 'switch' }>): string {
  switch (setting.kind) {
    case 'text':
    case 'path':
      return setting.placeholder;
    case 'bytes':
      return 'SIZE';
    case 'duration':
      return 'SECONDS';
    case 'count':
      return 'N';
    case 'choice':
      return setting.choices.join('|');
  }
}

function defaultText(setting: Setting): string {
  switch (setting.kind) {
    case 'switch':
      return '';
    case 'bytes':
      return `default ${formatBytes(setting.default)}`;
    case 'duration':
      return `default ${formatDurationMs(setting.default)}`;
    case 'path':
      return setting.default === undefined ? '' : `default ~/${setting.default}`;
    default:
      return setting.default === undefined ? '' : `default ${setting.default}`;
  }
}

export interface SettingSources {
  /** From the command line, by setting name; undefined = not given. */
  flags: Readonly<Record<string, string | boolean | undefined>>;
  env: Readonly<Record<string, string | undefined>>;
  /** From --config. */
  file: Readonly<Record<string, string | number | boolean>>;
}

/**
 * Resolves the settings a command uses.
 * @throws UserError (usage) naming the flag, variable or file key whose value is wrong.
 */
export function resolveSettings<N extends SettingName>(names: readonly N[], sources: SettingSources): Settings<N> {
  const values: Partial<Record<SettingName, string | number | boolean | undefined>> = {};
  for (const name of names) {
    const [source, given] = firstGiven(name, sources);
    values[name] = given === undefined ? defaultOf(SETTINGS[name]) : parseSetting(SETTINGS[name], source, given);
  }
  return values as Settings<N>;
}

/** Whether the user has said anything about a setting. */
export function isGiven(name: SettingName, sources: SettingSources): boolean {
  return firstGiven(name, sources)[1] !== undefined;
}

function firstGiven(name: SettingName, sources: SettingSources): [string, string | boolean | undefined] {
  const flag = sources.flags[name];
  if (flag !== undefined) return [flagOf(name), flag];
  const variable = sources.env[variableOf(name)];
  // An empty variable means unset, as shells and compose files write it.
  if (variable !== undefined && variable !== '') return [variableOf(name), variable];
  const entry = sources.file[name];
  return [`configuration key '${name}'`, typeof entry === 'number' ? String(entry) : entry];
}

function defaultOf(setting: Setting): string | number | boolean | undefined {
  if (setting.kind !== 'path' || setting.default === undefined) return setting.default;
  return join(homedir(), setting.default);
}

function parseSetting(setting: Setting, source: string, given: string | boolean): string | number | boolean {
  if (setting.kind === 'switch') return parseSwitch(source, given);
  if (typeof given === 'boolean') throw new UserError(`${source} needs a value`, 2);
  switch (setting.kind) {
    case 'text':
      if (given === '') throw new UserError(`${source} is empty`, 2);
      return given;
    case 'path':
      if (given === '') throw new UserError(`${source} is empty`, 2);
      return resolve(given);
    case 'bytes':
      return inRange(
        source,
        named(source, () => parseBytes(given)),
        setting.min,
        Number.MAX_SAFE_INTEGER,
        formatBytes,
      );
    case 'duration': {
      const ms = named(source, () => parseDurationMs(given, 1000));
      return inRange(source, ms, setting.minMs, setting.maxMs, formatDurationMs);
    }
    case 'count': {
      if (!/^\d{1,9}$/.test(given)) throw new UserError(`${source}: '${given}' is no whole number`, 2);
      return inRange(source, Number(given), setting.min, setting.max, String);
    }
    case 'choice':
      if (!setting.choices.includes(given)) {
        throw new UserError(`${source}: '${given}' is none of ${setting.choices.join(', ')}`, 2);
      }
      return given;
  }
}

function parseSwitch(source: string, given: string | boolean): boolean {
  if (typeof given === 'boolean') return given;
  if (['1', 'true', 'yes', 'on'].includes(given.toLowerCase())) return true;
  if (['0', 'false', 'no', 'off'].includes(given.toLowerCase())) return false;
  throw new UserError(`${source}: '${given}' is neither true nor false`, 2);
}

function named<T>(source: string, parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    if (error instanceof UserError) throw new UserError(`${source}: ${error.message}`, 2);
    throw error;
  }
}

function inRange(source: string, value: number, min: number, max: number, write: (value: number) => string): number {
  if (value >= min && value <= max) return value;
  const range = max === Number.MAX_SAFE_INTEGER ? `at least ${write(min)}` : `between ${write(min)} and ${write(max)}`;
  throw new UserError(`${source} must be ${range}`, 2);
}

/** Smallest useful --config: `{}`. @throws UserError (usage) when it is no JSON object or has an unknown key. */
export function readConfigFile(path: string): Record<string, string | number | boolean> {
  let parsed: unknown;
  try {
    if (readFileSync(path).length > 64 * KIB) throw new UserError(`${path} is no configuration file: over 64 KiB`, 2);
    parsed = JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    if (error instanceof UserError) throw error;
    throw new UserError(`cannot read the configuration ${path}: ${(error as Error).message}`, 2, { cause: error });
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) {
    throw new UserError(`${path} must hold one JSON object, such as {"lease": "60s"}`, 2);
  }
  const values: Record<string, string | number | boolean> = {};
  for (const [key, value] of Object.entries(parsed)) {
    if (!Object.hasOwn(SETTINGS, key)) throw new UserError(`${path}: unknown key '${key}'${suggestion(key)}`, 2);
    if (typeof value !== 'string' && typeof value !== 'number' && typeof value !== 'boolean') {
      throw new UserError(`${path}: '${key}' must be a string, a number or true/false`, 2);
    }
    values[key] = value;
  }
  return values;
}

function suggestion(key: string): string {
  const plain = key.replaceAll(/[-_]/g, '').toLowerCase();
  const match = Object.keys(SETTINGS).find((name) => name.toLowerCase() === plain);
  return match === undefined ? '' : ` (did you mean '${match}'?)`;
}
