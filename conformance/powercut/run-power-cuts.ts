/**
 * `node dist/conformance/powercut/run-power-cuts.js [up|writeback|always|everysec|ext4] [CUTS] [SEED...]`, as root: power cuts on a disk of its own
 * for each seed. Prints each moment, what is wrong with its seed, and `N passed, N failed` (seeds) at the end.
 */
import { cutRounds } from './cut-rounds.ts';
import { LoopDisk } from './disk.ts';
import { type SystemKind, systemOn } from './systems.ts';

const [kind = 'up', cuts = '25', ...seeds] = process.argv.slice(2) as [SystemKind?, string?, ...string[]];
let [passed, failed] = [0, 0];
for (const seed of seeds.length === 0 ? ['1'] : seeds) {
  const disk = await LoopDisk.make(2048);
  const system = systemOn(disk, kind);
  try {
    const figures = await cutRounds(disk, system, {
      seed: Number(seed),
      cuts: Number(cuts),
      // A Redis of one's own is set up before anybody relies on it.
      earlyCuts: kind === 'up' || kind === 'writeback' ? 5 : 0,
      say: (line) => process.stdout.write(`${kind} ${seed}: ${line}\n`),
    });
    const { wrong, ...sums } = figures;
    process.stdout.write(`${kind} ${seed}: ${JSON.stringify(sums)}\n`);
    for (const line of wrong) process.stdout.write(`${kind} ${seed}: WRONG: ${line}\n`);
    if (wrong.length === 0) passed += 1;
    else failed += 1;
  } catch (error) {
    failed += 1;
    process.stdout.write(`${kind} ${seed}: WRONG: ${(error as Error).stack}\n`);
  } finally {
    await system.kill();
    await disk.end();
  }
}
process.stdout.write(`${passed} passed, ${failed} failed\n`);
process.exitCode = failed === 0 ? 0 : 1;
