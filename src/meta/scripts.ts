/**
 * The Lua scripts: `scripts/NAME.lua` beside this module (the build copies them). A line `--@include NAME` stands for
 * `scripts/lib/NAME.lua`; includes are resolved in order, once each, without nesting.
 */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

export interface Script {
  readonly name: string;
  readonly source: string;
  /** Lower-case hex SHA-1 of the source: what EVALSHA names. */
  readonly sha: string;
}

const INCLUDE = /^--@include ([a-z]+)$/gm;

/** All scripts, read and resolved once. */
export class ScriptLibrary {
  readonly #scripts = new Map<string, Script>();

  /** Reads every script. @throws Error when one includes what is not there: a broken installation. */
  constructor(directory: URL = new URL('./scripts/', import.meta.url)) {
    const lib = new Map<string, string>();
    for (const file of luaFiles(new URL('lib/', directory))) {
      lib.set(file, readFileSync(new URL(`lib/${file}.lua`, directory), 'utf8'));
    }
    for (const name of luaFiles(directory)) {
      const source = readFileSync(new URL(`${name}.lua`, directory), 'utf8').replace(INCLUDE, (_line, part: string) => {
        const text = lib.get(part);
        if (text === undefined) throw new Error(`script ${name}.lua includes ${part}, which is not in scripts/lib`);
        return text;
      });
      this.#scripts.set(name, { name, source, sha: createHash('sha1').update(source).digest('hex') });
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

function luaFiles(directory: URL): string[] {
  return readdirSync(fileURLToPath(directory))
    .filter((file) => file.endsWith('.lua'))
    .map((file) => file.slice(0, -'.lua'.length))
    .sort();
}
