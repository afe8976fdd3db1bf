/** The sources of a package, for tests that read what imports what. */
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'

export interface Import {
  readonly from: string
  readonly specifier: string
  readonly isType: boolean
}

export class Sources {
  readonly files: readonly string[]
  readonly imports: readonly Import[]

  constructor(private readonly folder: string) {
    this.files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) =>
      name.endsWith('.ts'),
    )
    this.imports = this.files.flatMap((from): Import[] => {
      const found = this.text(from).matchAll(/^(?:import|export)\s+(type\s)?(?:[^'";]*?from\s+)?'([^']+)'/gm)
      return [...found].map(([, type, specifier]) => ({
        from,
        specifier: specifier as string,
        isType: type !== undefined,
      }))
    })
  }

  text(file: string): string {
    return readFileSync(join(this.folder, file), 'utf8')
  }

  /** Without its comments. */
  code(file: string): string {
    return this.text(file).replace(/\/\*[^]*?\*\/|\/\/.*/g, '')
  }

  /** Imports that point up: `layers` name files and folders from the bottom up. */
  pointingUp(layers: readonly (readonly string[])[]): { from: string; to: string }[] {
    return this.imports
      .filter(({ specifier }) => specifier.startsWith('.'))
      .map(({ from, specifier }) => ({
        from,
        to: relative(this.folder, join(this.folder, dirname(from), specifier)).replace(/\.js$/, '.ts'),
      }))
      .filter(({ from, to }) => layerOf(to, layers) === -1 || layerOf(to, layers) > layerOf(from, layers))
  }

  /**
   * The layers of the first picture below a heading of a page, `a, b ← c`, from the bottom up: folders with a slash at
   * their end, files with their ending. Throws for a name that is neither.
   */
  layersDrawn(page: string, heading: string): readonly (readonly string[])[] {
    const [, section = ''] = page.split(`\n## ${heading}\n`)
    const [, picture] = /^```text\n([^]*?)^```/m.exec(section.split('\n## ')[0] ?? '') ?? []
    if (picture === undefined) throw new Error(`there is no picture below "${heading}"`)
    return picture.split('←').map((layer) => layer.split(',').map((name) => this.#pathOf(name.trim())))
  }

  #pathOf(name: string): string {
    if (this.files.includes(`${name}.ts`)) return `${name}.ts`
    if (this.files.some((file) => file.startsWith(`${name}/`))) return `${name}/`
    throw new Error(`"${name}" of the picture is neither a file nor a folder`)
  }

  /** Files that no layer names. */
  outside(layers: readonly (readonly string[])[]): string[] {
    return this.files.filter((file) => layerOf(file, layers) === -1)
  }
}

function layerOf(file: string, layers: readonly (readonly string[])[]): number {
  return layers.findIndex((names) =>
    names.some((name) => (name.endsWith('/') ? file.startsWith(name) : file === name)),
  )
}
