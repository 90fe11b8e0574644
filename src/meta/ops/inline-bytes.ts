/** Inline bytes on their way to and from Redis: as they are, or sealed where the volume is encrypted. */
import { FsError } from '../../base/errors.ts';
import type { FileMap, InlineSeal, Piece } from '../../base/slices.ts';

const LOCKED: InlineSeal = {
  seal: () => {
    throw new FsError('EIO', 'write', 'the volume is encrypted, and its key was not given');
  },
  open: () => {
    throw new FsError('EIO', 'read', 'the volume is encrypted, and its key was not given');
  },
};

export class InlineBytes {
  readonly #seal: InlineSeal | undefined;

  /** @param seal undefined without a key: in an encrypted volume everything inline is then refused. */
  constructor(isEncrypted: boolean, seal: InlineSeal | undefined) {
    this.#seal = isEncrypted ? (seal ?? LOCKED) : undefined;
  }

  sealed(pieces: readonly Piece[]): Piece[] {
    const seal = this.#seal;
    if (seal === undefined) return pieces as Piece[];
    return pieces.map((piece) => ('inline' in piece ? { ...piece, sealed: seal.seal(piece.inline) } : piece));
  }

  open(bytes: Buffer): Buffer {
    return this.#seal === undefined ? bytes : this.#seal.open(bytes);
  }

  openMap<M extends FileMap | undefined>(map: M): M {
    if (this.#seal === undefined || map === undefined) return map;
    for (const [id, bytes] of map.inline) map.inline.set(id, this.#seal.open(bytes));
    return map;
  }
}
