import { type ByteString, lowerAscii } from '../../base/byte-string.ts';

/** A request's headers by lower-case name. */
export type RequestHeaders = Readonly<Record<string, ByteString | undefined>>;

/**
 * Lower-case names; repeated headers are joined with ',' as SigV4 signs them. The object inherits nothing: clients name
 * the headers that they sign.
 * @param raw names and values by turns, as node:http gives them
 */
export function joinedHeaders(raw: readonly ByteString[]): RequestHeaders {
  const headers: Record<string, ByteString | undefined> = Object.create(null);
  for (let i = 0; i < raw.length; i += 2) {
    const name = lowerAscii(raw[i]!);
    const before = headers[name];
    headers[name] = before === undefined ? raw[i + 1]! : `${before},${raw[i + 1]!}`;
  }
  return headers;
}
