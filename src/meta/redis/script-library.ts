/**
 * The Lua scripts: `scripts/FOLDER/NAME.lua` (the build copies them), each linked with the libraries it needs
 * (`scripts/lib/**`), the arguments its schema declares and the constants both languages share.
 */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { basename, join, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { SCHEMAS } from '../schema/all-schemas.ts';
import { LUA_CONSTANTS } from '../schema/lua-constants.ts';
import { prologueOf, type Schema } from '../schema/script-schema.ts';
import type { Script } from './connection.ts';
import { linkScript } from './link-script.ts';
import { type LuaFile, parseLibrary, parseScript, withConstants } from './lua-source.ts';

const SCRIPTS = new URL('../scripts', import.meta.url);

const FLAGS_SINCE = 7;
const SHRINKS = /^--@shrinks$/m;
const ALLOW_OOM = '#!lua flags=allow-oom\n';

/** All scripts, read and linked once. */
export class ScriptLibrary {
  readonly #scripts = new Map<string, Script>();

  /**
   * Reads every script.
   * @param serverMajor of Redis: from 7 on a script that frees or hardly adds memory (`--@shrinks`) runs above maxmemory, too.
   * @throws Error when one needs what is not there, uses an argument its schema lacks, or has no schema: a broken
   * installation.
   */
  constructor(serverMajor: number, directory: URL = SCRIPTS, schemas: readonly Schema[] = SCHEMAS) {
    const { libraries, scripts } = readLuaFiles(directory);
    const byName = new Map(schemas.map((schema) => [schema.name, schema]));
    for (const script of scripts) {
      const schema = byName.get(script.name);
      if (schema === undefined) throw new Error(`script ${script.name}.lua has no schema`);
      const linked = linkScript(script, libraries, prologueOf(schema, script.text));
      const shrinks = serverMajor >= FLAGS_SINCE && SHRINKS.test(script.text);
      const source = (shrinks ? ALLOW_OOM : '') + withConstants(script.name, linked, LUA_CONSTANTS);
      this.#scripts.set(script.name, {
        name: script.name,
        source,
        sha: createHash('sha1').update(source).digest('hex'),
      });
    }
  }

  /** @throws Error when there is no such script: a mistake in the program. */
  get(name: string): Script {
    const script = this.#scripts.get(name);
    if (script === undefined) throw new Error(`no script ${name}.lua in the installation`);
    return script;
  }

  names(): string[] {
    return [...this.#scripts.keys()];
  }
}

/** Every Lua file, taken apart. */
export function readLuaFiles(directory: URL = SCRIPTS): { libraries: Map<string, LuaFile>; scripts: LuaFile[] } {
  const root = fileURLToPath(directory);
  const libraries = new Map<string, LuaFile>();
  const scripts: LuaFile[] = [];
  for (const path of readdirSync(root, { recursive: true, encoding: 'utf8' }).sort()) {
    if (!path.endsWith('.lua')) continue;
    const name = basename(path, '.lua');
    const text = readFileSync(join(root, path), 'utf8');
    if (path.startsWith(`lib${sep}`)) libraries.set(name, parseLibrary(name, text));
    else scripts.push(parseScript(name, text));
  }
  return { libraries, scripts };
}
