/**
 * Text of header fields as bytes (latin1). JavaScript's own trim(), \s and case functions read bytes above 0x7f as
 * Unicode: 0xa0, the last byte of `à` in UTF-8, would be white space. In a field only space and tab are (RFC 9110 5.6.3).
 */

/** Without the spaces and tabs at both ends. */
export function trimBlanks(text: string): string {
  let start = 0;
  let end = text.length;
  while (start < end && isBlank(text.charCodeAt(start))) start += 1;
  while (end > start && isBlank(text.charCodeAt(end - 1))) end -= 1;
  return start === 0 && end === text.length ? text : text.slice(start, end);
}

/** A-Z to a-z; every other byte stays. */
export function lowerAscii(text: string): string {
  return /[A-Z]/.test(text) ? text.replace(/[A-Z]+/g, (letters) => letters.toLowerCase()) : text;
}

function isBlank(code: number): boolean {
  return code === 0x20 || code === 0x09;
}
