/**
 * Puts a script together with what it uses of the libraries:
 *
 *     libraries, each after those it needs:  local entries = { find = false, typed = false }
 *                                            do ... functions that something names, and what those name ... end
 *     its arguments by name:                 local arg = { parent = ARGV[4], name = ARGV[5], ... }
 *     the script
 *
 * A script is compiled once, but each call executes its top level, and making a closure costs as much as a simple
 * command: what nobody names is left out, and tables are made in their final size.
 */
import { type LuaFile, type Name, namesIn, type Segment } from './lua-source.ts';

/** Code of a line `local arg = {...}`, or '' when the script has no arguments. */
export type Prologue = string;

interface Reached {
  library: LuaFile;
  segments: Set<Segment>;
}

/**
 * Links a script.
 * @throws Error when libraries need each other in a circle, are missing, or lack what is named; when a name is used
 * without a `--@needs` line for it.
 */
export function linkScript(script: LuaFile, libraries: ReadonlyMap<string, LuaFile>, prologue: Prologue): string {
  const prologueNames = namesIn(withoutKeys(prologue));
  const implied = prologueNames.map(({ head }) => head).filter((head) => libraries.get(head)?.table === true);
  const order = inOrder(script.name, [...script.needs, ...implied], libraries);
  const reached = new Map(order.map((library) => [library.name, { library, segments: new Set<Segment>() }]));
  const user = { ...script, needs: [...script.needs, ...implied] };
  for (const segment of script.segments) follow(user, segment.names, reached, libraries);
  follow(user, prologueNames, reached, libraries);
  const parts = [...reached.values()].filter(({ segments }) => segments.size > 0).map(libraryText);
  return [...parts, prologue, ...script.segments.map(({ text }) => text)].filter((part) => part !== '').join('\n');
}

/**
 * Needs that nothing in the file names.
 *
 * @testing
 */
export function unusedNeeds(file: LuaFile, libraries: ReadonlyMap<string, LuaFile>, prologue: Prologue = ''): string[] {
  const names = [...file.segments.flatMap((segment) => segment.names), ...namesIn(withoutKeys(prologue))];
  const heads = new Set(names.map(({ head }) => head));
  return file.needs.filter((need) => {
    const library = libraries.get(need)!;
    return library.table ? !heads.has(need) : ![...library.locals.keys()].some((local) => heads.has(local));
  });
}

/** The libraries needed, each behind those it needs itself. */
function inOrder(script: string, needs: readonly string[], libraries: ReadonlyMap<string, LuaFile>): LuaFile[] {
  const order = new Set<LuaFile>();
  const visit = (name: string, path: readonly string[]): void => {
    if (path.includes(name)) throw new Error(`scripts/lib: a circle of needs: ${[...path, name].join(' -> ')}`);
    const library = libraries.get(name);
    if (library === undefined) throw new Error(`${path.at(-1)}.lua needs ${name}, which is not in scripts/lib`);
    if (order.has(library)) return;
    for (const need of library.needs) visit(need, [...path, name]);
    order.add(library);
  };
  for (const need of needs) visit(need, [script]);
  return [...order];
}

/** Marks what `names`, used in `user`, reach. */
function follow(
  user: LuaFile,
  names: readonly Name[],
  reached: ReadonlyMap<string, Reached>,
  libraries: ReadonlyMap<string, LuaFile>,
): void {
  const givers = [user.name, ...user.needs.filter((need) => libraries.get(need)?.table === false)];
  for (const { head, field } of names) {
    if (libraries.get(head)?.table === true) {
      if (field === undefined) throw new Error(`${user.name}.lua uses ${head} otherwise than by a field`);
      if (user.name !== head && !user.needs.includes(head))
        throw new Error(`${user.name}.lua uses ${head} without need`);
      const { library, segments } = reached.get(head)!;
      const found = library.fields.get(field);
      if (found === undefined) throw new Error(`${user.name}.lua uses ${head}.${field}, which lib/${head}.lua lacks`);
      for (const segment of found) keep(library, segment, segments, reached, libraries);
    } else {
      for (const giver of givers) {
        const at = reached.get(giver);
        const segment = at?.library.locals.get(head);
        if (segment !== undefined) keep(at!.library, segment, at!.segments, reached, libraries);
      }
    }
  }
}

function keep(
  library: LuaFile,
  segment: Segment,
  kept: Set<Segment>,
  reached: ReadonlyMap<string, Reached>,
  libraries: ReadonlyMap<string, LuaFile>,
): void {
  if (kept.has(segment)) return;
  kept.add(segment);
  follow(library, segment.names, reached, libraries);
  for (const other of library.segments) if (other.acts) keep(library, other, kept, reached, libraries);
}

function libraryText({ library, segments }: Reached): string {
  const kept = library.segments.filter((segment) => segments.has(segment));
  const body = kept.map(({ text }) => text).join('\n');
  if (!library.table) return body;
  const fields = [...new Set(kept.flatMap((segment) => segment.fields))].map((field) => `${field} = false`);
  return `local ${library.name} = { ${fields.join(', ')} }\ndo -- ${library.name}\n${body}\nend -- ${library.name}`;
}

/** A table without its keys, which may have the name of a library. */
function withoutKeys(prologue: Prologue): string {
  return prologue.replace(/\b\w+ = /g, '');
}
