/** The repository's own files, for the tests that read them. */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The repository's root: the compiled tests lie two levels below their build directory. */
export const ROOT = join(dirname(fileURLToPath(import.meta.url)), '..', '..', '..');

export interface SourceFile {
  /** Relative to the root, with slashes. */
  path: string;
  text: string;
}

/** Files below the directories whose names end so. Missing directories are empty. */
export function filesBelow(directories: readonly string[], ending: RegExp): SourceFile[] {
  return directories
    .flatMap((directory) => walk(join(ROOT, directory)))
    .filter((path) => ending.test(path))
    .sort()
    .map((path) => ({ path: relative(ROOT, path), text: readFileSync(path, 'utf8') }));
}

/** Files of the root itself, not of its directories, whose names end so. */
export function filesAtTop(ending: RegExp): SourceFile[] {
  return readdirSync(ROOT, { withFileTypes: true })
    .filter((entry) => entry.isFile() && ending.test(entry.name))
    .map(({ name }) => ({ path: name, text: readFileSync(join(ROOT, name), 'utf8') }))
    .sort((a, b) => (a.path < b.path ? -1 : 1));
}

/** Modules a TypeScript file names: static, dynamic and re-exporting imports. */
export function importsOf(text: string): string[] {
  const code = text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/^\s*\/\/.*$/gm, '');
  const forms = [
    /(?:^|\n)\s*(?:import|export)\b[^'";]*?\bfrom\s*'([^']+)'/g,
    /\bimport\s*\(\s*'([^']+)'/g,
    /\bimport\s+'([^']+)'/g,
  ];
  return forms.flatMap((form) => [...code.matchAll(form)].map((match) => match[1]!));
}

function walk(directory: string): string[] {
  let entries: import('node:fs').Dirent[];
  try {
    entries = readdirSync(directory, { withFileTypes: true });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
  return entries.flatMap((entry) => {
    const path = join(directory, entry.name);
    if (entry.name === 'node_modules') return [];
    return entry.isDirectory() ? walk(path) : [path];
  });
}
