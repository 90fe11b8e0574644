import type { LookupFunction } from 'node:net';
import type { CredentialSource } from './s3-credentials.ts';

/** What both halves of the driver, blocks (s3-store.ts) and control (s3-control.ts), are made from. */
export interface S3StoreOptions {
  bucket: string;
  /** Put before every key; '' or ending in '/'. */
  prefix: string;
  /** http(s)://host[:port] */
  endpoint: URL;
  region: string;
  style: 'path' | 'virtual';
  /** 'unsigned': the body is not hashed (TLS protects it); 'signed': SHA-256 of every body, checked by the server. */
  payload: 'unsigned' | 'signed';
  connections: number;
  credentials: CredentialSource;
  /** Name resolution in place of the system's. */
  lookup?: LookupFunction;
}

export const CONNECT_TIMEOUT_MS = 5_000;
/** How long a connection may be silent while an answer is due. */
export const ANSWER_TIMEOUT_MS = 60_000;
