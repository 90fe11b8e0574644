/** Times as S3's headers and documents write them. A file may claim any time at all; what has no date there is moved. */

/** The last second that both forms can write: 9999-12-31T23:59:59Z. */
const SEC_MAX = 253_402_300_799;

/**
 * The time that is shown for a stored one: the nearest from 1970 to 9999. Conditions compare with what was shown, so
 * that an answer's Last-Modified, sent back, finds the object unchanged.
 */
export function shownSec(sec: number): number {
  return Math.max(0, Math.min(sec, SEC_MAX));
}

/** `Sun, 22 Nov 2026 08:45:00 GMT`. @see RFC 9110 section 5.6.7 */
export function httpDate(sec: number): string {
  return new Date(shownSec(sec) * 1000).toUTCString();
}

/** `2026-11-22T08:45:00.000Z`, the form of every time in S3's XML. */
export function xmlTime(sec: number, nsec: number): string {
  const shown = shownSec(sec);
  return new Date(shown * 1000 + (shown === sec ? Math.floor(nsec / 1_000_000) : 0)).toISOString();
}

/** The same for a time in milliseconds. */
export function xmlTimeMs(ms: number): string {
  const sec = Math.floor(ms / 1000);
  return xmlTime(sec, Math.floor(ms - sec * 1000) * 1_000_000);
}
