import { readFileSync } from 'node:fs';
import { defineCommand } from './command-spec.ts';

/** The version in package.json, found from the compiled file's place (dist/src/cli/commands) or the source's. */
export function readVersion(): string {
  for (const up of ['../../../../package.json', '../../../package.json']) {
    try {
      const parsed = JSON.parse(readFileSync(new URL(up, import.meta.url), 'utf8')) as {
        name?: string;
        version?: string;
      };
      if (parsed.name === 'janusfs' && parsed.version !== undefined) return parsed.version;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
  }
  return 'unknown';
}

export const versionCommand = defineCommand({
  name: 'version',
  positional: '',
  summary: 'print the versions of janusfs and Node.js',
  examples: ['janusfs version'],
  settings: [],
  async run() {
    process.stdout.write(
      `janusfs ${readVersion()} (Node.js ${process.versions.node}, ${process.platform} ${process.arch})\n`,
    );
  },
});
