/** One row of a comparison: figures per second of both systems, round by round. */
export interface Figures {
  name: string;
  unit: string;
  subject: number[];
  reference: number[];
}

function median(figures: readonly number[]): number {
  const sorted = [...figures].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)]!;
}

/** A table of medians, their ratio, and the smallest and largest ratio of any round. */
export function compare(rows: readonly Figures[]): string {
  const lines = rows.map(({ name, unit, subject, reference }) => {
    const ratios = subject.map((figure, i) => figure / reference[i]!);
    const ratio = (median(subject) / median(reference)).toFixed(2);
    const spread = `${Math.min(...ratios).toFixed(2)}..${Math.max(...ratios).toFixed(2)}`;
    return `${name.padEnd(30)}${unit.padEnd(12)}${median(subject).toFixed(0).padStart(10)}${median(reference).toFixed(0).padStart(12)}${ratio.padStart(9)}   ${spread}`;
  });
  return `${'step'.padEnd(30)}${'unit'.padEnd(12)}${'median'.padStart(10)}${'reference'.padStart(12)}${'ratio'.padStart(9)}   spread\n${lines.join('\n')}\n`;
}
