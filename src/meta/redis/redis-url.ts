/**
 * Volume URLs: which Redis, and which volume in it.
 *
 *     redis://[user:password@]host[:port][/db]?volume=NAME          plain TCP
 *     rediss://...                                                   the same over TLS
 *     redis+unix:///path/to/socket?volume=NAME[&db=N]                unix socket, [user:password@] before the path
 *     redis+sentinel://[user:password@]h1[:port],h2[:port]/master[/db]?volume=NAME[&sentinelPassword=P]
 */
import { UserError } from '../../base/errors.ts';

export const DEFAULT_VOLUME = 'janusfs';

/** Where a volume's Redis is. Nothing here is ever logged but `display`. */
export interface RedisLocation {
  volume: string;
  /** The URL without passwords, for messages and logs. */
  display: string;
  host: string;
  port: number;
  /** Unix socket; empty for TCP. */
  socketPath: string;
  tls: boolean;
  db: number;
  username: string;
  password: string;
  sentinels: { host: string; port: number }[];
  sentinelPassword: string;
  /** Name of the master group the sentinels watch; empty without sentinels. */
  masterName: string;
}

const FORMS =
  'redis://[user:password@]host:port/db?volume=NAME, rediss://..., redis+unix:///path?volume=NAME or ' +
  'redis+sentinel://host:port,host:port/master/db?volume=NAME';

// WHATWG URLs refuse host lists and need a host, so the authority is taken apart here.
const SHAPE = /^([a-z+]+):\/\/(?:([^@/?]*)@)?([^/?]*)(\/[^?]*)?(?:\?(.*))?$/;

/**
 * Reads a volume URL.
 * @throws UserError (exit status 2) naming what is wrong; never quotes a password.
 */
export function parseRedisUrl(url: string): RedisLocation {
  const parts = SHAPE.exec(url);
  if (parts === null) throw new UserError(`not a volume URL; write ${FORMS}`, 2);
  const [, scheme, login = '', authority = '', path = '', query = ''] = parts;
  const params = new URLSearchParams(query);
  const location: RedisLocation = {
    volume: volumeName(params.get('volume') ?? DEFAULT_VOLUME),
    display: displayUrl(scheme!, authority, path, params),
    host: '',
    port: 6379,
    socketPath: '',
    tls: scheme === 'rediss',
    db: 0,
    ...parseLogin(login),
    sentinels: [],
    sentinelPassword: params.get('sentinelPassword') ?? '',
    masterName: '',
  };
  refuseUnknown(params);
  if (scheme === 'redis' || scheme === 'rediss')
    return { ...location, ...parseHost(authority, 6379), db: dbNumber(path) };
  if (scheme === 'redis+unix') return unixLocation(location, authority, path, params);
  if (scheme === 'redis+sentinel') return sentinelLocation(location, authority, path);
  if (scheme === 'redis+cluster' || scheme === 'rediss+cluster') {
    throw new UserError('Redis Cluster is not supported yet; use one server or Sentinel', 2);
  }
  throw new UserError(`unknown scheme ${scheme}:// in the volume URL; write ${FORMS}`, 2);
}

/** Checks a volume's name: it is also the name of the bucket that shows the volume's root. */
export function volumeName(name: string): string {
  if (!isVolumeName(name)) {
    throw new UserError(
      `volume name '${name}' is not valid: 3 to 63 lower-case letters, digits, dots and hyphens, like a bucket's`,
      2,
    );
  }
  return name;
}

function unixLocation(
  location: RedisLocation,
  authority: string,
  path: string,
  params: URLSearchParams,
): RedisLocation {
  if (authority !== '' || path.length < 2) {
    throw new UserError('a socket URL has three slashes and an absolute path: redis+unix:///run/redis.sock', 2);
  }
  return { ...location, socketPath: decodeURIComponent(path), db: dbNumber(`/${params.get('db') ?? ''}`) };
}

function sentinelLocation(location: RedisLocation, authority: string, path: string): RedisLocation {
  const [, masterName = '', db = ''] = path.split('/');
  if (masterName === '') {
    throw new UserError('a sentinel URL names the master group: redis+sentinel://host:26379/mymaster', 2);
  }
  const sentinels = authority.split(',').map((host) => parseHost(host, 26379));
  return { ...location, sentinels, masterName: decodeURIComponent(masterName), db: dbNumber(`/${db}`) };
}

function parseLogin(login: string): { username: string; password: string } {
  const colon = login.indexOf(':');
  if (colon < 0) return { username: decodeURIComponent(login), password: '' };
  return { username: decodeURIComponent(login.slice(0, colon)), password: decodeURIComponent(login.slice(colon + 1)) };
}

function parseHost(authority: string, defaultPort: number): { host: string; port: number } {
  const parts = /^(\[[0-9a-fA-F:.]+\]|[^:]+)(?::(\d+))?$/.exec(authority);
  const port = Number(parts?.[2] ?? defaultPort);
  if (parts === null || port < 1 || port > 65535) {
    throw new UserError(`'${authority}' in the volume URL is not host:port`, 2);
  }
  return { host: parts[1]!.replace(/^\[|\]$/g, ''), port };
}

function dbNumber(path: string): number {
  const text = path.slice(1);
  if (!/^\d{0,4}$/.test(text)) throw new UserError(`'${text}' in the volume URL is not a database number`, 2);
  return Number(text);
}

function refuseUnknown(params: URLSearchParams): void {
  for (const name of params.keys()) {
    if (name !== 'volume' && name !== 'db' && name !== 'sentinelPassword') {
      throw new UserError(`unknown parameter '${name}' in the volume URL; known are volume, db, sentinelPassword`, 2);
    }
  }
}

function displayUrl(scheme: string, authority: string, path: string, params: URLSearchParams): string {
  return `${scheme}://${authority}${path}?volume=${params.get('volume') ?? DEFAULT_VOLUME}`;
}

/** 3 to 63 lower-case letters, digits, dots and hyphens; the first and last no dot or hyphen. */
export function isVolumeName(name: string): boolean {
  return /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/.test(name);
}
