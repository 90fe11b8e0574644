/** Every script's schema. */
import * as content from './content-schemas.ts';
import * as names from './name-schemas.ts';
import * as objects from './object-schemas.ts';
import type { Schema } from './script-schema.ts';
import * as session from './session-schemas.ts';
import * as upkeep from './upkeep-schemas.ts';
import * as uploads from './upload-schemas.ts';

export const SCHEMAS: readonly Schema[] = [content, names, objects, session, upkeep, uploads].flatMap((facet) =>
  Object.values(facet as Record<string, Schema>),
);
