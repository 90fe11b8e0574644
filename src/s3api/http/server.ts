/**
 * The HTTP side of the gateway: one listener, two ways behind it.
 *
 *     target begins with /_janusfs/   fastify: routes, plugins, hooks, errors           (own-routes.ts)
 *     every other target              RequestHandler, on the raw request target         (S3)
 *         target -> headers -> authenticate -> route -> bucket there? -> authorize -> payload -> operation -> reply
 *
 * fastify has the listener's life cycle (listen, close) and what the gateway says about itself. S3 requests do not pass
 * through it: routers fold `//`, `..` and percent-encodings that are parts of keys and of signatures, and the shortest
 * way is the fastest. No bucket can be called `_janusfs`; what fastify has no route for goes to S3 and is refused
 * there.
 *
 * `Expect: 100-continue` is answered by the payload's first read, so only a request that got past all checks sends its
 * body.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import { byteStringOf } from '../../base/byte-string.ts';
import type { Logger } from '../../base/log.ts';
import { hostedBucket } from './key-path.ts';
import { OWN_PREFIX, ownRoutes } from './own-routes.ts';
import type { RequestHandler } from './request-handler.ts';

/** Whole request head, bytes (user agents of today's SDKs are long). */
const HEADER_BYTES_MAX = 32 * 1024;
const HEADERS_TIMEOUT_MS = 30_000;
const KEEP_ALIVE_MS = 75_000;
const HEADERS_COUNT_MAX = 500;
/** Of a refused request, what is looked at. */
const REQUEST_LINE_BYTES_MAX = 8192;

export interface HttpServerOptions {
  handler: RequestHandler;
  /** Virtual-host domain: a bucket's host has no paths but its keys. */
  domain: string | undefined;
  logger: Logger;
}

/** Builds the server; listen() and close() are fastify's. */
export function createHttpServer(options: HttpServerOptions): FastifyInstance {
  const { handler, domain, logger } = options;
  const toS3 = (request: FastifyRequest, reply: FastifyReply): void => {
    reply.hijack();
    handler.handle(request.raw, reply.raw, false);
  };
  const app = Fastify({
    logger: false,
    trustProxy: false,
    // A request on a kept connection is still answered while the gateway closes.
    return503OnClosing: false,
    forceCloseConnections: 'idle',
    frameworkErrors: (_error, request, reply) => toS3(request, reply),
    clientErrorHandler: (error, socket) => answerBroken(error, socket as Socket, handler, logger),
    serverFactory: (fastify) =>
      httpServer((message, response) => {
        if (isOwnPath(message, domain)) fastify(message, response);
        else handler.handle(message, response, false);
      }),
  });
  app.register(ownRoutes, { prefix: OWN_PREFIX, isClosing: () => handler.closing });
  app.setNotFoundHandler(toS3);
  app.server.on('checkContinue', (message: IncomingMessage, response: ServerResponse) => {
    handler.handle(message, response, true);
  });
  app.server.on('connect', (_message: IncomingMessage, socket: Socket) => {
    socket.end(handler.brokenReply('MethodNotAllowed'));
  });
  // Another Expect than 100-continue is ignored, as S3 does.
  app.server.on('checkExpectation', (message: IncomingMessage, response: ServerResponse) => {
    app.server.emit('request', message, response);
  });
  return app;
}

function isOwnPath({ url, method, headers }: IncomingMessage, domain: string | undefined): boolean {
  if (url === undefined || !url.startsWith(`${OWN_PREFIX}/`) || (method !== 'GET' && method !== 'HEAD')) return false;
  return domain === undefined || headers.host === undefined || hostedBucket(headers.host, domain) === undefined;
}

function httpServer(listener: (request: IncomingMessage, response: ServerResponse) => void): Server {
  const server = createServer(
    {
      maxHeaderSize: HEADER_BYTES_MAX,
      headersTimeout: HEADERS_TIMEOUT_MS,
      // Bodies may take hours; RawBody gives up a client that stops sending.
      requestTimeout: 0,
      connectionsCheckingInterval: 5_000,
      keepAliveTimeout: KEEP_ALIVE_MS,
      noDelay: true,
      insecureHTTPParser: false,
    },
    listener,
  );
  server.maxHeadersCount = HEADERS_COUNT_MAX;
  server.timeout = 0;
  return server;
}

/** A request line that is HTTP but for a method that nobody has defined. */
function isForeignMethod(error: NodeJS.ErrnoException & { rawPacket?: Buffer }): boolean {
  const start = error.rawPacket === undefined ? '' : byteStringOf(error.rawPacket, 0, REQUEST_LINE_BYTES_MAX);
  return (
    error.code === 'HPE_INVALID_METHOD' && /^[!#$%&'*+.^_`|~0-9A-Za-z-]+ [^ \t\r\n]+ HTTP\/1\.[01]\r?\n/.test(start)
  );
}

/** A request that is no HTTP, or whose head is too large or too slow, is answered before its connection closes. */
function answerBroken(error: NodeJS.ErrnoException, socket: Socket, handler: RequestHandler, logger: Logger): void {
  if (error.code === 'ECONNRESET' || !socket.writable || socket.bytesWritten > 0) {
    socket.destroy();
    return;
  }
  logger.debug({ err: error }, 'a client sent what is no HTTP request');
  const reply =
    error.code === 'HPE_HEADER_OVERFLOW'
      ? handler.brokenReply('RequestHeaderSectionTooLarge')
      : error.code === 'ERR_HTTP_REQUEST_TIMEOUT'
        ? handler.brokenReply('RequestTimeout')
        : isForeignMethod(error)
          ? handler.brokenReply('MethodNotAllowed')
          : handler.brokenReply('BadRequest');
  socket.end(reply, () => socket.destroy());
}
