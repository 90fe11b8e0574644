#!/usr/bin/env node
// CommonJS, because libuv reads the size of its thread pool when the pool is first used, and loading an ES module uses
// it. Sixteen block files are written and synced at the same time; the default of four would have them queue.
const { existsSync } = require('node:fs');
const { join } = require('node:path');

process.env.UV_THREADPOOL_SIZE ??= '16';
const main = join(__dirname, '..', 'dist', 'src', 'main.js');
if (existsSync(main)) import(main);
else {
  process.stderr.write('janusfs: not built yet; run `npm ci && npm run build` in its directory, or `npm start`\n');
  process.exitCode = 1;
}
