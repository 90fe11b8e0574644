import type { ByteString } from '../../../base/byte-string.ts';
import type { Entry } from '../../../base/vocabulary.ts';
import { ownerElements } from '../../auth/owner.ts';
import { xmlTime } from '../../protocol/times.ts';
import { element, optionalElement, wrap, xmlDocument } from '../../protocol/xml.ts';
import type { Operation, S3Request, S3Response } from '../operation.ts';
import { countParameter, invalidArgument, readToken, writeToken } from '../paging.ts';

const BUCKETS_MAX = 10_000;
const PAGE_LENGTH = 1000;

/**
 * Lists the caller's buckets by name (uid 0 sees everybody's).
 * @see https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListBuckets.html
 */
export const listBuckets: Operation = {
  name: 'ListBuckets',
  scope: 'service',
  method: 'GET',
  action: 's3:ListAllMyBuckets',
  payload: 'none',
  bucket: 'nothing',
  absent: 'bucket',
  handle,
};

async function handle(request: S3Request): Promise<S3Response> {
  const { query } = request;
  const limits = { valueMin: 1, valueMax: BUCKETS_MAX, absent: BUCKETS_MAX };
  const count = countParameter(request, 'max-buckets', limits);
  const asked = query.get('max-buckets');
  if (asked !== undefined && Number(asked) > BUCKETS_MAX) {
    throw invalidArgument('max-buckets', asked, `Argument max-buckets must be an integer between 1 and ${BUCKETS_MAX}`);
  }
  const prefix = query.get('prefix');
  const region = query.get('bucket-region');
  const token = query.get('continuation-token');
  const elsewhere = region !== undefined && region !== request.region;
  const found = elsewhere
    ? { entries: [], next: undefined }
    : await ownBuckets(request, token === undefined ? '' : readToken(token), prefix ?? '', count);
  const xml =
    wrap('Owner', ownerElements(request.user.uid, request.user)) +
    wrap('Buckets', found.entries.map((entry) => bucketElement(entry, request.region)).join('')) +
    optionalElement('Prefix', prefix) +
    (found.next === undefined ? '' : element('ContinuationToken', writeToken(found.next)));
  return { status: 200, body: xmlDocument('ListAllMyBucketsResult', xml) };
}

/** Reads pages until there are `count` buckets; `next` is where the following answer begins. */
async function ownBuckets(
  request: S3Request,
  from: ByteString,
  prefix: ByteString,
  count: number,
): Promise<{ entries: Entry[]; next: ByteString | undefined }> {
  const entries: Entry[] = [];
  for (let after = from; ; ) {
    const limit = Math.min(PAGE_LENGTH, count - entries.length);
    const page = await request.vfs.buckets.list(request.context, after, prefix, limit);
    entries.push(...page.entries);
    const last = page.entries.at(-1);
    if (!page.truncated || last === undefined) return { entries, next: undefined };
    after = last.name;
    if (entries.length >= count) return { entries, next: after };
  }
}

function bucketElement({ name, attr }: Entry, region: string): string {
  const created = element('CreationDate', xmlTime(attr.btimeSec, attr.btimeNsec));
  return wrap('Bucket', element('Name', name) + created + element('BucketRegion', region));
}
