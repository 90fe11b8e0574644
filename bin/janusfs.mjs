#!/usr/bin/env node
import { existsSync } from 'node:fs';

const main = new URL('../dist/src/main.js', import.meta.url);
if (existsSync(main)) await import(main.href);
else {
  process.stderr.write('janusfs: not built yet; run `npm ci && npm run build` in its directory, or `npm start`\n');
  process.exitCode = 1;
}
