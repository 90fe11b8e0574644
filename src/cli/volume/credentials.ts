/** Root's S3 credentials: from the environment, or generated once and kept. */
import { randomBytes } from 'node:crypto';
import { chmodSync, readFileSync } from 'node:fs';
import { replaceFile } from '../../base/durable-file.ts';
import { UserError } from '../../base/errors.ts';
import type { User } from '../../base/vocabulary.ts';
import { isBlank } from '../embedded/data-directory.ts';

export interface Credentials {
  accessKey: string;
  secretKey: string;
}

export const ACCESS_KEY_VARIABLE = 'JANUSFS_ACCESS_KEY';
export const SECRET_KEY_VARIABLE = 'JANUSFS_SECRET_KEY';
export const ROOT_USER_NAME = 'root';

/** The uid and gid that root's credentials act as; they also own the root directory. */
export interface Owner {
  uid: number;
  gid: number;
}

/** Uid 0, which every check lets pass. */
export const SUPERUSER: Owner = { uid: 0, gid: 0 };

/** The user behind root's credentials. */
export function rootUser(credentials: Credentials, owner: Owner): User {
  return { name: ROOT_USER_NAME, ...credentials, uid: owner.uid, gid: owner.gid, groups: [] };
}

/**
 * An embedded volume belongs to whoever runs it: what an ordinary user stores through S3 is then theirs on the mount, too.
 */
export function currentOwner(): Owner {
  return { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
}

/** @returns undefined when neither variable is set. @throws UserError (usage) when one is missing or unusable. */
export function credentialsFromEnvironment(env: Readonly<Record<string, string | undefined>>): Credentials | undefined {
  const accessKey = env[ACCESS_KEY_VARIABLE] ?? '';
  const secretKey = env[SECRET_KEY_VARIABLE] ?? '';
  if (accessKey === '' && secretKey === '') return undefined;
  if (accessKey === '' || secretKey === '') {
    throw new UserError(`set both ${ACCESS_KEY_VARIABLE} and ${SECRET_KEY_VARIABLE}, or neither`, 2);
  }
  return checkCredentials({ accessKey, secretKey });
}

/**
 * Checks that keys can travel in a SigV4 signature: the access key stands in a slash-separated, comma-ended scope.
 * @throws UserError (usage); the message does not repeat the secret.
 */
export function checkCredentials(credentials: Credentials): Credentials {
  if (!/^[\w.+@-]{3,128}$/.test(credentials.accessKey)) {
    throw new UserError('an access key has 3 to 128 letters, digits or _.+@-', 2);
  }
  if (!/^[\x21-\x7e]{8,256}$/.test(credentials.secretKey)) {
    throw new UserError('a secret key has 8 to 256 printable ASCII characters without spaces', 2);
  }
  return credentials;
}

/** 120 bits in 20 upper-case characters, and 240 bits in 40: the shapes of AWS's own. */
export function generateCredentials(): Credentials {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';
  const accessKey = `JANUS${Array.from(randomBytes(15), (byte) => alphabet[byte & 31]).join('')}`;
  return { accessKey, secretKey: randomBytes(30).toString('base64url') };
}

/**
 * Reads the kept credentials, generating them when there are none. A file that a power cut left empty gets the keys that
 * the volume knows: clients hold them already.
 * @param known root's keys of the volume, when it has any.
 * @throws UserError when the file is damaged.
 */
export async function keptCredentials(
  path: string,
  known: () => Promise<Credentials | undefined>,
): Promise<Credentials> {
  const kept = readKept(path);
  if (kept !== undefined && kept !== 'blank') return kept;
  const made = (kept === 'blank' ? await known() : undefined) ?? generateCredentials();
  replaceFile(path, formatCredentials(made), 0o600);
  return made;
}

/** The AWS shared-credentials format: AWS_SHARED_CREDENTIALS_FILE=DIR/credentials is all a client needs. */
function formatCredentials({ accessKey, secretKey }: Credentials): string {
  return `[default]\naws_access_key_id = ${accessKey}\naws_secret_access_key = ${secretKey}\n`;
}

/** Undefined when there is no file; 'blank' when nothing was ever written to it. */
function readKept(path: string): Credentials | 'blank' | undefined {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
    chmodSync(path, 0o600);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new UserError(`cannot read ${path}: ${(error as Error).message}`, 1, { cause: error });
  }
  if (isBlank(text)) return 'blank';
  const accessKey = /^\s*aws_access_key_id\s*=\s*(\S+)\s*$/m.exec(text)?.[1];
  const secretKey = /^\s*aws_secret_access_key\s*=\s*(\S+)\s*$/m.exec(text)?.[1];
  if (accessKey === undefined || secretKey === undefined) {
    throw new UserError(`${path} holds no credentials; remove it to have new ones generated`, 1);
  }
  try {
    return checkCredentials({ accessKey, secretKey });
  } catch (error) {
    throw new UserError(`${path}: ${(error as Error).message}; remove it to have new ones generated`, 1);
  }
}
