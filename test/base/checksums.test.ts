import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import {
  CHECKSUM_ALGORITHMS,
  type CrcAlgorithm,
  CrcJoiner,
  createChecksum,
  wasmChecksum,
} from '../../src/base/checksums.ts';

const value = (algorithm: (typeof CHECKSUM_ALGORITHMS)[number], ...pieces: Buffer[]): string => {
  const sum = createChecksum(algorithm);
  for (const piece of pieces) sum.update(piece);
  return sum.digest().toString('hex');
};

describe('checksums', () => {
  it('have the check values of their catalogues', () => {
    const nine = Buffer.from('123456789');
    assert.equal(value('CRC32', nine), 'cbf43926');
    assert.equal(value('CRC32C', nine), 'e3069283');
    assert.equal(value('CRC64NVME', nine), 'ae8b14860a799888');
    assert.equal(value('SHA1', nine), 'f7c3bc1d808e04732adf679965ccc34ca7ae3441');
    assert.equal(value('CRC64NVME'), '0000000000000000');
    assert.equal(value('MD5', nine), '25f9e794323b453885f5181f1b624d0b');
    assert.match(value('SHA512', nine), /^d9e6762dd1c8eaf6d61b3c6192fc408d/);
    assert.equal(value('XXHASH64', nine), '8cb841db40e6ae83');
    assert.equal(value('XXHASH64'), 'ef46db3751d8e999');
    assert.equal(value('XXHASH3'), '2d06800538d394c2');
    assert.equal(value('XXHASH128'), '99aa06d3014798d86001c324468d497f');
  });

  it('are the same in pieces, also when several are in progress', () => {
    const whole = Buffer.from('a longer text in three pieces');
    for (const algorithm of CHECKSUM_ALGORITHMS) {
      const [one, two] = [createChecksum(algorithm), createChecksum(algorithm)];
      one.update(whole.subarray(0, 5));
      two.update(whole.subarray(0, 11));
      one.update(whole.subarray(5));
      two.update(whole.subarray(11));
      assert.equal(two.digest().toString('hex'), value(algorithm, whole), algorithm);
      assert.equal(one.digest().toString('hex'), value(algorithm, whole), algorithm);
    }
  });

  it('E5: CRC64NVME is the same from the addon and without it, at every length and cut', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 1000 }), fc.nat(1000), (bytes, at) => {
        const data = Buffer.from(bytes);
        const plain = wasmChecksum('CRC64NVME');
        plain.update(data);
        const cut = Math.min(at, data.length);
        assert.equal(value('CRC64NVME', data.subarray(0, cut), data.subarray(cut)), plain.digest().toString('hex'));
      }),
      { numRuns: 1000 },
    );
  });

  it('join: the CRC of the whole follows from those of the pieces', () => {
    const algorithms: CrcAlgorithm[] = ['CRC32', 'CRC32C', 'CRC64NVME'];
    const pieces = fc.array(fc.uint8Array({ maxLength: 300 }), { minLength: 1, maxLength: 6 });
    fc.assert(
      fc.property(fc.constantFrom(...algorithms), pieces, (algorithm, parts) => {
        const joiner = new CrcJoiner(algorithm);
        const buffers = parts.map((part) => Buffer.from(part));
        for (const part of buffers) joiner.append(Buffer.from(value(algorithm, part), 'hex'), part.length);
        assert.equal(joiner.digest().toString('hex'), value(algorithm, Buffer.concat(buffers)));
      }),
    );
  });
});
