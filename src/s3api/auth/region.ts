/** AWS's first region: its buckets have an empty LocationConstraint, and making one's own again succeeds there. */
export const FIRST_REGION = 'us-east-1';
