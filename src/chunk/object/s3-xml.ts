/**
 * Reads the few XML answers that the driver needs (Error, ListBucketResult, DeleteResult). They are flat, have no
 * attributes that matter and are made by servers, so looking for elements by name is enough.
 */

/** Text of the first element of that name inside `xml`, undefined when there is none. */
export function xmlText(xml: string, name: string): string | undefined {
  const found = new RegExp(`<(?:\\w+:)?${name}(?:\\s[^>]*)?>([^<]*)</(?:\\w+:)?${name}>`).exec(xml);
  return found === null ? undefined : unescapeXml(found[1]!);
}

/** Inner XML of all elements of that name. They must not nest. */
export function xmlElements(xml: string, name: string): string[] {
  const elements = new RegExp(`<(?:\\w+:)?${name}(?:\\s[^>]*)?>([\\s\\S]*?)</(?:\\w+:)?${name}>`, 'g');
  return [...xml.matchAll(elements)].map((match) => match[1]!);
}

export function escapeXml(text: string): string {
  return text.replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);
}

const ENTITIES = new Map([
  ['amp', '&'],
  ['lt', '<'],
  ['gt', '>'],
  ['quot', '"'],
  ['apos', "'"],
]);

function unescapeXml(text: string): string {
  return text.replace(/&(#x?[0-9a-fA-F]+|\w+);/g, (whole, name: string) => {
    if (name.startsWith('#x')) return String.fromCodePoint(Number.parseInt(name.slice(2), 16));
    if (name.startsWith('#')) return String.fromCodePoint(Number.parseInt(name.slice(1), 10));
    return ENTITIES.get(name) ?? whole;
  });
}
