import { constants } from 'node:fs';

/** Linux open(2) flags as the kernel sends them (asm-generic/fcntl.h) and what they ask for. */
export const O_ACCMODE = 0o3;
export const O_RDONLY = 0o0;
export const O_WRONLY = 0o1;
export const O_RDWR = 0o2;
/** @testing The kernel asks with CREATE instead. */
export const O_CREAT = 0o100;
export const O_EXCL = 0o200;
export const O_TRUNC = 0o1000;
export const O_APPEND = 0o2000;
/** Its bit differs from one processor to the other. 0 where there is none. */
export const O_DIRECT = constants.O_DIRECT ?? 0;
/** O_SYNC contains this bit. */
export const O_DSYNC = 0o10000;

export function canRead(flags: number): boolean {
  return (flags & O_ACCMODE) !== O_WRONLY;
}

export function canWrite(flags: number): boolean {
  return (flags & O_ACCMODE) !== O_RDONLY;
}
