import type { S3Credentials } from './s3-signer.ts';
import { StoreError } from './store-error.ts';

/** Credentials that expire are fetched again this long before. */
const REFRESH_BEFORE_MS = 5 * 60 * 1000;
/** After a failed refresh the old credentials serve on, and the next try waits so long. */
const REFRESH_PAUSE_MS = 10_000;

export type CredentialSource = () => Promise<S3Credentials & { expiration?: Date | undefined }>;

/**
 * Credentials from a source, kept until shortly before they expire. get() answers a plain value while they are fresh.
 */
export class CachedCredentials {
  readonly #source: CredentialSource;
  #current: S3Credentials | undefined;
  #refreshAtMs = 0;
  #expiresMs = Number.POSITIVE_INFINITY;
  #refreshing: Promise<S3Credentials> | undefined;

  constructor(source: CredentialSource) {
    this.#source = source;
  }

  /** @throws (rejects) StoreError when there are none. */
  get(): S3Credentials | Promise<S3Credentials> {
    const nowMs = Date.now();
    if (this.#current !== undefined && nowMs < this.#refreshAtMs) return this.#current;
    this.#refreshing ??= this.#refresh(nowMs).finally(() => {
      this.#refreshing = undefined;
    });
    return this.#refreshing;
  }

  /** The store called them expired: fetch new ones before the next request. */
  expire(): void {
    this.#refreshAtMs = 0;
    this.#expiresMs = 0;
  }

  async #refresh(nowMs: number): Promise<S3Credentials> {
    try {
      const fresh = await this.#source();
      this.#current = fresh;
      this.#expiresMs = fresh.expiration?.getTime() ?? Number.POSITIVE_INFINITY;
      this.#refreshAtMs = Math.max(this.#expiresMs - REFRESH_BEFORE_MS, nowMs + REFRESH_PAUSE_MS);
      return fresh;
    } catch (error) {
      if (this.#current !== undefined && nowMs < this.#expiresMs) {
        this.#refreshAtMs = nowMs + REFRESH_PAUSE_MS;
        return this.#current;
      }
      throw new StoreError(
        'no credentials for the object store: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE',
        { retryable: this.#current !== undefined, cause: error },
      );
    }
  }
}

/** The AWS SDK's chain: environment, shared files and SSO, web identity, container and instance metadata. */
export function standardCredentials(): CredentialSource {
  let chain: CredentialSource | undefined;
  return async () => {
    if (chain === undefined) {
      // Loaded only when an S3 store is opened: it costs 100 ms.
      const { fromNodeProviderChain } = await import('@aws-sdk/credential-providers');
      chain = fromNodeProviderChain({ maxRetries: 2, timeout: 2_000 });
    }
    return chain();
  };
}
