/** Starts and stops the S3 endpoint. */

import type { AddressInfo } from 'node:net';
import { isIPv6 } from 'node:net';
import { UserError } from '../base/errors.ts';
import type { Logger } from '../base/log.ts';
import { lookupTable } from '../base/lookup-table.ts';
import type { Vfs } from '../vfs/vfs.ts';
import { BucketCache } from './http/bucket-cache.ts';
import { RequestHandler } from './http/request-handler.ts';
import { Router } from './http/router.ts';
import { createHttpServer } from './http/server.ts';
import { OPERATIONS } from './operations/registry.ts';
import { FOREIGN_SUBRESOURCES, UNBUILT } from './operations/unbuilt.ts';

/** S3's largest single upload. */
const OBJECT_BYTES_MAX = 5 * 1024 ** 3;
/** How long close() waits for requests in progress. */
const CLOSE_MS_MAX = 10_000;

export type ListenAddress = { host: string; port: number } | { path: string };

const REQUESTS_MAX = 1_000;

export interface GatewayOptions {
  vfs: Vfs;
  /** port 0 takes a free one; the URL tells which. */
  listen: ListenAddress;
  /** The region of unsigned requests and of those signed for us-east-1; others get the one that they are signed for. */
  region: string;
  /** `bucket.domain` in the Host header names a bucket. */
  domain?: string;
  /** Requests handled at the same time; default 1000. */
  requestsMax?: number;
  logger: Logger;
}

export interface Gateway {
  /** `http://host:port`, or `http+unix://PATH`. */
  readonly url: string;
  /** Takes no new connections, lets requests in progress end (10 s at most), then cuts what is left. */
  close(): Promise<void>;
}

/** Serves the volume over S3. @throws UserError when the address cannot be listened on. */
export async function startGateway(options: GatewayOptions): Promise<Gateway> {
  const { vfs, listen, region, domain, logger, requestsMax = REQUESTS_MAX } = options;
  const settings = { region, domain, objectBytesMax: OBJECT_BYTES_MAX, requestsMax };
  const router = new Router({ operations: OPERATIONS, unbuilt: UNBUILT, foreign: FOREIGN_SUBRESOURCES });
  const handler = new RequestHandler({ vfs, settings, router, buckets: new BucketCache(), logger });
  const app = createHttpServer({ handler, domain, logger });
  try {
    await app.listen(listen);
  } catch (error) {
    await app.close();
    throw listenError(listen, error);
  }
  const url = 'path' in listen ? `http+unix://${listen.path}` : urlOf(app.server.address() as AddressInfo);
  let closing: Promise<void> | undefined;
  const stop = async (): Promise<void> => {
    const timer = setTimeout(() => app.server.closeAllConnections(), CLOSE_MS_MAX);
    const closed = app.close();
    await handler.drain();
    app.server.closeIdleConnections();
    await closed;
    clearTimeout(timer);
  };
  return {
    url,
    close() {
      closing ??= stop();
      return closing;
    },
  };
}

function urlOf({ address, port }: AddressInfo): string {
  return `http://${isIPv6(address) ? `[${address}]` : address}:${port}`;
}

const LISTEN_ADVICE = lookupTable({
  EADDRINUSE: 'another process listens there; stop it or choose another address',
  EACCES: 'this user may not listen there; choose a port from 1024 up or run as root',
  EADDRNOTAVAIL: 'this machine has no such address; choose one of its own',
  ENOTFOUND: 'the host name does not resolve; choose an address of this machine',
});

function listenError(listen: ListenAddress, error: unknown): UserError {
  const code = (error as NodeJS.ErrnoException).code ?? String(error);
  const where = 'path' in listen ? listen.path : `${listen.host}:${listen.port}`;
  return new UserError(`cannot serve S3 on ${where}: ${LISTEN_ADVICE.get(code) ?? code}`, 1, { cause: error });
}
