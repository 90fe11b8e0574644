/** Runs each HTTP request to its reply, counts those in progress, logs what failed. */

import { randomBytes } from 'node:crypto';
import { type IncomingMessage, type ServerResponse, STATUS_CODES } from 'node:http';
import { byteStringOf } from '../../base/byte-string.ts';
import { traceRequest } from '../../base/trace.ts';
import { UserDirectory } from '../auth/user-directory.ts';
import { S3Error, type S3ErrorCode, toS3Error } from '../protocol/s3-error.ts';
import { Exchange, type ExchangeOptions } from './exchange.ts';
import { discardBody, errorDocument, type ReplyContext, ReplyIds, sendError, sendResponse } from './send-reply.ts';

/** What a client waits that came when too many requests were under way. */
const RETRY_AFTER_SECONDS = '1';

export class RequestHandler {
  readonly #options: ExchangeOptions;
  readonly #users: UserDirectory;
  readonly #ids = new ReplyIds(randomBytes(24));
  #closing = false;
  #active = 0;
  #idle: (() => void) | undefined;

  constructor(options: ExchangeOptions) {
    this.#options = options;
    this.#users = new UserDirectory(options.vfs, options.logger);
  }

  /**
   * Handles a request to its end; never throws. `expectsContinue`: the client waits for 100 before it sends its body.
   */
  handle(message: IncomingMessage, response: ServerResponse, expectsContinue: boolean): void {
    this.#active += 1;
    this.#run(message, response, expectsContinue)
      .catch((error) => {
        this.#options.logger.error({ err: error }, 'a reply could not be written');
        response.destroy();
      })
      .finally(() => {
        this.#active -= 1;
        if (this.#active === 0) this.#idle?.();
      });
  }

  get closing(): boolean {
    return this.#closing;
  }

  /** From now on every reply ends its connection. Resolves when no request is being handled. */
  drain(): Promise<void> {
    this.#closing = true;
    if (this.#active === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.#idle = resolve;
    });
  }

  /** A whole HTTP reply for a connection that sent no valid request. */
  brokenReply(code: S3ErrorCode): string {
    const error = new S3Error(code);
    const requestId = this.#ids.next();
    const body = byteStringOf(errorDocument(error, '/', requestId, this.#ids.hostId));
    return (
      `HTTP/1.1 ${error.status} ${STATUS_CODES[error.status]}\r\nConnection: close\r\nContent-Type: application/xml\r\n` +
      `x-amz-request-id: ${requestId}\r\nDate: ${new Date().toUTCString()}\r\nServer: janusfs\r\n` +
      `Content-Length: ${body.length}\r\n\r\n${body}`
    );
  }

  async #run(message: IncomingMessage, response: ServerResponse, expectsContinue: boolean): Promise<void> {
    const method = message.method ?? '';
    const ids = { requestId: this.#ids.next(), hostId: this.#ids.hostId };
    const reply: ReplyContext = { response, method, ...ids, unreadBody: undefined };
    const exchange = new Exchange(this.#options, message, response, reply.requestId, expectsContinue);
    traceRequest(message, response, exchange);
    if (this.#closing) response.setHeader('Connection', 'close');
    try {
      if (this.#active > this.#options.settings.requestsMax) {
        throw new S3Error('SlowDown', { headers: { 'Retry-After': RETRY_AFTER_SECONDS } });
      }
      const answer = await exchange.answer(this.#users);
      // Nobody is left to answer: what the body's stream holds open is given back at once.
      if (response.destroyed) return await discardBody(answer);
      reply.unreadBody = exchange.unreadBody();
      await sendResponse(reply, answer);
    } catch (error) {
      this.#fail(reply, exchange, error);
    }
  }

  #fail(reply: ReplyContext, exchange: Exchange, cause: unknown): void {
    const { logger } = this.#options;
    const error = exchange.describe(toS3Error(cause, exchange.absent));
    const fields = { requestId: reply.requestId, operation: exchange.operationName, code: error.code };
    if (error.status >= 500 && error.code !== 'NotImplemented') {
      logger.error({ ...fields, err: error.cause ?? error }, 'request failed');
    } else logger.debug({ ...fields, detail: error.message, reason: error.reason }, 'request refused');
    if (reply.response.destroyed) return;
    if (reply.response.headersSent) {
      reply.response.destroy();
      return;
    }
    reply.unreadBody = exchange.unreadBody();
    if (error.status !== 304) error.headers['x-amz-bucket-region'] ??= exchange.region;
    sendError(reply, error, exchange.resource);
  }
}
