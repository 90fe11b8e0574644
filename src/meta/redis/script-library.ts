/**
 * The Lua scripts: `scripts/FOLDER/NAME.lua` (the build copies them). A line `--@include NAME` stands for
 * `scripts/lib/NAME.lua`; includes are resolved in order, once each, without nesting.
 */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
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
  constructor(directory: URL = new URL('../scripts', import.meta.url)) {
    const lib = new Map<string, string>();
    for (const { folder, name, text } of luaFiles(directory)) if (folder === 'lib') lib.set(name, text);
    for (const { folder, name, text } of luaFiles(directory)) {
      if (folder === 'lib') continue;
      const source = text.replace(INCLUDE, (_line, part: string) => {
        const included = lib.get(part);
        if (included === undefined) throw new Error(`script ${name}.lua includes ${part}, which is not in scripts/lib`);
        return included;
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

function luaFiles(directory: URL): { folder: string; name: string; text: string }[] {
  const root = fileURLToPath(directory);
  return readdirSync(root, { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.lua'))
    .sort()
    .map((path) => ({
      folder: dirname(path),
      name: basename(path, '.lua'),
      text: readFileSync(join(root, path), 'utf8'),
    }));
}
