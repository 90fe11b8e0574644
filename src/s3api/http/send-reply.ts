/** Writing answers: headers of every reply, back-pressure for streams, bodies for errors. */

import type { ServerResponse } from 'node:http';
import { lowerAscii, upperAscii, utf8ByteString } from '../../base/byte-string.ts';
import type { S3Response } from '../operations/operation.ts';
import type { S3Error } from '../protocol/s3-error.ts';
import { element, plainXmlDocument } from '../protocol/xml.ts';

/** A client that takes nothing for this long loses its connection. */
export const DRAIN_MS_MAX = 120_000;

const NO_BODY_STATUS: ReadonlySet<number> = new Set([204, 304]);

/** Ids of this gateway's replies. */
export class ReplyIds {
  readonly #prefix: string;
  /** x-amz-id-2: names the gateway. */
  readonly hostId: string;
  #count = 0;

  constructor(random: Buffer) {
    this.#prefix = upperAscii(random.toString('hex', 0, 4));
    this.hostId = random.toString('base64');
  }

  /** x-amz-request-id: 16 hexadecimal digits, unique in this process. */
  next(): string {
    this.#count = (this.#count + 1) % 2 ** 32;
    return this.#prefix + upperAscii(this.#count.toString(16)).padStart(8, '0');
  }
}

export interface ReplyContext {
  response: ServerResponse;
  method: string;
  requestId: string;
  hostId: string;
  /**
   * Resolves when what the client still sends has been dropped. The reply is written at once but ended only then: to
   * close a connection with unread bytes resets it, and the client may lose the reply.
   */
  unreadBody: Promise<void> | undefined;
}

/** Body of an error document. */
export function errorDocument(error: S3Error, resource: string, requestId: string, hostId: string): Buffer {
  let inner = element('Code', error.code) + element('Message', utf8ByteString(error.message));
  for (const name in error.fields) inner += element(name, error.fields[name]!);
  inner += element('Resource', resource) + element('RequestId', requestId) + element('HostId', hostId);
  return plainXmlDocument('Error', inner);
}

/** Answers an error: no body for HEAD and 304. */
export function sendError(reply: ReplyContext, error: S3Error, resource: string): void {
  const headers: Record<string, string | number> = { ...error.headers };
  if (reply.method === 'HEAD' || NO_BODY_STATUS.has(error.status)) {
    writeHead(reply, error.status, headers);
    endReply(reply, undefined);
    return;
  }
  const body = errorDocument(error, resource, reply.requestId, reply.hostId);
  headers['Content-Type'] = 'application/xml';
  headers['Content-Length'] = body.length;
  writeHead(reply, error.status, headers);
  endReply(reply, body);
}

/**
 * Answers an operation's result. A stream's first piece is awaited before the head is written, so that a failure up to
 * there is a proper error; a later one cuts the connection, which the client sees as a short body.
 */
export function sendResponse(reply: ReplyContext, answer: S3Response): void | Promise<void> {
  const headers: Record<string, string | number> = answer.headers === undefined ? {} : { ...answer.headers };
  const body = typeof answer.body === 'string' ? Buffer.from(answer.body, 'utf8') : answer.body;
  if (body !== undefined && !Buffer.isBuffer(body)) return sendStream(reply, answer.status, headers, body);
  if (body !== undefined) {
    if (!hasHeader(headers, 'content-type')) headers['Content-Type'] = 'application/xml';
    headers['Content-Length'] = body.length;
  } else if (reply.method !== 'HEAD' && !NO_BODY_STATUS.has(answer.status)) {
    headers['Content-Length'] = 0;
  }
  writeHead(reply, answer.status, headers);
  endReply(reply, reply.method === 'HEAD' ? undefined : body);
}

/** Ends a stream that is not sent. */
export async function discardBody({ body }: S3Response): Promise<void> {
  if (body === undefined || typeof body === 'string' || Buffer.isBuffer(body)) return;
  await body[Symbol.asyncIterator]().return?.();
}

function endReply({ response, unreadBody }: ReplyContext, body: Buffer | undefined): void {
  if (unreadBody === undefined) {
    if (body === undefined) response.end();
    else response.end(body);
    return;
  }
  if (body === undefined) response.flushHeaders();
  else response.write(body);
  unreadBody.then(() => response.end());
}

async function sendStream(
  reply: ReplyContext,
  status: number,
  headers: Record<string, string | number>,
  body: AsyncIterable<Buffer>,
): Promise<void> {
  const { response } = reply;
  const pieces = body[Symbol.asyncIterator]();
  try {
    let next = await pieces.next();
    response.cork();
    writeHead(reply, status, headers);
    if (next.done !== true) response.write(next.value);
    response.uncork();
    while (next.done !== true) {
      if (response.writableNeedDrain) await drained(response);
      if (response.destroyed) return;
      next = await pieces.next();
      if (next.done !== true) response.write(next.value);
    }
    endReply(reply, undefined);
  } finally {
    await pieces.return?.();
  }
}

/** Waits until the client has taken what is buffered, or its connection is gone. */
function drained(response: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      response.off('drain', done);
      response.off('close', done);
      resolve();
    };
    const timer = setTimeout(() => response.destroy(), DRAIN_MS_MAX);
    response.on('drain', done);
    response.on('close', done);
    if (response.destroyed) done();
  });
}

function writeHead(reply: ReplyContext, status: number, headers: Record<string, string | number>): void {
  headers['x-amz-request-id'] = reply.requestId;
  headers['x-amz-id-2'] = reply.hostId;
  headers.Server = 'janusfs';
  reply.response.writeHead(status, headers);
}

function hasHeader(headers: Record<string, unknown>, lowerName: string): boolean {
  for (const name in headers) if (lowerAscii(name) === lowerName) return true;
  return false;
}
