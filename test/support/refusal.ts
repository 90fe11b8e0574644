import { S3ServiceException } from '@aws-sdk/client-s3';

/** Awaits a failure of the client and answers what the server said. */
export async function refusal(sent: Promise<unknown>): Promise<{ code: string; status: number; message: string }> {
  try {
    await sent;
  } catch (error) {
    if (!(error instanceof S3ServiceException)) throw error;
    return { code: error.name, status: error.$metadata.httpStatusCode ?? 0, message: error.message };
  }
  throw new Error('the request was answered, but should have been refused');
}

/** `code status` of a refusal. */
export async function refusalCode(sent: Promise<unknown>): Promise<string> {
  const { code, status } = await refusal(sent);
  return `${code} ${status}`;
}
