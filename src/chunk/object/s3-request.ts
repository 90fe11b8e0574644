import type { Dispatcher, Pool } from 'undici';
import { StoreError } from './store-error.ts';

export interface S3Response {
  status: number;
  headers: Record<string, string | string[] | undefined>;
  body: Buffer;
}

/** A block, a listing page or an error document: nothing larger is ever asked for. */
const RESPONSE_BYTES_MAX = 64 * 1024 * 1024;

/**
 * Sends one request and collects the answer into one buffer (allocated once when the length is announced).
 * @throws StoreError (retryable) when the connection fails; the signal's reason when aborted.
 */
export function sendRequest(
  pool: Pool,
  options: Dispatcher.DispatchOptions,
  signal: AbortSignal | undefined,
  progress?: () => void,
): Promise<S3Response> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    pool.dispatch(options, new Collector(resolve, reject, signal, progress));
  });
}

class Collector implements Dispatcher.DispatchHandler {
  readonly #resolve: (response: S3Response) => void;
  readonly #reject: (error: unknown) => void;
  readonly #signal: AbortSignal | undefined;
  readonly #progress: (() => void) | undefined;
  #controller: Dispatcher.DispatchController | undefined;
  #status = 0;
  #headers: S3Response['headers'] = {};
  /** Announced length, -1 when unknown. */
  #expected = -1;
  #whole: Buffer | undefined;
  #chunks: Buffer[] = [];
  #received = 0;

  constructor(
    resolve: (response: S3Response) => void,
    reject: (error: unknown) => void,
    signal: AbortSignal | undefined,
    progress: (() => void) | undefined,
  ) {
    this.#resolve = resolve;
    this.#reject = reject;
    this.#signal = signal;
    this.#progress = progress;
    signal?.addEventListener('abort', this.#onAbort, { once: true });
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    if (this.#signal?.aborted) this.#onAbort();
  }

  onResponseStart(controller: Dispatcher.DispatchController, status: number, headers: S3Response['headers']): void {
    if (status < 200) return; // 100 Continue and its like.
    this.#status = status;
    this.#headers = headers;
    const announced = headers['content-length'];
    if (typeof announced === 'string') this.#expected = Number(announced);
    if (this.#expected > RESPONSE_BYTES_MAX) controller.abort(new Error(`an answer of ${announced} bytes is too long`));
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    this.#progress?.();
    if (this.#received + chunk.length > RESPONSE_BYTES_MAX) {
      controller.abort(new Error('the answer is too long'));
      return;
    }
    if (this.#expected > chunk.length) {
      this.#whole ??= Buffer.allocUnsafe(this.#expected);
      chunk.copy(this.#whole, this.#received);
    } else this.#chunks.push(chunk);
    this.#received += chunk.length;
  }

  onResponseEnd(): void {
    this.#detach();
    const body = this.#whole?.subarray(0, this.#received) ?? Buffer.concat(this.#chunks);
    this.#resolve({ status: this.#status, headers: this.#headers, body });
  }

  onResponseError(_controller: Dispatcher.DispatchController | null, error: Error): void {
    this.#detach();
    if (this.#signal?.aborted) this.#reject(this.#signal.reason);
    else this.#reject(new StoreError(`no answer: ${error.message}`, { retryable: true, cause: error }));
  }

  readonly #onAbort = (): void => {
    // A request that waits for a connection has no controller yet; onRequestStart looks again.
    this.#controller?.abort(new Error('aborted'));
  };

  #detach(): void {
    this.#signal?.removeEventListener('abort', this.#onAbort);
  }
}
