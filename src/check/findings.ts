/** What fsck finds. */
import type { Block } from '../chunk/block-name.ts';
import type { MendStep } from '../meta/meta.ts';

export type FindingKind =
  | 'missing-block'
  | 'damaged-block'
  | 'missing-inline'
  | 'orphan-block'
  | 'orphan-inline'
  | 'dangling-entry'
  | 'link-count'
  | 'unreachable-inode'
  | 'forgotten-inode'
  | 'leftover-key'
  | 'reference-count'
  | 'pack-count'
  | 'doomed-slice'
  | 'pack-queue'
  | 'chunk-index'
  | 'counter'
  | 'stale-session'
  | 'stale-hold'
  | 'upload';

export interface Finding {
  kind: FindingKind;
  /** One sentence: what is wrong with what. */
  what: string;
  /** Path below the root, where there is one. */
  path?: string;
  /** mended; left (nothing can be done, or not now: `why`); found (nobody asked for repair). */
  state: 'found' | 'mended' | 'left';
  why?: string;
}

/** What is wrong, and how it would be mended. */
export interface Suspicion {
  kind: FindingKind;
  what: string;
  /** Inode whose path tells people more. */
  ino?: number;
  /** Conditions that tell whether it is (still) so, then the writes that mend it; empty: only a person can. */
  mend?: readonly MendStep[];
  /** Mends it where steps are not enough. Answers whether it is mended. */
  mendBy?: () => Promise<boolean>;
  /** Why it cannot be mended, or not while the volume is written. */
  why?: string;
  /** Bytes that are nowhere any more: what can be given up. */
  lost?: LostBytes;
}

export interface LostBytes {
  ino: number;
  chunkIndex: number;
  block?: Block;
  inlineId?: number;
}
