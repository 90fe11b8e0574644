import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  byteStringOf,
  bytesOf,
  hexByte,
  lowerAscii,
  trimOws,
  upperAscii,
  utf8ByteString,
  utf8Text,
} from '../../src/base/byte-string.ts';

const ALL = byteStringOf(Buffer.from(Array.from({ length: 256 }, (_, byte) => byte)));

describe('byte strings', () => {
  it('hold every byte', () => {
    assert.equal(ALL.length, 256);
    assert.deepEqual([...bytesOf(ALL)], [...Array(256).keys()]);
    assert.equal(byteStringOf(Buffer.from('abcdef'), 2, 4), 'cd');
    assert.equal(utf8ByteString('à'), '\xc3\xa0');
    assert.equal(utf8Text('\xc3\xa0'), 'à');
  });

  it('have ASCII letters only', () => {
    for (const [fold, letters] of [
      [lowerAscii, /[A-Z]/],
      [upperAscii, /[a-z]/],
    ] as const) {
      const folded = fold(ALL);
      assert.equal(folded.length, 256);
      for (let byte = 0; byte < 256; byte++) {
        const one = ALL[byte]!;
        assert.equal(folded[byte] !== one, letters.test(one), hexByte(byte));
        assert.equal(fold(one), folded[byte]);
      }
    }
    assert.equal(lowerAscii('X-Amz-Date'), 'x-amz-date');
    assert.equal(upperAscii('crc64nvme'), 'CRC64NVME');
    assert.equal(upperAscii('stra\xdfe'), 'STRA\xdfE');
  });

  it('have two kinds of white space', () => {
    assert.equal(trimOws(' \t a \t b\t '), 'a \t b');
    for (const kept of ['\xa0', '\r', '\n', '\v', '\f', '\x85'])
      assert.equal(trimOws(`${kept}a${kept}`), `${kept}a${kept}`);
    assert.equal(trimOws(' \t'), '');
  });

  it('are shown in hexadecimal', () => {
    assert.equal(hexByte(0), '00');
    assert.equal(hexByte(0xaf), 'AF');
  });
});
