/** A user of Redis that may do what janusfs does with one volume, and nothing else. */
import { UserError } from '../../base/errors.ts';
import { RedisConnection, RedisReplyError } from '../redis/connection.ts';
import { parseRedisUrl } from '../redis/redis-url.ts';
import { type ConnectOptions, connectionOptions } from './join-volume.ts';

/** Commands of clients and of their scripts, which Redis checks in the same way. */
const COMMANDS: readonly string[] = [
  ...['ping', 'info', 'select', 'time', 'scan', 'dbsize', 'eval', 'evalsha'],
  ...['client|setname', 'config|get'],
  ...['publish', 'subscribe', 'unsubscribe', 'psubscribe', 'punsubscribe'],
  ...['exists', 'del', 'unlink', 'type', 'rename', 'copy', 'expire'],
  ...['get', 'set', 'mget', 'append', 'setrange', 'strlen'],
  ...[
    'hget',
    'hset',
    'hsetnx',
    'hmget',
    'hgetall',
    'hdel',
    'hexists',
    'hincrby',
    'hkeys',
    'hlen',
    'hscan',
    'hrandfield',
  ],
  ...['zadd', 'zrem', 'zscore', 'zmscore', 'zcard', 'zcount', 'zrange', 'zrangebyscore', 'zrangebylex', 'zscan'],
  ...['sadd', 'srem', 'smembers', 'srandmember', 'sismember', 'scard'],
];
/** Since 7.2: durable answers of a Redis that syncs once a second, and a library that says its name. */
const NEWER_COMMANDS: readonly string[] = ['waitaof', 'client|setinfo'];

export interface AclUser {
  name: string;
  password: string;
}

/** Arguments of ACL SETUSER behind the name, the password left out. */
export function aclRules(volume: string, version: readonly [number, number]): string[] {
  const isNewer = version[0] > 7 || (version[0] === 7 && version[1] >= 2);
  return [
    `~{${volume}}:*`,
    'resetchannels',
    `&{${volume}}:*`,
    // Keyspace notifications of the volume's keys: a dump listens to them.
    `&__keyspace@*__:{${volume}}:*`,
    '-@all',
    ...[...COMMANDS, ...(isNewer ? NEWER_COMMANDS : [])].map((command) => `+${command}`),
  ];
}

/** @throws UserError for what is no name, or the user of the URL itself. */
export function checkAclName(url: string, name: string): void {
  if (!/^[A-Za-z0-9._-]{1,64}$/.test(name)) {
    throw new UserError(`--acl-user ${name}: 1 to 64 letters, digits, dots, hyphens and underscores`, 2);
  }
  if (name === (parseRedisUrl(url).username || 'default')) {
    throw new UserError(`--acl-user ${name} is the user of the URL: it would lose its own rights`, 2);
  }
}

/**
 * Makes the user, or gives it these rights and this password alone. The URL's own user must be allowed to.
 * @returns whether Redis keeps the user over a restart. @throws UserError
 */
export async function makeAclUser(url: string, user: AclUser, options: ConnectOptions = {}): Promise<boolean> {
  checkAclName(url, user.name);
  const connect = connectionOptions(url, options);
  const connection = await RedisConnection.open(connect);
  try {
    const rules = aclRules(connect.location.volume, connection.info.version);
    await connection.call('ACL', ['SETUSER', user.name, 'reset', 'on', `>${user.password}`, ...rules]);
    // One of the two works where an administrator has made a place for it.
    return (await works(connection, 'ACL', ['SAVE'])) || (await works(connection, 'CONFIG', ['REWRITE']));
  } catch (error) {
    if (!(error instanceof RedisReplyError)) throw error;
    // What Redis says of a refused rule may quote it; the password is no rule of its own.
    throw new UserError(`Redis did not make the user ${user.name}: ${error.code}`, 1);
  } finally {
    connection.close();
  }
}

async function works(connection: RedisConnection, command: string, args: string[]): Promise<boolean> {
  try {
    await connection.call(command, args);
    return true;
  } catch (error) {
    if (error instanceof RedisReplyError) return false;
    throw error;
  }
}
