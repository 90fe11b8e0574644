/** Where the key of an encrypted volume comes from: never from the command line, where `ps` shows it. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { UserError } from '../../base/errors.ts';
import type { InlineSeal } from '../../base/slices.ts';
import type { VolumeFormat } from '../../base/vocabulary.ts';
import { type KeySource, unwrapKey } from '../../chunk/codec/data-key.ts';
import { inlineSeal } from '../../chunk/codec/inline-seal.ts';
import type { Settings } from '../../config.ts';

const PASSPHRASE_VARIABLE = 'JANUSFS_PASSPHRASE';
const COMMAND_MS = 60_000;

export const KEY_SETTINGS = ['keyFile', 'keyCommand'] as const;

type Env = Readonly<Record<string, string | undefined>>;

/**
 * What the user gave; undefined when nothing.
 * @throws UserError when two were given, or the file cannot be read or is empty.
 */
export function keySourceOf(
  { keyFile, keyCommand }: Settings<(typeof KEY_SETTINGS)[number]>,
  env: Env,
  passphraseVariable = PASSPHRASE_VARIABLE,
): KeySource | undefined {
  const passphrase = env[passphraseVariable];
  const given = [keyFile, keyCommand, passphrase === '' ? undefined : passphrase].filter((one) => one !== undefined);
  if (given.length > 1) {
    throw new UserError(`give one of --key-file, --key-command and ${passphraseVariable}, not several`, 2);
  }
  if (keyCommand !== undefined) return { kind: 'command', run: (mode, bytes) => runCommand(keyCommand, mode, bytes) };
  if (keyFile !== undefined) return { kind: 'passphrase', passphrase: readKeyFile(keyFile) };
  if (passphrase === undefined || passphrase === '') return undefined;
  return { kind: 'passphrase', passphrase: Buffer.from(passphrase) };
}

function readKeyFile(path: string): Buffer {
  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
  } catch (error) {
    throw new UserError(`cannot read the key file ${path}: ${(error as Error).message}`, 1, { cause: error });
  }
  // Editors and echo end a line; the key is what is on it.
  const end = bytes.at(-1) === 0x0a ? (bytes.at(-2) === 0x0d ? -2 : -1) : bytes.length;
  const key = bytes.subarray(0, end);
  if (key.length === 0) throw new UserError(`the key file ${path} is empty`);
  return key;
}

/** `sh -c 'COMMAND wrap'` or `... unwrap`: bytes on its standard input, the answer on its standard output. */
async function runCommand(command: string, mode: 'wrap' | 'unwrap', bytes: Buffer): Promise<Buffer> {
  const child = spawn('sh', ['-c', `${command} ${mode}`], {
    stdio: ['pipe', 'pipe', 'inherit'],
    timeout: COMMAND_MS,
    killSignal: 'SIGKILL',
  });
  const parts: Buffer[] = [];
  child.stdout.on('data', (part: Buffer) => parts.push(part));
  child.stdin.on('error', () => {}); // It may not read what it does not need; its status tells.
  child.stdin.end(bytes);
  const [status, signal] = (await once(child, 'close')) as [number | null, string | null];
  const answer = Buffer.concat(parts);
  if (status === 0 && answer.length > 0) return answer;
  const what = status === 0 ? 'answered nothing' : `ended with ${status ?? signal}`;
  throw new UserError(`the key command '${command} ${mode}' ${what}`);
}

/**
 * The key of the volume's data; undefined when it is not encrypted.
 * @throws UserError when the source is missing or wrong.
 */
export async function unlock(format: VolumeFormat, source: KeySource | undefined): Promise<Buffer | undefined> {
  if (format.encryption === undefined) return undefined;
  if (source === undefined) {
    const wanted = format.encryption.kind === 'command' ? '--key-command' : `${PASSPHRASE_VARIABLE} or --key-file`;
    throw new UserError(`the volume ${format.name} is encrypted: give its key with ${wanted}`);
  }
  return unwrapKey(format.encryption, source);
}

/** For openMeta(): unlocks the volume as it is joined; `unlocked` hears the key. */
export function sealWith(
  source: KeySource | undefined,
  unlocked: (dataKey: Buffer | undefined) => void,
): (format: VolumeFormat) => Promise<InlineSeal | undefined> {
  return async (format) => {
    const dataKey = await unlock(format, source);
    unlocked(dataKey);
    return dataKey === undefined ? undefined : inlineSeal(dataKey);
  };
}
