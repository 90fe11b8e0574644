import { Presets, SingleBar } from 'cli-progress';

export interface Progress {
  /** @param fraction 0..1 of the work done. */
  update(fraction: number): void;
  /** Takes the bar off the terminal. May be called again. */
  stop(): void;
}

/** Shows a bar for long work when stderr is a terminal; elsewhere it does nothing, so that logs stay lines. */
export function startProgress(label: string): Progress {
  if (process.stderr.isTTY !== true) return { update() {}, stop() {} };
  const bar = new SingleBar(
    {
      format: `${label} {bar} {percentage}%`,
      stream: process.stderr,
      clearOnComplete: true,
      hideCursor: true,
      // A signal must reach the command, not end the process here.
      gracefulExit: false,
    },
    Presets.shades_classic,
  );
  bar.start(1, 0);
  return {
    update: (fraction) => bar.update(Math.min(1, Math.max(0, fraction))),
    stop: () => bar.stop(),
  };
}
