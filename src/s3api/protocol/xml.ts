/**
 * XML in and out, on byte strings (latin1 text that holds UTF-8 bytes), so that keys cross without being decoded.
 *
 * Writing: characters that parsers change (CR, LF, TAB) become references. What XML 1.0 cannot hold in any spelling
 * (other control characters, U+FFFE, U+FFFF, bytes that are no UTF-8) becomes U+FFFD, so that every answer can be
 * parsed; a client that must see such keys lists with encoding-type=url. Reading: fast-xml-parser finds the structure;
 * references are decoded here, unknown ones refused, DTDs refused, and so is everything that is not XML 1.0.
 */

import { isUtf8 } from 'node:buffer';
import { XMLParser, XMLValidator } from 'fast-xml-parser';
import {
  type ByteString,
  byteStringOf,
  bytesOf,
  lowerAscii,
  upperAscii,
  utf8ByteString,
} from '../../base/byte-string.ts';

import { lookupTable, wordSet } from '../../base/lookup-table.ts';
import { S3Error } from './s3-error.ts';

export const S3_NAMESPACE = 'http://s3.amazonaws.com/doc/2006-03-01/';
const DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>\n';
const DEPTH_MAX = 16;
const ELEMENTS_MAX = 60_000;

/** Lower case. */
const UTF8_NAMES = wordSet(['utf-8', 'utf8']);

const PLAIN = /^[\x20-\x21\x23-\x25\x27-\x3b\x3d\x3f-\x7e]*$/;
const SPECIAL = /[&<>"\x00-\x1f\x7f]|\xef\xbf[\xbe\xbf]/g;
/** U+FFFD, which stands for what XML cannot hold. */
const REPLACEMENT = '\xef\xbf\xbd';

/** Characters that XML 1.0 forbids, raw: control characters but for tab, LF and CR, and U+FFFE and U+FFFF. */
const FORBIDDEN = /[\x00-\x08\x0b\x0c\x0e-\x1f]|\xef\xbf[\xbe\xbf]/;

/** Escapes bytes for element content and attribute values. */
export function escapeXml(text: ByteString): ByteString {
  if (PLAIN.test(text)) return text;
  return validUtf8(text).replace(SPECIAL, reference);
}

/** `<name>text</name>`, escaped. Numbers and booleans are written as JavaScript spells them. */
export function element(name: string, text: ByteString | number | boolean): ByteString {
  return `<${name}>${typeof text === 'string' ? escapeXml(text) : text}</${name}>`;
}

/** element(), or nothing when there is no value. */
export function optionalElement(name: string, text: ByteString | number | boolean | undefined): ByteString {
  return text === undefined ? '' : element(name, text);
}

/** `<name>inner</name>` around content that is XML already. */
export function wrap(name: string, inner: ByteString): ByteString {
  return `<${name}>${inner}</${name}>`;
}

/** A whole response document with S3's namespace. `inner` is XML already. */
export function xmlDocument(root: string, inner: ByteString): Buffer {
  return bytesOf(`${DECLARATION}<${root} xmlns="${S3_NAMESPACE}">${inner}</${root}>`);
}

/** A document without namespace (errors). */
export function plainXmlDocument(root: string, inner: ByteString): Buffer {
  return bytesOf(`${DECLARATION}<${root}>${inner}</${root}>`);
}

function validUtf8(text: ByteString): ByteString {
  const bytes = bytesOf(text);
  return isUtf8(bytes) ? text : utf8ByteString(bytes.toString('utf8'));
}

function reference(found: string): string {
  switch (found) {
    case '&':
      return '&amp;';
    case '<':
      return '&lt;';
    case '>':
      return '&gt;';
    case '"':
      return '&quot;';
    case '\t':
    case '\n':
    case '\r':
    case '\x7f':
      return `&#x${upperAscii(found.charCodeAt(0).toString(16))};`;
    default:
      return REPLACEMENT;
  }
}

/** An element of a request document. Prefixes are dropped from names; text is decoded bytes, spaces kept. */
export interface XmlNode {
  name: string;
  attributes: Map<string, ByteString>;
  /** Text and CDATA directly inside, joined. */
  text: ByteString;
  children: XmlNode[];
}

type Parsed = Record<string, unknown> & { ':@'?: Record<string, string> };

// Options are spelled out so that a release of the parser cannot change what a request means.
const parser = new XMLParser({
  preserveOrder: true,
  ignoreAttributes: false,
  attributeNamePrefix: '',
  removeNSPrefix: false,
  allowBooleanAttributes: false,
  parseTagValue: false,
  parseAttributeValue: false,
  trimValues: false,
  processEntities: false,
  htmlEntities: false,
  ignoreDeclaration: true,
  ignorePiTags: true,
  cdataPropName: '#cdata',
  textNodeName: '#text',
});

/**
 * Parses a request body.
 * @param rootName the root element it must have (any namespace or none)
 * @throws S3Error MalformedXML: not well-formed UTF-8 XML, another root, a DTD, too deep or too many elements.
 */
export function parseXml(body: Buffer, rootName: string): XmlNode {
  const bytes = body[0] === 0xef && body[1] === 0xbb && body[2] === 0xbf ? body.subarray(3) : body;
  if (bytes.length === 0 || !isUtf8(bytes)) throw new S3Error('MalformedXML');
  const text = byteStringOf(bytes);
  refuseOtherEncoding(text);
  if (text.includes('<!DOCTYPE') || text.includes('<!ENTITY') || FORBIDDEN.test(text)) {
    throw new S3Error('MalformedXML');
  }
  const roots = convert(parseOrdered(text), 1, { count: 0 });
  const root = roots.children[0];
  if (roots.children.length !== 1 || root?.name !== rootName || trimXmlSpace(roots.text) !== '') {
    throw new S3Error('MalformedXML');
  }
  return root;
}

/** A document that says it is in another encoding would be read as other keys than it means. */
function refuseOtherEncoding(text: string): void {
  const encoding = /^<\?xml[^>]*?[ \t\r\n]encoding[ \t\r\n]*=[ \t\r\n]*["']([^"'>]*)["']/.exec(text)?.[1];
  if (encoding === undefined || UTF8_NAMES.has(lowerAscii(encoding))) return;
  if (/[\x80-\xff]/.test(text)) throw new S3Error('MalformedXML');
}

/** The first child of that name. */
export function child(node: XmlNode, name: string): XmlNode | undefined {
  return node.children.find((one) => one.name === name);
}

/** All children of that name, in order. */
export function childrenOf(node: XmlNode, name: string): XmlNode[] {
  return node.children.filter((one) => one.name === name);
}

/** Text of the first child of that name without XML's white space around it: names and numbers, not keys. */
export function childToken(node: XmlNode, name: string): ByteString | undefined {
  const text = childText(node, name);
  return text === undefined ? undefined : trimXmlSpace(text);
}

/** Text of the first child of that name. */
export function childText(node: XmlNode, name: string): ByteString | undefined {
  return child(node, name)?.text;
}

/** XML 1.0 section 2.3; bytes above 0x7f are none, whatever trim() takes them for. */
function trimXmlSpace(text: string): string {
  return text.replace(/^[ \t\r\n]+|[ \t\r\n]+$/g, '');
}

function parseOrdered(text: string): Parsed[] {
  try {
    const valid = XMLValidator.validate(text, { allowBooleanAttributes: false });
    if (valid !== true) throw new S3Error('MalformedXML');
    return parser.parse(text) as Parsed[];
  } catch (error) {
    throw error instanceof S3Error ? error : new S3Error('MalformedXML', { cause: error });
  }
}

function convert(items: Parsed[], depth: number, budget: { count: number }): XmlNode {
  const node: XmlNode = { name: '', attributes: new Map(), text: '', children: [] };
  if (depth > DEPTH_MAX) throw new S3Error('MalformedXML');
  for (const item of items) {
    for (const key of Object.keys(item)) {
      if (key === ':@') continue;
      if (key === '#text') node.text += decodeReferences(String(item[key]));
      else if (key === '#cdata') node.text += cdataText(item[key]);
      else node.children.push(convertElement(key, item, depth, budget));
    }
  }
  return node;
}

function convertElement(key: string, item: Parsed, depth: number, budget: { count: number }): XmlNode {
  budget.count += 1;
  if (budget.count > ELEMENTS_MAX) throw new S3Error('MalformedXML');
  const node = convert(item[key] as Parsed[], depth + 1, budget);
  node.name = key.slice(key.indexOf(':') + 1);
  for (const [name, value] of Object.entries(item[':@'] ?? {})) node.attributes.set(name, decodeReferences(value));
  return node;
}

function cdataText(inner: unknown): ByteString {
  return (inner as Parsed[]).map((item) => String(item['#text'])).join('');
}

const NAMED = lookupTable({ amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" });

// XML 1.0 section 2.11: line ends become LF; a CR that is meant comes as a reference.
function decodeReferences(text: string): ByteString {
  const lines = text.includes('\r') ? text.replace(/\r\n?/g, '\n') : text;
  if (!lines.includes('&')) return lines;
  return lines.replace(/&([^;&<]{0,12})(;?)/g, (_, name: string, end: string) => {
    if (end === '') throw new S3Error('MalformedXML');
    return NAMED.get(name) ?? codePointBytes(name);
  });
}

function codePointBytes(name: string): ByteString {
  const match = /^#(?:x([0-9a-fA-F]{1,8})|([0-9]{1,10}))$/.exec(name);
  if (match === null) throw new S3Error('MalformedXML');
  const code = match[1] === undefined ? Number(match[2]) : Number.parseInt(match[1], 16);
  if (!isXmlCharacter(code)) throw new S3Error('MalformedXML');
  return utf8ByteString(String.fromCodePoint(code));
}

/** @see XML 1.0 section 2.2 */
function isXmlCharacter(code: number): boolean {
  if (code < 0x20) return code === 0x9 || code === 0xa || code === 0xd;
  return code <= 0xd7ff || (code >= 0xe000 && code <= 0xfffd) || (code >= 0x10000 && code <= 0x10ffff);
}
