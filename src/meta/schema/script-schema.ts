/**
 * What a script takes and answers, declared once (schema/*-schemas.ts). From a declaration are made
 *
 *     encode     request with named fields -> ARGV            engine.ts sends it
 *     prologue   ARGV -> `local arg = { parent = ARGV[4], ... }`   script-library.ts puts it before the script
 *     decode     reply -> object with named fields            its number of elements is checked each time
 *
 * and, by inference, the TypeScript types of request and reply. A field `newParent` is `arg.new_parent` in Lua; only
 * what the script names is in the prologue. Values that have no fixed place (lists) come behind all others, in the order
 * of their fields: `arg.inline_at` is then the index of the first in ARGV.
 */
import { BrokenAssumptionError } from '../../base/errors.ts';
import type { Argument, Reply } from '../redis/connection.ts';

/**
 * What a script answered: element 0 is its status, 'OK' or an errno; of a mutation that succeeded it is the server's time
 * in microseconds.
 */
export type ScriptReply = Reply[];

/**
 * read: changes nothing. mutation: of a session, exactly once (lib/mutate.lua). bare: outside of sessions.
 */
export type ScriptKind = 'read' | 'mutation' | 'bare';

/** How a field of a request travels. */
export interface ArgumentType<T> {
  /** How many arguments of fixed place it takes. */
  readonly count: number;
  /** Appends just so many. @throws FsError for a value that the operation `op` cannot take. */
  readonly encode: (value: T, out: Argument[], op: string) => void;
  /** Appends what comes behind all arguments of fixed place. */
  readonly encodeTail?: (value: T, out: Argument[], op: string) => void;
  /** Fields of `arg` and the Lua that reads them; `at` is the index of the first argument in ARGV. */
  readonly lua: (name: string, at: number) => Record<string, string>;
  /** The same for the tail, which begins at the index `tail` (an expression), and where the next tail begins: '' when unknown. */
  readonly luaTail?: (name: string, tail: string, at: number) => { fields: Record<string, string>; next: string };
}

/** A field that a request may leave out. */
export interface OptionalArgument<T> extends ArgumentType<T | undefined> {
  readonly optional: true;
}

/** biome-ignore lint/suspicious/noExplicitAny: the value's type is known to the field's own type alone. */
export type ArgumentTypes = Record<string, ArgumentType<any>>;

type ValueOf<A> =
  A extends OptionalArgument<infer T> ? Exclude<T, undefined> : A extends ArgumentType<infer T> ? T : never;
type Flat<T> = { [K in keyof T]: T[K] };

/** The request that fields of these types make. */
export type RequestOf<A> = Flat<
  { [K in keyof A as A[K] extends { optional: true } ? never : K]: ValueOf<A[K]> } & {
    [K in keyof A as A[K] extends { optional: true } ? K : never]?: ValueOf<A[K]>;
  }
>;

/** How a reply is read. */
export interface ReplyDecoder<Request, T> {
  /** Fewest and most elements behind the status. */
  readonly least: number;
  readonly most: number;
  /** @param reply all of it; element 0 is the status. */
  readonly decode: (reply: ScriptReply, request: Request) => T;
}

/** What the loader needs to know of a script. */
export interface Schema {
  readonly name: string;
  readonly kind: ScriptKind;
  readonly args: ArgumentTypes;
}

export interface ScriptSchema<Request, Response> extends Schema {
  /** Appends the script's own arguments. @throws FsError for values it cannot take. */
  readonly encode: (request: Request, out: Argument[]) => void;
  /** @throws BrokenAssumptionError when the script answers another number of elements than is declared. */
  readonly decode: (reply: ScriptReply, request: Request) => Response;
}

export type RequestTo<S> = S extends ScriptSchema<infer Request, unknown> ? Request : never;
export type ResponseOf<S> = S extends ScriptSchema<never, infer Response> ? Response : never;

/** Declares a script that changes nothing. */
export function read<A extends ArgumentTypes, T>(name: string, args: A, reply: ReplyDecoder<RequestOf<A>, T>) {
  return script('read', name, args, reply);
}

/** Declares a script that changes something on behalf of a session. */
export function mutation<A extends ArgumentTypes, T>(name: string, args: A, reply: ReplyDecoder<RequestOf<A>, T>) {
  return script('mutation', name, args, reply);
}

/** Declares a script that runs outside of sessions. */
export function bare<A extends ArgumentTypes, T>(name: string, args: A, reply: ReplyDecoder<RequestOf<A>, T>) {
  return script('bare', name, args, reply);
}

function script<A extends ArgumentTypes, T>(
  kind: ScriptKind,
  name: string,
  args: A,
  reply: ReplyDecoder<RequestOf<A>, T>,
): ScriptSchema<RequestOf<A>, T> {
  const { least, most, decode } = reply;
  return {
    name,
    kind,
    args,
    encode: encoderOf(name, args) as (request: RequestOf<A>, out: Argument[]) => void,
    decode: (elements, request) => {
      const count = elements.length - 1;
      if (count < least || count > most) {
        throw new BrokenAssumptionError(`${name} answered ${count} elements, its schema says ${least} to ${most}`);
      }
      return decode(elements, request);
    },
  };
}

function encoderOf(name: string, args: ArgumentTypes): (request: Record<string, unknown>, out: Argument[]) => void {
  const fields = Object.keys(args);
  const encoders = Object.values(args).map(({ encode }) => encode);
  const tails = Object.entries(args).flatMap(([field, { encodeTail }]) =>
    encodeTail === undefined ? [] : [{ field, encodeTail }],
  );
  const count = fields.length;
  return (request, out) => {
    for (let i = 0; i < count; i++) encoders[i]!(request[fields[i]!], out, name);
    for (const { field, encodeTail } of tails) encodeTail(request[field], out, name);
  };
}

/** Arguments of every script of a kind, before its own. */
const BEFORE: Record<ScriptKind, number> = { read: 0, mutation: 3, bare: 0 };

/**
 * The Lua that names a script's arguments: of those that `text`, the script, uses; '' when there are none.
 * @throws Error when the script uses a name that the schema does not have.
 */
export function prologueOf(schema: Schema, text: string): string {
  const { fixed, all } = luaFields(schema);
  const used = new Set([...text.matchAll(/\barg\.(\w+)/g)].map((match) => match[1]!));
  const unknown = [...used].filter((field) => !all.has(field));
  if (unknown.length > 0) throw new Error(`${schema.name}.lua uses ${unknown.join(', ')}, which its schema lacks`);
  if (used.size === 0) return '';
  const parts = [...all].filter(([field]) => used.has(field)).map(([field, lua]) => `${field} = ${lua}`);
  return `-- ${fixed} arguments\nlocal arg = { ${parts.join(', ')} }`;
}

/**
 * Names a script may use behind `arg.`, with the Lua that reads each.
 * @throws Error when a list stands behind one whose end cannot be computed.
 */
export function luaFields(schema: Schema): { fixed: number; all: Map<string, string> } {
  const all = new Map<string, string>();
  let at = BEFORE[schema.kind] + 1;
  for (const [field, type] of Object.entries(schema.args)) {
    for (const [name, lua] of Object.entries(type.lua(snake(field), at))) all.set(name, lua);
    at += type.count;
  }
  const fixed = at - 1;
  let tail = String(at);
  at = BEFORE[schema.kind] + 1;
  for (const [field, { count, luaTail }] of Object.entries(schema.args)) {
    if (luaTail !== undefined) {
      if (tail === '') throw new Error(`${schema.name}: ${field} stands behind a list without a known end`);
      const { fields, next } = luaTail(snake(field), tail, at);
      for (const [name, lua] of Object.entries(fields)) all.set(name, lua);
      tail = next;
    }
    at += count;
  }
  return { fixed, all };
}

function snake(field: string): string {
  return field.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
