/** The body of a request, within a bound: more is never read. Nothing here throws for what a client sends. */
import type { Context } from 'hono'

export type BytesResult =
  | { readonly bytes: Uint8Array; readonly failure?: undefined }
  | { readonly failure: 'too-large' | 'broken-off'; readonly bytes?: undefined }

export type TextResult =
  | { readonly text: string; readonly failure?: undefined }
  /** `unreadable`: it is no UTF-8, or was broken off. */
  | { readonly failure: 'too-large' | 'unreadable'; readonly text?: undefined }

/** The media type that the request declares, without parameters. */
export function mediaTypeOf(c: Context): string | undefined {
  return c.req.header('content-type')?.split(';')[0]?.trim().toLowerCase()
}

export async function readText(request: Request, bytesMax: number): Promise<TextResult> {
  const { bytes, failure } = await readBytes(request, bytesMax)
  if (failure !== undefined) return { failure: failure === 'too-large' ? failure : 'unreadable' }
  try {
    return { text: new TextDecoder('utf-8', { fatal: true }).decode(bytes) }
  } catch {
    return { failure: 'unreadable' }
  }
}

export async function readBytes(request: Request, bytesMax: number): Promise<BytesResult> {
  const declared = request.headers.get('content-length')
  if (Number(declared ?? 0) > bytesMax) return { failure: 'too-large' }
  try {
    // HTTP holds a body to the length that it declares, and read at once it costs half as much as in pieces.
    const bytes =
      declared === null ? await readPieces(request, bytesMax) : new Uint8Array(await request.arrayBuffer())
    return bytes === undefined ? { failure: 'too-large' } : { bytes }
  } catch {
    return { failure: 'broken-off' }
  }
}

/** Undefined for a body that is longer, which is not read to its end. */
async function readPieces(request: Request, bytesMax: number): Promise<Uint8Array | undefined> {
  const body = request.body as ReadableStream<Uint8Array> | null
  if (body === null) return new Uint8Array()
  const pieces: Uint8Array[] = []
  let size = 0
  for await (const piece of body as unknown as AsyncIterable<Uint8Array>) {
    size += piece.length
    if (size > bytesMax) return undefined
    pieces.push(piece)
  }
  return Buffer.concat(pieces)
}
