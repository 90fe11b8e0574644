import type { Faults } from './faults.ts';

/** Counts the handles of files that were opened and not released. */
export function watchHandles(faults: Faults): { open: number } {
  const count = { open: 0 };
  const opened = <T>(reply: T): T => {
    count.open += 1;
    return reply;
  };
  faults.replace(
    'files',
    'create',
    (real) =>
      (...args) =>
        real(...args).then(opened),
  );
  faults.replace(
    'files',
    'tmpfile',
    (real) =>
      (...args) =>
        real(...args).then(opened),
  );
  faults.replace('files', 'open', (real) => (...args) => {
    const reply = real(...args);
    return reply instanceof Promise ? reply.then(opened) : opened(reply);
  });
  faults.replace('files', 'release', (real) => (...args) => {
    count.open -= 1;
    return real(...args);
  });
  return count;
}
