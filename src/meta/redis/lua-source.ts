/**
 * What a Lua file of scripts/ consists of, as far as linking needs to know (link-script.ts).
 *
 *     -- comment               left out of what is executed
 *     --@needs core entries    libraries whose names it uses
 *     local entries = {}       a library's table; a library without one (core) gives its locals to everybody
 *     local LIMIT = 5          a segment: kept when a kept segment names it
 *     function entries.f() ... end      likewise; `local function` is the library's own
 *     anything else            kept when anything of the library is
 *
 * Segments begin in the first column and end there with `end`, or are one line.
 */

export interface Name {
  head: string;
  field: string | undefined;
}

export interface Segment {
  text: string;
  /** Fields of the library's table that it sets; locals that it declares. */
  fields: string[];
  locals: string[];
  /** Statements that do something, rather than define what others name. */
  acts: boolean;
  names: Name[];
}

export interface LuaFile {
  readonly name: string;
  readonly needs: readonly string[];
  /** Whether it has a table of its own name. */
  readonly table: boolean;
  readonly segments: readonly Segment[];
  /** Segments by the fields and locals they define. */
  readonly fields: ReadonlyMap<string, readonly Segment[]>;
  readonly locals: ReadonlyMap<string, Segment>;
  readonly text: string;
}

const NEEDS = /^--@needs ([a-z ]+)$/m;
const STRING_OR_COMMENT = /'(?:[^'\\\n]|\\.)*'|--.*$/gm;
const NAME = /(?<![\w.:])([A-Za-z_]\w*)(?:\.(\w+))?/g;
const CAPITALS = /'(?:[^'\\\n]|\\.)*'|--.*$|(?<![\w.])[A-Z][A-Z0-9_]{2,}\b/gm;
const GIVEN_BY_REDIS: ReadonlySet<string> = new Set(['KEYS', 'ARGV']);

/** Takes a library apart. */
export function parseLibrary(name: string, text: string): LuaFile {
  const tableLine = `local ${name} = {}`;
  const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('--'));
  const table = lines.includes(tableLine);
  const segments: Segment[] = [];
  for (let from = 0; from < lines.length; ) {
    let to = from + 1;
    while (to < lines.length && /^(\s|end\b)/.test(lines[to]!)) to += 1;
    const part = lines.slice(from, to).join('\n');
    if (part !== tableLine) segments.push(segmentOf(name, part));
    from = to;
  }
  return luaFile(name, table, segments, text);
}

/** A script is one segment: all of it is executed. */
export function parseScript(name: string, text: string): LuaFile {
  const code = text.replace(/^--.*\n/gm, '');
  return luaFile(name, false, [segmentOf('', code)], text);
}

/** Names that code uses, outside of strings and comments; each once. */
export function namesIn(code: string): Name[] {
  const names = new Map<string, Name>();
  for (const [name, head, field] of withoutText(code).matchAll(NAME)) names.set(name, { head: head!, field });
  return [...names.values()];
}

export function withoutText(code: string): string {
  return code.replace(STRING_OR_COMMENT, "''");
}

/** Puts values in the place of names in capitals. @throws Error for a name that is neither a constant nor declared here. */
export function withConstants(name: string, code: string, constants: ReadonlyMap<string, string>): string {
  return code.replace(CAPITALS, (token) => {
    if (!/^[A-Z]/.test(token) || GIVEN_BY_REDIS.has(token)) return token;
    const value = constants.get(token);
    if (value !== undefined) return value;
    if (new RegExp(`^\\s*local (?:[\\w, ]+, )?${token}\\b`, 'm').test(code)) return token;
    throw new Error(`${name}: ${token} is no constant that schema/lua-constants.ts declares`);
  });
}

function luaFile(name: string, table: boolean, segments: Segment[], text: string): LuaFile {
  const fields = new Map<string, Segment[]>();
  const locals = new Map<string, Segment>();
  for (const segment of segments) {
    for (const field of segment.fields) fields.set(field, [...(fields.get(field) ?? []), segment]);
    for (const local of segment.locals) locals.set(local, segment);
  }
  const needs = NEEDS.exec(text)?.[1]?.split(' ') ?? [];
  return { name, needs, table, segments, fields, locals, text };
}

function segmentOf(table: string, text: string): Segment {
  const first = text.split('\n', 1)[0]!;
  const names = namesIn(text);
  const ownFunction = /^local function (\w+)\(/.exec(first);
  if (ownFunction !== null) return { text, fields: [], locals: [ownFunction[1]!], acts: false, names };
  const locals = /^local ([\w, ]+) =/.exec(first);
  if (locals !== null) return { text, fields: [], locals: locals[1]!.split(', '), acts: false, names };
  const method = /^function (\w+)\.(\w+)\(/.exec(first);
  if (method !== null && method[1] === table) return { text, fields: [method[2]!], locals: [], acts: false, names };
  const assigned = /^([\w., ]+) = /.exec(first)?.[1]?.split(', ') ?? [];
  const fields = assigned.flatMap((target) => (target.startsWith(`${table}.`) ? [target.slice(table.length + 1)] : []));
  return { text, fields, locals: [], acts: true, names };
}
