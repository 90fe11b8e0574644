/**
 * Which operation a request means, from the bindings of all operations:
 *
 *     scope (service, bucket, object) -> subresource in the query, or none -> method -> variant (copy source, list-type)
 *
 * What no binding names is refused: subresources that are not implemented with NotImplemented, wrong methods with
 * MethodNotAllowed; nothing falls through to PutObject or ListObjects.
 */

import { type Binding, METHODS, type Operation, type Scope } from '../operations/operation.ts';
import type { RequestHeaders } from '../protocol/request-headers.ts';
import { S3Error } from '../protocol/s3-error.ts';

const COPY_SOURCE = 'x-amz-copy-source';
/** OPTIONS is no operation's method, yet one that S3 has. */
const KNOWN_METHODS: readonly string[] = [...METHODS, 'OPTIONS'];

/** Refuses a method that no resource of S3 has, whoever asks. @throws S3Error MethodNotAllowed. */
export function refuseUnknownMethod(method: string): void {
  if (KNOWN_METHODS.includes(method)) return;
  throw new S3Error('MethodNotAllowed', { fields: { Method: method }, headers: { Allow: KNOWN_METHODS.join(', ') } });
}

/** What routing looks at. */
export interface RouteRequest {
  method: string;
  scope: Scope;
  query: ReadonlyMap<string, string>;
  headers: RequestHeaders;
}

/** The operations of one method on one resource: the first that fits is meant. */
type Slot = Operation[];

/** The bucket or object itself, or a subresource. */
class Resource {
  /** By method; empty for a subresource of which nothing is implemented. */
  readonly slots = new Map<string, Slot>();
  /** S3 has no more methods here. */
  complete = true;

  add(operation: Operation): void {
    if (operation.complete !== true) this.complete = false;
    const slot = this.slots.get(operation.method) ?? [];
    if (slot.some((one) => sameVariant(one, operation))) throw new Error(`${operation.name} is another operation too`);
    this.slots.set(operation.method, [...slot, operation].sort(byVariant));
  }

  /** For the Allow header. */
  get methods(): string {
    return METHODS.filter((method) => this.slots.has(method)).join(', ');
  }
}

interface ScopeTable {
  itself: Resource;
  subresources: Map<string, Resource>;
}

export interface RouterOptions {
  operations: readonly Operation[];
  /** Known and refused with NotImplemented. */
  unbuilt: readonly Binding[];
  /** Subresources of objects that are none of S3's and refused all the same. */
  foreign: readonly string[];
}

/** Finds the operation of a request. Built once per gateway. */
export class Router {
  readonly #scopes: Readonly<Record<Scope, ScopeTable>> = {
    service: { itself: new Resource(), subresources: new Map() },
    bucket: { itself: new Resource(), subresources: new Map() },
    object: { itself: new Resource(), subresources: new Map() },
  };

  /** @throws Error when two operations cannot be told apart. */
  constructor({ operations, unbuilt, foreign }: RouterOptions) {
    for (const operation of operations) {
      const { scope, subresource } = operation;
      const resource = subresource === undefined ? this.#scopes[scope].itself : this.#subresource(scope, subresource);
      resource.add(operation);
    }
    for (const { scope, subresource } of unbuilt) this.#subresource(scope, subresource!).complete = false;
    for (const name of foreign) this.#subresource('object', name).complete = false;
  }

  /**
   * Names the operation.
   * @throws S3Error NotImplemented (known but unsupported, or browser forms), MethodNotAllowed, InvalidRequest (a
   * subresource of another scope, a copy source where nothing is copied), InvalidArgument (partNumber without
   * uploadId).
   */
  route(request: RouteRequest): Operation {
    const { scope, query, headers, method } = request;
    const name = query.size === 0 ? undefined : this.#nameSubresource(scope, query);
    const slot = name === undefined ? this.#itselfSlot(request) : this.#subresourceSlot(name, request);
    const operation = meantOf(slot, request);
    if (headers[COPY_SOURCE] !== undefined && !isCopy(operation)) {
      throw new S3Error('InvalidRequest', { message: `${COPY_SOURCE} is not expected for this ${method} request` });
    }
    return operation;
  }

  #subresource(scope: Scope, name: string): Resource {
    const { subresources } = this.#scopes[scope];
    const resource = subresources.get(name) ?? new Resource();
    subresources.set(name, resource);
    return resource;
  }

  #nameSubresource(scope: Scope, query: ReadonlyMap<string, string>): string | undefined {
    let found: string | undefined;
    for (const name of query.keys()) {
      if (this.#scopes[scope].subresources.has(name)) found ??= name;
      else if (this.#elsewhere(scope, name) !== undefined) throw foreignSubresource(scope, name);
    }
    return found;
  }

  /** A bucket's resource asked of an object, or the other way: `uploadId` on a bucket must not become ListObjects. */
  #elsewhere(scope: Scope, name: string): Resource | undefined {
    if (scope === 'service') return undefined;
    return this.#scopes[scope === 'object' ? 'bucket' : 'object'].subresources.get(name);
  }

  #itselfSlot({ method, scope, query, headers }: RouteRequest): Slot {
    if (scope === 'object' && method === 'PUT' && query.has('partNumber')) {
      throw new S3Error('InvalidArgument', { message: 'This operation does not accept a partNumber without uploadId' });
    }
    if (method === 'POST' && scope === 'bucket' && headers['content-type']?.startsWith('multipart/form-data')) {
      throw new S3Error('NotImplemented', { message: 'Browser form uploads (POST policy) are not implemented.' });
    }
    if (method === 'OPTIONS') throw new S3Error('NotImplemented', { message: 'CORS is not implemented.' });
    const resource = this.#scopes[scope].itself;
    return resource.slots.get(method) ?? refuseMethod(method, resource);
  }

  #subresourceSlot(name: string, { method, scope }: RouteRequest): Slot {
    const resource = this.#scopes[scope].subresources.get(name)!;
    const slot = resource.slots.get(method);
    if (slot !== undefined) return slot;
    if (this.#elsewhere(scope, name)?.slots.has(method) === true) throw foreignSubresource(scope, name);
    if (resource.complete || method === 'HEAD') return refuseMethod(method, resource);
    throw new S3Error('NotImplemented', { message: `${method} ?${name} is not implemented.` });
  }
}

/** The last one has no variant, so that one always fits. */
function meantOf(slot: Slot, request: RouteRequest): Operation {
  for (const operation of slot) if (isMeant(operation, request)) return operation;
  throw new Error('a variant without its plain operation');
}

function isMeant({ variant }: Operation, { query, headers }: RouteRequest): boolean {
  if (variant === undefined) return true;
  if ('header' in variant) return headers[variant.header] !== undefined;
  return variant.value === undefined ? query.has(variant.query) : query.get(variant.query) === variant.value;
}

function isCopy({ variant }: Operation): boolean {
  return variant !== undefined && 'header' in variant && variant.header === COPY_SOURCE;
}

function sameVariant(a: Operation, b: Operation): boolean {
  return JSON.stringify(a.variant) === JSON.stringify(b.variant);
}

/** The operation without a variant comes last. */
function byVariant(a: Operation, b: Operation): number {
  return Number(a.variant === undefined) - Number(b.variant === undefined);
}

function foreignSubresource(scope: Scope, name: string): S3Error {
  const message =
    scope === 'object'
      ? `Key is not expected for the ?${name} subresource`
      : `A key is required for the ?${name} subresource`;
  return new S3Error('InvalidRequest', { message });
}

function refuseMethod(method: string, resource: Resource): never {
  throw new S3Error('MethodNotAllowed', { fields: { Method: method }, headers: { Allow: resource.methods } });
}
