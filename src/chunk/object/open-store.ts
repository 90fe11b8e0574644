import { UserError } from '../../base/errors.ts';
import type { ObjectStore } from '../chunks.ts';
import { type FaultPlan, FaultyStore, NO_FAULTS } from './faulty-store.ts';
import { FileStore } from './file-store.ts';
import { MemoryStore } from './memory-store.ts';
import { type CredentialSource, standardCredentials } from './s3-credentials.ts';
import type { S3StoreOptions } from './s3-options.ts';

export interface OpenStoreOptions {
  /** Makes the directory of a file store when it is missing (format does; a mount must not: its disk may be away). */
  create: boolean;
  /** Where S3 credentials come from; the AWS SDK's chain when left out. */
  credentials?: CredentialSource;
}

const S3_CONNECTIONS = 64;
const S3_PARAMETERS: readonly string[] = ['endpoint', 'region', 'style', 'payload'];

/**
 * Opens the object store a URL names:
 *
 *     file:///DIR
 *     s3://bucket/prefix?endpoint=https://host:port&region=R&style=path|virtual&payload=unsigned|signed
 *     memory:
 *     faulty+URL with ?delayMs=&errorRate=&putErrorRate=&getErrorRate=&tornRate=&lostReplyRate= (tests, measurements)
 *
 * Without endpoint: AWS. Region: AWS_REGION, else us-east-1. Style: path with an endpoint, virtual without.
 * @throws UserError when the URL is wrong; StoreError when the store cannot be opened.
 */
export async function openStore(storeUrl: string, options: OpenStoreOptions): Promise<ObjectStore> {
  if (storeUrl.startsWith('faulty+')) return openFaulty(storeUrl, options);
  const url = parse(storeUrl);
  switch (url.protocol) {
    case 'file:':
      return openFile(url, storeUrl, options);
    case 's3:':
      return openS3(url, storeUrl, options);
    case 'memory:':
      refuseUnknown(url, [], storeUrl);
      return new MemoryStore();
    default:
      throw bad(storeUrl, `"${url.protocol}" is no kind of object store; use file:///DIR or s3://bucket/prefix`);
  }
}

function openFile(url: URL, shown: string, options: OpenStoreOptions): Promise<ObjectStore> {
  refuseUnknown(url, [], shown);
  if (url.host !== '') throw bad(shown, 'a directory needs three slashes: file:///absolute/path');
  const directory = decodePath(url.pathname, shown).replace(/\/+$/, '');
  if (directory === '') throw bad(shown, 'it names no directory: file:///absolute/path');
  return FileStore.open(directory, { create: options.create });
}

async function openS3(url: URL, shown: string, options: OpenStoreOptions): Promise<ObjectStore> {
  refuseUnknown(url, S3_PARAMETERS, shown);
  if (url.username !== '' || url.password !== '') {
    throw bad(shown, 'credentials do not belong into the URL; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY');
  }
  if (url.host === '' || url.port !== '') throw bad(shown, 'it names no bucket: s3://bucket/prefix?endpoint=...');
  const region =
    url.searchParams.get('region') ?? process.env.AWS_REGION ?? process.env.AWS_DEFAULT_REGION ?? 'us-east-1';
  const given = url.searchParams.get('endpoint') ?? undefined;
  const prefix = decodePath(url.pathname, shown).replace(/^\/+|\/+$/g, '');
  const s3: S3StoreOptions = {
    bucket: url.hostname,
    prefix: prefix === '' ? '' : `${prefix}/`,
    endpoint: endpoint(given ?? `https://s3.${region}.amazonaws.com`, shown),
    region,
    style: oneOf(url, 'style', ['path', 'virtual'], given === undefined ? 'virtual' : 'path', shown),
    payload: oneOf(url, 'payload', ['unsigned', 'signed'], 'unsigned', shown),
    connections: S3_CONNECTIONS,
    credentials: options.credentials ?? standardCredentials(),
  };
  // Loaded only here: undici and the SDK take 170 ms and 32 MB, which a store in a directory need not pay.
  const { S3Store } = await import('./s3-store.ts');
  return new S3Store(s3);
}

async function openFaulty(storeUrl: string, options: OpenStoreOptions): Promise<ObjectStore> {
  const url = parse(storeUrl.slice('faulty+'.length));
  const plan: FaultPlan = { ...NO_FAULTS };
  for (const name of Object.keys(NO_FAULTS) as (keyof FaultPlan)[]) {
    const text = url.searchParams.get(name);
    if (text === null) continue;
    const value = Number(text);
    const max = name === 'delayMs' ? 60_000 : 1;
    if (text === '' || !(value >= 0 && value <= max)) throw bad(storeUrl, `${name} must be a number from 0 to ${max}`);
    plan[name] = value;
    url.searchParams.delete(name);
  }
  return new FaultyStore(await openStore(url.href, options), plan);
}

function parse(text: string): URL {
  try {
    return new URL(text);
  } catch (error) {
    throw new UserError(`"${withoutSecrets(text)}" is no store URL; use file:///DIR or s3://bucket/prefix`, 2, {
      cause: error,
    });
  }
}

function endpoint(text: string, shown: string): URL {
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    throw bad(shown, `endpoint "${text}" is no URL: http://host:port or https://host:port`);
  }
  const plain = url.pathname === '/' && url.search === '' && url.username === '';
  if ((url.protocol !== 'http:' && url.protocol !== 'https:') || !plain) {
    throw bad(shown, `endpoint "${url.host}" must be http://host:port or https://host:port and nothing more`);
  }
  return url;
}

function oneOf<T extends string>(url: URL, name: string, allowed: readonly T[], fallback: T, shown: string): T {
  const value = url.searchParams.get(name);
  if (value === null) return fallback;
  const found = allowed.find((candidate) => candidate === value);
  if (found === undefined) throw bad(shown, `${name} must be ${allowed.join(' or ')}, not "${value}"`);
  return found;
}

function refuseUnknown(url: URL, known: readonly string[], shown: string): void {
  for (const name of url.searchParams.keys()) {
    if (!known.includes(name))
      throw bad(shown, `it has no parameter "${name}"${known.length > 0 ? ` (${known.join(', ')})` : ''}`);
  }
}

function decodePath(path: string, shown: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    throw bad(shown, 'its path is wrongly percent-encoded');
  }
}

function bad(storeUrl: string, reason: string): UserError {
  return new UserError(`store URL ${withoutSecrets(storeUrl)}: ${reason}`, 2);
}

function withoutSecrets(text: string): string {
  return text.replace(/\/\/[^/@]*@/, '//');
}
