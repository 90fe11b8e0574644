/**
 * JANUSFS_TRACE=1: a line on stderr for every operation of both frontends.
 *
 *     trace fuse mkdir 1 scripts=mknod trips=1 in=53 out=144 us=391 status=0
 *     trace s3 PutObject bkt/a.txt scripts=walk,publish trips=2 in=5 out=271 us=1204 status=200
 *
 * The operation that a script runs for is found through the asynchronous context (AsyncLocalStorage), which costs every
 * promise something. So there is a tracer only when it was asked for as the program started; without one a hook is a
 * comparison with undefined.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { LineWriter } from './line-writer.ts';

/** One operation under way. */
export interface TracedOperation {
  readonly name: string;
  readonly bytesIn: number;
  readonly startedMs: number;
  /** Scripts and commands that were run for it, in order: one round trip each. */
  readonly scripts: string[];
}

export class Tracer {
  readonly #current = new AsyncLocalStorage<TracedOperation>();
  readonly #write: (line: string) => void;

  constructor(write: (line: string) => void) {
    this.#write = write;
  }

  /** Begins an operation and runs its synchronous part; what that starts belongs to the operation, too. */
  run(name: string, bytesIn: number, body: (operation: TracedOperation) => void): void {
    const operation = begun(name, bytesIn);
    this.#current.run(operation, body, operation);
  }

  /** Like run(), for the rest of the calling asynchronous function. */
  enter(name: string, bytesIn: number): TracedOperation {
    const operation = begun(name, bytesIn);
    this.#current.enterWith(operation);
    return operation;
  }

  /** Redis is asked on behalf of the current operation, if there is one. */
  roundTrip(script: string): void {
    this.#current.getStore()?.scripts.push(script);
  }

  /** Prints the operation. @param name what it is called, when only its end tells. */
  finish(operation: TracedOperation, bytesOut: number, status: number, name = operation.name): void {
    const { scripts, bytesIn, startedMs } = operation;
    const micros = Math.round((performance.now() - startedMs) * 1000);
    this.#write(
      `trace ${name} scripts=${scripts.join(',')} trips=${scripts.length} in=${bytesIn} out=${bytesOut} us=${micros} ` +
        `status=${status}\n`,
    );
  }
}

function begun(name: string, bytesIn: number): TracedOperation {
  return { name, bytesIn, startedMs: performance.now(), scripts: [] };
}

/** Undefined unless the program was started with JANUSFS_TRACE=1. */
export const tracer: Tracer | undefined = process.env.JANUSFS_TRACE === '1' ? tracerOnStderr() : undefined;

function tracerOnStderr(): Tracer {
  const lines = new LineWriter(2, (count) => `trace lines=${count} could not be written\n`);
  return new Tracer((line) => lines.write(line));
}

/**
 * Traces an S3 request until its connection has taken the reply. Call it in the asynchronous function that handles it.
 * @param request its operation and path, which are known when the reply is.
 */
export function traceRequest(
  message: IncomingMessage,
  response: ServerResponse,
  request: { readonly operationName: string; readonly resource: string },
): void {
  if (tracer === undefined) return;
  const { socket } = message;
  const [readBefore, writtenBefore] = [socket.bytesRead, socket.bytesWritten];
  const declared = message.headers['content-length'];
  const operation = tracer.enter('s3', Number(declared ?? 0));
  response.once('close', () => {
    // A body in chunks declares no length: then what the connection brought, framing included.
    const bytesIn = declared === undefined ? socket.bytesRead - readBefore : operation.bytesIn;
    const path = request.resource.slice(1).replace(/[\s%]/g, encodeURIComponent);
    const name = `s3 ${request.operationName || message.method} ${path}`;
    tracer?.finish({ ...operation, bytesIn }, socket.bytesWritten - writtenBefore, response.statusCode, name);
  });
}
