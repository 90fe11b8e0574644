/**
 * `node mount-writer.js DIRECTORY LOG SEED LAZY_SHARE`: does a workload in a directory until something fails. LOG, on another disk, has a
 * byte `b` for each operation that was begun and `a` for each that was waited for: with everything before it, it must survive.
 */
import {
  closeSync,
  fsyncSync,
  ftruncateSync,
  linkSync,
  mkdirSync,
  openSync,
  renameSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { type AnyOperation, bytesOf, Workload } from './workload.ts';

const [directory, logPath, seed, lazyShare] = process.argv.slice(2) as [string, string, string, string];
const log = openSync(logPath, 'a');
const workload = new Workload({ kind: 'mount', seed: Number(seed), lazyShare: Number(lazyShare) });

mkdirSync(directory, { recursive: true });
syncPath(dirname(directory));
for (;;) {
  const operation = workload.next();
  writeSync(log, 'b');
  run(operation);
  // 'A': waited for; 'a': only done.
  writeSync(log, operation.lazy ? 'a' : 'A');
  workload.apply(operation);
}

function run(operation: AnyOperation): void {
  const path = join(directory, operation.name);
  switch (operation.kind) {
    case 'create':
      write(path, 'wx', bytesOf(operation.seed, operation.length), undefined, operation.lazy);
      return;
    case 'overwrite':
      write(path, 'w', bytesOf(operation.seed, operation.length), undefined, operation.lazy);
      return;
    case 'append':
      write(path, 'a', bytesOf(operation.seed, operation.length), undefined, operation.lazy);
      return;
    case 'patch':
      write(path, 'r+', bytesOf(operation.seed, operation.length), operation.offset, operation.lazy);
      return;
    case 'truncate': {
      const fd = openSync(path, 'r+');
      ftruncateSync(fd, operation.length);
      if (!operation.lazy) fsyncSync(fd);
      closeSync(fd);
      return;
    }
    case 'unlink':
      unlinkSync(path);
      break;
    case 'rename':
      renameSync(path, join(directory, operation.to));
      break;
    case 'link':
      linkSync(path, join(directory, operation.to));
      break;
    default:
      throw new Error(`${operation.kind} is nothing for a mount`);
  }
  if (!operation.lazy) syncPath(directory);
}

function write(path: string, flags: string, bytes: Buffer, offset: number | undefined, lazy: boolean): void {
  const fd = openSync(path, flags);
  for (let done = 0; done < bytes.length; ) {
    done += writeSync(fd, bytes, done, bytes.length - done, offset === undefined ? null : offset + done);
  }
  if (!lazy) fsyncSync(fd);
  closeSync(fd);
  if (!lazy) syncPath(directory);
}

function syncPath(path: string): void {
  const fd = openSync(path, 'r');
  fsyncSync(fd);
  closeSync(fd);
}
