/** Which volume a command is about: a URL, or the data directory of an embedded one. */
import { UserError } from '../../base/errors.ts';

/** Keeps the password of a Redis out of the command line, where `ps` shows it. */
const PASSWORD_VARIABLE = 'JANUSFS_REDIS_PASSWORD';

/** The URL with the password from the environment when it names none itself. */
export function withPassword(url: string, env: Readonly<Record<string, string | undefined>>): string {
  const password = env[PASSWORD_VARIABLE];
  const match = /^([a-z+]+:\/\/)(?:([^@/?]*)@)?(.*)$/s.exec(url);
  if (password === undefined || password === '' || match === null) return url;
  const login = match[2] ?? '';
  if (login.includes(':')) return url;
  return `${match[1]}${login}:${encodeURIComponent(password)}@${match[3]}`;
}

/** URL of the volume in an embedded Redis. */
export function socketUrl(socketPath: string, volume: string): string {
  const path = socketPath.split('/').map(encodeURIComponent).join('/');
  return `redis+unix://${path}?volume=${encodeURIComponent(volume)}`;
}

/** Checks that an argument is a URL. @throws UserError (usage) when it is none. */
export function requireUrl(text: string | undefined): string {
  if (text !== undefined && /^[a-z][a-z0-9+]*:\/\//.test(text)) return text;
  throw new UserError(
    `${text === undefined ? 'a volume URL is missing' : `'${text}' is no volume URL`}; write redis://HOST:PORT/DB?volume=NAME`,
    2,
  );
}

/** The URL as it may be kept in a file or shown: passwords taken out. */
export function withoutPassword(url: string): string {
  return url
    .replace(
      /^([a-z+]+:\/\/)([^@/?:]*):[^@/?]*@/,
      (_, scheme: string, user: string) => scheme + (user === '' ? '' : `${user}@`),
    )
    .replace(/([?&])sentinelPassword=[^&]*&?/, '$1')
    .replace(/[?&]$/, '');
}
