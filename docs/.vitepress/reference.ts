/**
 * Makes the API reference (`docs/api`) from the docstrings of the library: a folder for each name that can be imported.
 * A link in a docstring that leads nowhere, and an exported name without a docstring, end the build.
 */
import { join } from 'node:path'
import { Application, Converter, LogLevel, type TypeDocOptions } from 'typedoc'
import type { PluginOptions } from 'typedoc-plugin-markdown'
import build from '../../packages/rescind/tsdown.config.js'
import { REPOSITORY } from './repository.js'

const DOCS = join(import.meta.dirname, '..')
const LIBRARY = join(DOCS, '../packages/rescind')
/** Methods of the connections of others, of which `rescind/live` says only what it calls. */
const FOREIGN = [
  ...['close', 'terminate', 'once', 'removeAllListeners'].map((name) => `rescind/live.WebSocketLike.${name}`),
  ...['end', 'destroy', 'once', 'on'].map((name) => `rescind/live.ResponseLike.${name}`),
  ...['disconnect', 'once'].map((name) => `rescind/live.SocketIoLike.${name}`),
]

const entries = entryPoints()
const app = await Application.bootstrapWithPlugins(options())
app.converter.on(Converter.EVENT_RESOLVE_BEGIN, ({ project }) => {
  for (const module of project.children ?? []) {
    const path = module.sources?.[0]?.fullFileName
    module.name = entries.find(({ source }) => source === path)?.name ?? module.name
  }
})
const project = await app.convert()
if (project !== undefined) {
  app.validate(project)
  await app.generateOutputs(project)
}
if (app.logger.hasErrors() || app.logger.hasWarnings()) process.exitCode = 1

function options(): TypeDocOptions & Partial<PluginOptions> & { readonly docsRoot: string } {
  return {
    entryPoints: entries.map(({ source }) => source),
    tsconfig: join(import.meta.dirname, 'tsconfig.reference.json'),
    plugin: ['typedoc-plugin-markdown', 'typedoc-vitepress-theme'],
    out: join(DOCS, 'api'),
    docsRoot: DOCS,
    basePath: join(LIBRARY, 'src'),
    readme: 'none',
    name: 'API',
    logLevel: LogLevel.Warn,
    // `npm run types` has found them already.
    skipErrorChecking: true,
    excludePrivate: true,
    excludeExternals: true,
    excludeInternal: true,
    disableGit: true,
    sourceLinkTemplate: `${REPOSITORY}/blob/main/packages/rescind/src/{path}#L{line}`,
    validation: { invalidLink: true, notDocumented: true, notExported: false },
    requiredToBeDocumented: ['Class', 'Interface', 'TypeAlias', 'Variable', 'Function', 'CallSignature'],
    intentionallyNotDocumented: FOREIGN,
    hidePageHeader: true,
    hideBreadcrumbs: true,
    useCodeBlocks: true,
    indexFormat: 'table',
    parametersFormat: 'table',
    interfacePropertiesFormat: 'table',
    expandObjects: true,
  }
}

/** What the library is built from: `rescind`, `rescind/express` and so on. */
function entryPoints(): { readonly name: string; readonly source: string }[] {
  return Object.entries(build.entry as Record<string, string>).map(([file, source]) => ({
    name: file === 'index' ? 'rescind' : `rescind/${file}`,
    source: join(LIBRARY, source),
  }))
}
