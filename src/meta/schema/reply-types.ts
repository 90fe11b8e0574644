/** How elements of replies are read. */
import type { Attr, ByteString } from '../../base/vocabulary.ts';
import { decodeAttr, decodeNumber } from '../codec/codec.ts';
import type { Reply } from '../redis/connection.ts';
import type { ReplyDecoder, ScriptReply } from './script-schema.ts';

/** A field of a reply. */
export interface ReplyType<T> {
  /** How many elements it takes. */
  readonly count: number;
  readonly decode: (reply: ScriptReply, at: number, request: Record<string, unknown>) => T;
}

/** biome-ignore lint/suspicious/noExplicitAny: the value's type is known to the field's own type alone. */
type ReplyTypes = Record<string, ReplyType<any>>;
type ResponseWith<F> = { -readonly [K in keyof F]: F[K] extends ReplyType<infer T> ? T : never };

/** An inode's number and its attributes. */
export const attr: ReplyType<Attr> = {
  count: 2,
  decode: (reply, at) => decodeAttr(decodeNumber(reply[at]), reply[at + 1] as Buffer),
};

/** The same, or '' and '' when there is none. */
export const attrOrNone: ReplyType<Attr | undefined> = {
  count: 2,
  decode: (reply, at, request) => ((reply[at] as Buffer).length === 0 ? undefined : attr.decode(reply, at, request)),
};

/** Attributes of the inode that a field of the request names. */
export function attrOf(field: string): ReplyType<Attr> {
  return { count: 1, decode: (reply, at, request) => decodeAttr(request[field] as number, reply[at] as Buffer) };
}

/** An inode number, a slice id or a count: decimal text or an integer. */
export const number: ReplyType<number> = { count: 1, decode: (reply, at) => decodeNumber(reply[at]) };

/** 1 or 0, as an integer or as text. */
export const flag: ReplyType<boolean> = { count: 1, decode: (reply, at) => isOne(reply[at]) };

export const bytes: ReplyType<Buffer> = { count: 1, decode: (reply, at) => reply[at] as Buffer };

export const byteString: ReplyType<ByteString> = {
  count: 1,
  decode: (reply, at) => (reply[at] as Buffer).toString('latin1'),
};

/** Nested lists and what else a script's own decoder reads. */
export function nested<T>(decode: (element: Reply) => T): ReplyType<T> {
  return { count: 1, decode: (reply, at) => decode(reply[at]!) };
}

/** A reply of these fields, in their order. */
export function fields<F extends ReplyTypes>(types: F): ReplyDecoder<unknown, ResponseWith<F>> {
  const names = Object.keys(types);
  const decoders = Object.values(types).map(({ decode }) => decode);
  let count = 0;
  const places = Object.values(types).map((type) => {
    count += type.count;
    return 1 + count - type.count;
  });
  const decode = (reply: ScriptReply, request: unknown): ResponseWith<F> => {
    const response: Record<string, unknown> = {};
    for (let i = 0; i < names.length; i++) {
      response[names[i]!] = decoders[i]!(reply, places[i]!, request as Record<string, unknown>);
    }
    return response as ResponseWith<F>;
  };
  return { least: count, most: count, decode };
}

/** Nothing but the status. */
export const nothing: ReplyDecoder<unknown, void> = { least: 0, most: 0, decode: () => {} };

/** A reply that is read by hand: of `least` to `most` elements behind the status. */
export function custom<Request, T>(
  least: number,
  most: number,
  decode: (reply: ScriptReply, request: Request) => T,
): ReplyDecoder<Request, T> {
  return { least, most, decode };
}

/** Any number of elements behind the first `least`. */
export const ANY = Number.POSITIVE_INFINITY;

export function isOne(element: Reply | undefined): boolean {
  return element === 1 || (element instanceof Buffer && element[0] === 0x31) /* '1' */;
}
