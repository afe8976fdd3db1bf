/** Starts the example that is named, as `npm run example -- express` does; without a name it lists them all. */
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { tsImport } from 'tsx/esm/api'

const HERE = import.meta.dirname
const mainOf = (name: string) => join(HERE, name, 'src/main.ts')

const names = readdirSync(HERE).filter((name) => existsSync(mainOf(name)))
const [, , asked = ''] = process.argv
if (!names.includes(asked)) {
  console.error(
    `Name an example: npm run example -- NAME\n\n  ${names.join('\n  ')}\n\nSee docs/examples.md.`,
  )
  process.exit(1)
}
// Nest is written in the legacy dialect of decorators, and says so in a tsconfig.json of its own.
const own = join(HERE, asked, 'tsconfig.json')
await tsImport(mainOf(asked), {
  parentURL: import.meta.url,
  tsconfig: existsSync(own) ? own : join(HERE, '../tsconfig.json'),
})
