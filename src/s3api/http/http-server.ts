/**
 * The HTTP side of the gateway. fastify owns the listener and its life cycle; every request is taken over in its
 * onRequest hook, before anything parses it, and handled on the raw request target:
 *
 *     target -> headers -> authenticate -> route -> bucket there? -> payload -> operation -> reply
 *
 * `Expect: 100-continue` is answered by the payload's first read, so only a request that got past all checks sends its body.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import Fastify, { type FastifyInstance } from 'fastify';
import type { Logger } from '../../base/log.ts';
import type { RequestHandler } from './request-handler.ts';

/** Whole request head, bytes (user agents of today's SDKs are long). */
const HEADER_BYTES_MAX = 32 * 1024;
const HEADERS_TIMEOUT_MS = 30_000;
const KEEP_ALIVE_MS = 75_000;
const HEADERS_COUNT_MAX = 500;

export interface HttpServerOptions {
  handler: RequestHandler;
  logger: Logger;
}

/** Builds the server; listen() and close() are fastify's. */
export function createHttpServer(options: HttpServerOptions): FastifyInstance {
  const { handler } = options;
  const app = Fastify({
    logger: false,
    trustProxy: false,
    // A new request on a kept connection is still answered while the gateway closes.
    return503OnClosing: false,
    forceCloseConnections: 'idle',
    exposeHeadRoutes: false,
    frameworkErrors: (_error, request, reply) => {
      reply.hijack();
      handler.handle(request.raw, reply.raw, false);
    },
    clientErrorHandler: (error, socket) => answerBroken(error, socket as Socket, handler, options.logger),
    serverFactory: (listener) => httpServer(listener),
  });
  const waiting = new WeakSet<IncomingMessage>();
  app.addHook('onRequest', (request, reply) => {
    reply.hijack();
    handler.handle(request.raw, reply.raw, waiting.has(request.raw));
  });
  // Never reached: the hook above has taken the request. Routes and the 404 handler are what makes fastify run it.
  app.all('*', () => {});
  app.setNotFoundHandler(() => {});
  app.server.on('checkContinue', (request: IncomingMessage, response: ServerResponse) => {
    waiting.add(request);
    app.server.emit('request', request, response);
  });
  app.server.on('connect', (_request: IncomingMessage, socket: Socket) => {
    socket.end(handler.brokenReply('MethodNotAllowed'));
  });
  // Another Expect than 100-continue is ignored, as S3 does.
  app.server.on('checkExpectation', (request: IncomingMessage, response: ServerResponse) => {
    app.server.emit('request', request, response);
  });
  return app;
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
  const start = error.rawPacket?.toString('latin1', 0, 8192) ?? '';
  return error.code === 'HPE_INVALID_METHOD' && /^[!#$%&'*+.^_`|~0-9A-Za-z-]+ \S+ HTTP\/1\.[01]\r?\n/.test(start);
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
