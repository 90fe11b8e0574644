/** `node dist/conformance/soak/run-soak.js [MINUTES] [FILES] [CONNECTIONS]`: 30 minutes, 10,000 open files and 500 connections. Needs `ulimit -n` above both. */
import { startUp } from '../cross-frontend/running-up.ts';
import { growth, soak } from './soak.ts';

const [minutes = 30, files = 10_000, connections = 500] = process.argv.slice(2).map(Number);
const up = await startUp({ flags: ['--log-level', 'warn', '--cache-size', '64MiB', '--buffer-size', '64MiB'] });
try {
  const { samples, operations, failures } = await soak(up, { ms: minutes * 60_000, files, connections });
  for (const { atMs, rssMib, descriptors } of samples) {
    process.stdout.write(`${Math.round(atMs / 1000)} s  rss ${rssMib} MiB  ${descriptors} descriptors\n`);
  }
  const [rss, descriptors] = [
    growth(samples.map(({ rssMib }) => rssMib)),
    growth(samples.map((one) => one.descriptors)),
  ];
  for (const failure of failures) process.stdout.write(`FAILED: ${failure}\n`);
  process.stdout.write(
    `${operations} operations; rss grows by ${(rss * 100).toFixed(1)} %, descriptors by ${(descriptors * 100).toFixed(1)} %\n` +
      `${failures.length === 0 ? '1 passed, 0 failed' : '0 passed, 1 failed'}\n`,
  );
  process.exitCode = failures.length === 0 ? 0 : 1;
} finally {
  await up.end();
}
