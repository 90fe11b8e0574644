/**
 * Times as S3's headers and documents write them. A file may claim any time at all; what has no date there is moved.
 */

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

const MONTHS: readonly string[] = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];
/** `Sun, 06 Nov 1994 08:49:37 GMT`; and what mail libraries write for GMT. */
const IMF_FIXDATE = /^[A-Z][a-z]{2}, (\d\d) ([A-Z][a-z]{2}) (\d{4}) (\d\d:\d\d:\d\d) (?:GMT|UTC|[+-]0000)$/;
/** `Sunday, 06-Nov-94 08:49:37 GMT` */
const RFC850_DATE = /^[A-Z][a-z]{5,8}, (\d\d)-([A-Z][a-z]{2})-(\d\d) (\d\d:\d\d:\d\d) GMT$/;
/** `Sun Nov  6 08:49:37 1994` */
const ASCTIME_DATE = /^[A-Z][a-z]{2} ([A-Z][a-z]{2}) ([ \d]\d) (\d\d:\d\d:\d\d) (\d{4})$/;

/**
 * Reads an HTTP date in any of the three forms that a recipient must take.
 * @param nowMs decides the century of a two-digit year
 * @returns seconds since the epoch, or undefined for what is no such date.
 * @see RFC 9110 section 5.6.7
 */
export function parseHttpDate(text: string, nowMs = Date.now()): number | undefined {
  const fixed = IMF_FIXDATE.exec(text);
  if (fixed !== null) return dateSec(Number(fixed[3]), fixed[2]!, Number(fixed[1]), fixed[4]!);
  const old = RFC850_DATE.exec(text);
  if (old !== null) return dateSec(fullYear(Number(old[3]), nowMs), old[2]!, Number(old[1]), old[4]!);
  const c = ASCTIME_DATE.exec(text);
  if (c !== null) return dateSec(Number(c[4]), c[1]!, Number(c[2]), c[3]!);
  return undefined;
}

/** A year that seems more than 50 years ahead is one of the past. */
function fullYear(twoDigits: number, nowMs: number): number {
  const now = new Date(nowMs).getUTCFullYear();
  const year = now - (now % 100) + twoDigits;
  return year > now + 50 ? year - 100 : year;
}

function dateSec(year: number, monthName: string, day: number, clock: string): number | undefined {
  const month = MONTHS.indexOf(monthName);
  const [hour = 0, minute = 0, second = 0] = clock.split(':').map(Number);
  if (month < 0 || hour > 23 || minute > 59 || second > 60) return undefined;
  const date = new Date(0);
  date.setUTCFullYear(year, month, day);
  if (date.getUTCMonth() !== month || date.getUTCDate() !== day) return undefined;
  return date.getTime() / 1000 + hour * 3600 + minute * 60 + second;
}
