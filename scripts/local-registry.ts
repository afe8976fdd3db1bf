/**
 * A registry on loopback that has the packed packages, as if they were published, and sends npm to the configured registry
 * for all others: so `npm install rescind` does what it will do for everybody.
 */
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { PackedPackage } from './packed-package.js'

const run = promisify(execFile)
const HTTP_TEMPORARY_REDIRECT = 307

export class LocalRegistry implements AsyncDisposable {
  private constructor(
    private readonly server: Server,
    private readonly packages: ReadonlyMap<string, PackedPackage>,
    private readonly upstream: string,
  ) {}

  static async start(packages: readonly PackedPackage[]): Promise<LocalRegistry> {
    const { stdout } = await run('npm', ['config', 'get', 'registry'])
    const server = createServer()
    const byName = new Map(packages.map((packed) => [packed.name as string, packed]))
    const registry = new LocalRegistry(server, byName, stdout.trim().replace(/\/$/, ''))
    server.on('request', (request, response) => {
      registry.answer(request, response).catch((error: unknown) => response.destroy(error as Error))
    })
    await once(server.listen(0, '127.0.0.1'), 'listening')
    return registry
  }

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}/`
  }

  private async answer({ url = '/' }: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = decodeURIComponent(url.slice(1))
    const packed = this.packages.get(path.replace(/^tarballs\//, ''))
    if (packed === undefined) {
      response.writeHead(HTTP_TEMPORARY_REDIRECT, { location: this.upstream + url }).end()
      return
    }
    const tarball = await readFile(packed.path)
    if (path !== packed.name) response.end(tarball)
    else response.setHeader('content-type', 'application/json').end(await this.describe(packed, tarball))
  }

  /** What a registry tells of a package. */
  private async describe({ name, version, folder }: PackedPackage, tarball: Buffer): Promise<string> {
    const text = await readFile(join(folder, 'package.json'), 'utf8')
    const integrity = `sha512-${createHash('sha512').update(tarball).digest('base64')}`
    const dist = { tarball: `${this.url}tarballs/${encodeURIComponent(name)}`, integrity }
    const manifest = { ...(JSON.parse(text) as object), dist }
    return JSON.stringify({ name, 'dist-tags': { latest: version }, versions: { [version]: manifest } })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.server.close()
    this.server.closeAllConnections()
    await once(this.server, 'close')
  }
}
