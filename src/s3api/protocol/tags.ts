/** Object and bucket tags: the x-amz-tagging header and the Tagging document. Keys and values are byte strings. */
import { utf8Text } from '../../base/byte-string.ts';
import type { S3Record } from '../../base/vocabulary.ts';
import { S3Error } from './s3-error.ts';
import { child, childrenOf, childText, element, parseXml, wrap, type XmlNode, xmlDocument } from './xml.ts';

type Tags = S3Record['tags'];

/** Tags of one object. */
export const OBJECT_TAGS_MAX = 10;
/** Tags of one bucket. */
export const BUCKET_TAGS_MAX = 50;
const KEY_CHARS_MAX = 128;
const VALUE_CHARS_MAX = 256;
/** @see https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-tagging.html */
const TAG_TEXT = /^[\p{L}\p{Z}\p{N}_.:/=+\-@]*$/u;

/**
 * Reads `key=value&key2=value2`, percent-encoded.
 * @throws S3Error InvalidTag, InvalidArgument when an escape cannot be read.
 */
export function parseTaggingHeader(value: string): Tags {
  const tags: Tags = [];
  for (const pair of value.split('&')) {
    if (pair === '') continue;
    const equals = pair.indexOf('=');
    tags.push(equals < 0 ? [decode(pair), ''] : [decode(pair.slice(0, equals)), decode(pair.slice(equals + 1))]);
  }
  return checkedTags(tags, OBJECT_TAGS_MAX);
}

/**
 * Reads a Tagging document.
 * @throws S3Error MalformedXML, InvalidTag.
 */
export function parseTaggingDocument(body: Buffer, countMax: number): Tags {
  const set = child(parseXml(body, 'Tagging'), 'TagSet');
  if (set === undefined) throw new S3Error('MalformedXML');
  return parseTags(set, countMax);
}

/** Reads the Tag elements of a set. @throws S3Error MalformedXML, InvalidTag. */
export function parseTags(set: XmlNode, countMax: number): Tags {
  const tags = childrenOf(set, 'Tag').map((tag): [string, string] => {
    const key = childText(tag, 'Key');
    const value = childText(tag, 'Value');
    if (key === undefined || value === undefined) throw new S3Error('MalformedXML');
    return [key, value];
  });
  return checkedTags(tags, countMax);
}

/** The Tagging document of these tags. */
export function taggingDocument(tags: Tags): Buffer {
  const set = tags.map(([key, value]) => wrap('Tag', element('Key', key) + element('Value', value))).join('');
  return xmlDocument('Tagging', wrap('TagSet', set));
}

/** Checks S3's limits and sorts by key, which is the order S3 answers in. */
function checkedTags(tags: Tags, countMax: number): Tags {
  if (tags.length > countMax) {
    throw new S3Error('InvalidTag', { message: `At most ${countMax} tags are allowed.` });
  }
  const seen = new Set<string>();
  for (const [key, value] of tags) {
    checkText('TagKey', key, 1, KEY_CHARS_MAX);
    checkText('TagValue', value, 0, VALUE_CHARS_MAX);
    if (key.startsWith('aws:')) throw new S3Error('InvalidTag', { message: 'Tag keys must not start with aws:.' });
    if (seen.has(key)) {
      throw new S3Error('InvalidTag', {
        message: 'Cannot provide multiple Tags with the same key',
        fields: { TagKey: key },
      });
    }
    seen.add(key);
  }
  return tags.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
}

function checkText(what: 'TagKey' | 'TagValue', bytes: string, lengthMin: number, lengthMax: number): void {
  const text = utf8Text(bytes);
  const length = [...text].length;
  if (length >= lengthMin && length <= lengthMax && TAG_TEXT.test(text)) return;
  throw new S3Error('InvalidTag', {
    message: `The ${what} you have provided is invalid`,
    fields: { [what]: bytes },
  });
}

function decode(text: string): string {
  const spaced = text.replaceAll('+', ' ');
  if (/%(?![0-9a-fA-F]{2})/.test(spaced)) {
    throw new S3Error('InvalidArgument', {
      message: "The header 'x-amz-tagging' shall be encoded as UTF-8 then URLEncoded URL query parameters",
      fields: { ArgumentName: 'x-amz-tagging', ArgumentValue: text },
    });
  }
  return spaced.replace(/%([0-9a-fA-F]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}
