/** Who owns what, as S3 shows it. */
import { utf8ByteString } from '../../base/byte-string.ts';
import type { User } from '../../base/vocabulary.ts';
import { element } from '../protocol/xml.ts';

/** S3's canonical user id of a POSIX owner: the uid in decimal, so that both frontends name the same owner. */
export function ownerId(uid: number): string {
  return String(uid);
}

/**
 * `<ID>` and `<DisplayName>` of a uid. The name is shown for the asking user's own uid; for others the uid stands in
 * for it, since several users may share one.
 */
export function ownerElements(uid: number, asking: User): string {
  const name = uid === asking.uid ? utf8ByteString(asking.name) : `uid-${uid}`;
  return element('ID', ownerId(uid)) + element('DisplayName', name);
}
