import { UserError } from '../../base/errors.ts';

export interface ListenAddress {
  /** '' = all addresses. */
  host: string;
  /** 0 = any free one. */
  port: number;
}

/** Reads `HOST:PORT`, `[IPv6]:PORT` or `:PORT` (all addresses). @throws UserError (usage). */
export function parseListenAddress(text: string): ListenAddress {
  const match = /^(?:\[([0-9a-fA-F:.%\w]+)\]|([^:[\]]*)):(\d{1,5})$/.exec(text);
  const port = Number(match?.[3]);
  if (match === null || port > 65_535) {
    throw new UserError(`--listen: '${text}' is not HOST:PORT, such as 127.0.0.1:9000 or [::1]:9000`, 2);
  }
  return { host: match[1] ?? match[2] ?? '', port };
}

/** The URL that clients on this machine use. */
export function endpointUrl(host: string, port: number): string {
  const reachable = host === '' || host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host;
  return `http://${reachable.includes(':') ? `[${reachable}]` : reachable}:${port}`;
}
