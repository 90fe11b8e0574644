import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { utf8ByteString } from '../../src/base/byte-string.ts';
import { isS3Error } from '../../src/s3api/protocol/s3-error.ts';
import { httpDate, xmlTime } from '../../src/s3api/protocol/times.ts';
import {
  child,
  childrenOf,
  childText,
  element,
  escapeXml,
  parseXml,
  wrap,
  xmlDocument,
} from '../../src/s3api/protocol/xml.ts';

const malformed = (text: string | Buffer): void => {
  assert.throws(
    () => parseXml(Buffer.from(text), 'Root'),
    (error) => isS3Error(error, 'MalformedXML'),
    String(text).slice(0, 80),
  );
};

describe('XML out', () => {
  it('S15: escapes markup, replaces what XML 1.0 cannot hold, keeps UTF-8', () => {
    assert.equal(escapeXml('plain key/with.dots'), 'plain key/with.dots');
    assert.equal(escapeXml('a<b>&"c"'), 'a&lt;b&gt;&amp;&quot;c&quot;');
    assert.equal(escapeXml('\x01\t\n\r\x1f'), utf8ByteString('\ufffd&#x9;&#xA;&#xD;\ufffd'));
    assert.equal(escapeXml(utf8ByteString('é 漢 😀')), utf8ByteString('é 漢 😀'));
    assert.equal(escapeXml(utf8ByteString('\ufffe\uffff')), utf8ByteString('\ufffd\ufffd'));
  });

  it('replaces what is no UTF-8, so that the document stays one', () => {
    assert.equal(escapeXml('a\xff<'), utf8ByteString('a\ufffd&lt;'));
  });

  it('writes times with milliseconds', () => {
    assert.equal(xmlTime(1_763_800_000, 999_999_999), '2025-11-22T08:26:40.999Z');
    assert.equal(xmlTime(1_763_800_000, 0), '2025-11-22T08:26:40.000Z');
  });

  it('writes some time for whatever a file claims', () => {
    assert.equal(xmlTime(9_999_999_999_999, 5e8), '9999-12-31T23:59:59.000Z');
    assert.equal(xmlTime(-9_999_999_999_999, 5e8), '1970-01-01T00:00:00.000Z');
    assert.equal(httpDate(9_999_999_999_999), 'Fri, 31 Dec 9999 23:59:59 GMT');
    assert.equal(httpDate(-1), 'Thu, 01 Jan 1970 00:00:00 GMT');
  });

  it('is read back as it was, whatever the key', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        const key = utf8ByteString(text.replace(/[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]/g, ''));
        const document = xmlDocument('Root', wrap('Item', element('Key', key)));
        const root = parseXml(document, 'Root');
        assert.equal(childText(child(root, 'Item')!, 'Key'), key);
      }),
    );
  });
});

describe('XML in', () => {
  it('takes any namespace or none, BOM, CRLF, comments, CDATA, attributes and references', () => {
    const text = `\ufeff<?xml version="1.0"?>\r\n<s3:Root xmlns:s3="http://x/" a="1&amp;2">\r\n<!-- no -->
      <Key>007</Key><Key> </Key><Key>1e3</Key><Key><![CDATA[a&amp;b]]></Key><Key>&#x9;&#13;&quot;&#128512;</Key><Key/></s3:Root>`;
    const root = parseXml(Buffer.from(text), 'Root');
    assert.equal(root.attributes.get('a'), '1&2');
    const keys = childrenOf(root, 'Key').map((key) => key.text);
    assert.deepEqual(keys, ['007', ' ', '1e3', 'a&amp;b', `\t\r"${utf8ByteString('😀')}`, '']);
  });

  it('takes elements and attributes with names of JavaScript for unknown ones, or refuses them', () => {
    for (const name of Object.getOwnPropertyNames(Object.prototype)) {
      for (const inner of [`<${name}>x</${name}>`, `<a ${name}="b"/>`]) {
        const body = Buffer.from(`<Root>${inner}<Key>k</Key></Root>`);
        try {
          assert.deepEqual(
            childrenOf(parseXml(body, 'Root'), 'Key').map((key) => key.text),
            ['k'],
            name,
          );
        } catch (error) {
          // The parser refuses the few that could harm it.
          assert.ok(isS3Error(error, 'MalformedXML'), name);
        }
      }
    }
  });

  it('reads line ends as LF', () => {
    assert.equal(parseXml(Buffer.from('<Root>a\r\nb\rc</Root>'), 'Root').text, 'a\nb\nc');
  });

  it('refuses what is not well-formed, another root, DTDs, unknown entities, too much', () => {
    for (const text of [
      '',
      ' ',
      'text',
      '<Root>',
      '<Root></Other>',
      '<Other/>',
      '<Root/><Root/>',
      '<Root>&nbsp;</Root>',
    ])
      malformed(text);
    malformed('<!DOCTYPE Root [<!ENTITY x "y">]><Root>&x;</Root>');
    for (const name of Object.getOwnPropertyNames(Object.prototype)) malformed(`<Root>&${name};</Root>`);
    malformed('<Root>&#0;</Root>');
    malformed('<Root>&#xD800;</Root>');
    malformed('<Root>a & b</Root>');
    malformed(Buffer.from([0x3c, 0x52, 0x3e, 0xff, 0x3c, 0x2f, 0x52, 0x3e]));
    for (const raw of ['\x01', '\x08', '\x0b', '\x0c', '\x1f', '\0', '\ufffe', '\uffff']) {
      malformed(`<Root>a${raw}</Root>`);
      malformed(`<Root><![CDATA[${raw}]]></Root>`);
      malformed(`<Root a="${raw}"/>`);
      malformed(`<Root><!-- ${raw} --></Root>`);
    }
    for (const code of ['1', '11', '31', '55296', '57343', '65534', '65535', '1114112', 'x', '']) {
      malformed(`<Root>&#${code};</Root>`);
    }
    malformed('<?xml version="1.0" encoding="ISO-8859-1"?><Root>é</Root>');
    malformed(`<Root>${'<a>'.repeat(40)}${'</a>'.repeat(40)}</Root>`);
    malformed(`<Root>${'<a/>'.repeat(60_001)}</Root>`);
  });
});
