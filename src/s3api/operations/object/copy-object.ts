import type { ChecksumAlgorithm } from '../../../base/checksums.ts';
import type { S3Record } from '../../../base/vocabulary.ts';
import type { PublishReply } from '../../../meta/meta.ts';
import type { PutOptions } from '../../../vfs/vfs.ts';
import { refuseForeignGrants } from '../../auth/access-headers.ts';
import { keyPath } from '../../http/key-path.ts';
import { checksumElements, requestedAlgorithm } from '../../payload/checksum-headers.ts';
import { writePrecondition } from '../../protocol/conditions.ts';
import { objectEtag, quoteEtag } from '../../protocol/etag.ts';
import type { RequestHeaders } from '../../protocol/request-headers.ts';
import { S3Error } from '../../protocol/s3-error.ts';
import { STANDARD, STORAGE_CLASS } from '../../protocol/storage-class.ts';
import { parseTaggingHeader } from '../../protocol/tags.ts';
import { xmlTime } from '../../protocol/times.ts';
import { element, xmlDocument } from '../../protocol/xml.ts';
import type { Operation, S3Request, S3Response } from '../operation.ts';
import { copyBytes } from './copy-bytes.ts';
import { type FoundSource, findSource } from './copy-source.ts';
import { walkAgainWhenStale } from './find-object.ts';
import { effectiveHeaders, type ObjectMetadata, REDIRECT, readObjectMetadata, refuseUnsupported } from './headers.ts';
import { absentTarget, newRecord, refuseDirectoryContent } from './store-payload.ts';

/**
 * Copies an object inside the volume: the new object shares the source's slices, no bytes move, and ETag and checksums
 * stay what they were. Only a checksum that the source does not have makes the gateway read (and rewrite) the bytes.
 * @see https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html
 */
export const copyObject: Operation = {
  name: 'CopyObject',
  scope: 'object',
  method: 'PUT',
  variant: { header: 'x-amz-copy-source' },
  action: 's3:PutObject',
  payload: 'none',
  checksumsOf: 'object',
  bucket: 'ino',
  absent: 'key',
  handle,
};

interface Directives {
  /** REPLACE: take metadata from this request. */
  metadata: ObjectMetadata | undefined;
  /** REPLACE: take tags from this request. */
  tags: S3Record['tags'] | undefined;
}

async function handle(request: S3Request): Promise<S3Response> {
  const headers = effectiveHeaders(request);
  refuseUnsupported(headers);
  await refuseForeignGrants(request, headers);
  const directives = readDirectives(headers);
  const algorithm = requestedAlgorithm(headers);
  const precondition = writePrecondition(headers);
  const target = await request.bucketEntry();
  const path = keyPath(target.attr.ino, request.key!);
  return walkAgainWhenStale(async () => {
    const source = await findSource(request, headers, target, true);
    refuseCopy(request, headers, source, directives);
    if (path.directory) refuseDirectoryContent(source.sizeBytes);
    const s3 = copiedRecord(source, directives, headers);
    const xattrs = directives.metadata?.xattrs ?? userXattrs(source);
    const options: PutOptions = { path, precondition, s3, xattrs };
    try {
      return answer(await copy(request, source, options, algorithm), options.s3);
    } catch (error) {
      throw absentTarget(error, precondition);
    }
  });
}

function copy(
  request: S3Request,
  source: FoundSource,
  options: PutOptions,
  algorithm: ChecksumAlgorithm | '',
): Promise<PublishReply> {
  const { objects } = request.vfs;
  const { checksums, checksumType } = options.s3;
  // A checksum that is asked for is one of the bytes: a composite of the source's parts is not.
  const known = algorithm === '' || (checksums[algorithm] !== undefined && checksumType === 'FULL_OBJECT');
  if (!known) return copyWithChecksum(request, source, options, algorithm);
  if (!source.directory && !options.path.directory) return objects.copyObject(request.context, source.walked, options);
  // A directory has no content to share; a directory's key and an empty object can become each other.
  return objects.putObject(request.context, objects.beginObject(request.context), options);
}

/** The checksum must be that of the very bytes stored, so they are written anew while it is computed. */
async function copyWithChecksum(
  request: S3Request,
  source: FoundSource,
  options: PutOptions,
  algorithm: ChecksumAlgorithm,
): Promise<PublishReply> {
  const { objects } = request.vfs;
  const range = { offset: 0, length: source.sizeBytes };
  const copied = await copyBytes(request, source.walked, range, [algorithm]);
  options.s3 = {
    ...options.s3,
    etag: copied.etag,
    checksums: copied.checksums,
    checksumType: 'FULL_OBJECT',
    parts: [],
  };
  return objects.putObject(request.context, copied.writer, options);
}

function answer(reply: PublishReply, s3: S3Record): S3Response {
  const { attr } = reply;
  const etag = s3.etag === '' ? objectEtag(attr, undefined) : s3.etag;
  const inner =
    element('LastModified', xmlTime(attr.mtimeSec, attr.mtimeNsec)) +
    element('ETag', quoteEtag(etag)) +
    checksumElements(s3.checksums, s3.checksumType);
  return { status: 200, body: xmlDocument('CopyObjectResult', inner) };
}

function readDirectives(headers: RequestHeaders): Directives {
  const replaceMetadata = isReplace(headers, 'x-amz-metadata-directive');
  const replaceTags = isReplace(headers, 'x-amz-tagging-directive');
  return {
    metadata: replaceMetadata ? readObjectMetadata(headers) : undefined,
    tags: replaceTags ? parseTaggingHeader(headers['x-amz-tagging'] ?? '') : undefined,
  };
}

function isReplace(headers: RequestHeaders, name: string): boolean {
  const directive = headers[name];
  if (directive === undefined || directive === 'COPY') return false;
  if (directive === 'REPLACE') return true;
  throw new S3Error('InvalidArgument', {
    message: `Unknown ${name.includes('tagging') ? 'tagging' : 'metadata'} directive.`,
    fields: { ArgumentName: name, ArgumentValue: directive },
  });
}

function refuseCopy(request: S3Request, headers: RequestHeaders, source: FoundSource, directives: Directives): void {
  const limitBytes = request.settings.objectBytesMax;
  if (source.sizeBytes > limitBytes) {
    throw new S3Error('InvalidRequest', {
      message: `The specified copy source is larger than the maximum allowable size for a copy source: ${limitBytes}. Copy it as a multipart upload.`,
    });
  }
  const same = source.source.bucket === request.bucket && source.source.key === request.key;
  const changes =
    directives.metadata !== undefined ||
    directives.tags !== undefined ||
    headers[STORAGE_CLASS] !== undefined ||
    headers[REDIRECT] !== undefined;
  if (same && !changes) {
    throw new S3Error('InvalidRequest', {
      message:
        "This copy request is illegal because it is trying to copy an object to itself without changing the object's metadata, storage class, website redirect location or encryption attributes.",
    });
  }
}

/** What belonged to the source's present bytes belongs to the copy's; a stale record leaves only headers and tags. */
function copiedRecord(source: FoundSource, directives: Directives, headers: RequestHeaders): S3Record {
  const { attr, s3 } = source.walked;
  const fresh = s3 !== undefined && s3.version === attr.version && !source.directory;
  const metadata: ObjectMetadata = {
    headers: directives.metadata?.headers ?? withOwn(s3?.headers ?? {}, headers),
    tags: directives.tags ?? s3?.tags ?? [],
    xattrs: new Map(),
  };
  if (source.directory) return newRecord(EMPTY_MD5, metadata, {}, '');
  return fresh
    ? newRecord(s3.etag, metadata, s3.checksums, s3.checksumType, s3.parts)
    : newRecord('', metadata, {}, '');
}

/** Redirect and storage class belong to one object: a copy has its own or none. */
function withOwn(source: S3Record['headers'], headers: RequestHeaders): S3Record['headers'] {
  const { [REDIRECT]: _redirect, [STORAGE_CLASS]: _class, ...kept } = source;
  const redirect = headers[REDIRECT];
  const storageClass = headers[STORAGE_CLASS];
  if (redirect !== undefined) kept[REDIRECT] = redirect;
  if (storageClass !== undefined && storageClass !== STANDARD) kept[STORAGE_CLASS] = storageClass;
  return kept;
}

const EMPTY_MD5 = 'd41d8cd98f00b204e9800998ecf8427e';

function userXattrs(source: FoundSource): Map<string, Buffer> {
  const xattrs = new Map<string, Buffer>();
  for (const [name, value] of source.walked.xattrs) {
    if (name.startsWith('user.')) xattrs.set(name, value);
  }
  return xattrs;
}
