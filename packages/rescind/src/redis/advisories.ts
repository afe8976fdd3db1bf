/**
 * Published holes of Redis and Valkey that matter to Rescind: what a user who may run scripts or commands could make
 * of them. Not a complete list, and only as new as its date: read the advisories of your server.
 *
 * Sources: the release notes of Redis and Valkey, and the images that were updated for them
 * (docker-library/official-images #20011, #20902, #21922; valkey-io/valkey #3631 to #3634).
 */

export const ADVISORIES_DATE = '2026-11-24'

export type Software = 'redis' | 'valkey'

export interface Advisory {
  /** The number of the CVE, or the release where none was published with it. */
  readonly id: string
  readonly published: string
  readonly what: string
  /** The first version without it, for each branch that got one; later branches never had it. */
  readonly fixed: Readonly<Partial<Record<Software, readonly string[]>>>
  /** Branches before this one never had it. Default: all had it. */
  readonly since?: Readonly<Partial<Record<Software, string>>>
}

export const ADVISORIES: readonly Advisory[] = [
  {
    id: 'CVE-2022-24834',
    published: '2023-07-10',
    what: 'a script can overflow the heap of the server and may run code on it',
    fixed: { redis: ['6.0.20', '6.2.13', '7.0.12'] },
  },
  {
    id: 'CVE-2024-31449',
    published: '2024-10-02',
    what: 'a script can overflow the stack of the server and may run code on it',
    fixed: { redis: ['6.2.16', '7.2.6', '7.4.1'], valkey: ['7.2.7', '8.0.1'] },
  },
  {
    id: 'CVE-2024-46981',
    published: '2025-01-06',
    what: 'a script can use freed memory and may run code on the server',
    fixed: { redis: ['6.2.17', '7.2.7', '7.4.2'], valkey: ['7.2.8', '8.0.2'] },
  },
  {
    id: 'CVE-2025-49844',
    published: '2025-10-03',
    what: 'a script can use freed memory and run code on the server (CVSS 10)',
    fixed: {
      redis: ['6.2.20', '7.2.11', '7.4.6', '8.0.4', '8.2.2'],
      valkey: ['7.2.11', '8.0.6', '8.1.4'],
    },
  },
  {
    id: 'CVE-2026-23631',
    published: '2026-05-05',
    what: 'a replica that synchronizes while a script runs uses freed memory and may run code',
    fixed: {
      redis: ['7.2.14', '7.4.9', '8.2.6', '8.4.3', '8.6.3'],
      valkey: ['7.2.13', '8.0.9', '8.1.7', '9.0.4'],
    },
    since: { redis: '7.0' },
  },
  {
    id: 'CVE-2026-63639',
    published: '2026-07-21',
    what: 'a made-up value given to RESTORE may run code on the server',
    fixed: { valkey: ['7.2.14', '8.0.10', '8.1.9', '9.0.5', '9.1.1'] },
  },
  {
    id: 'Redis releases of 2026-07-24',
    published: '2026-07-24',
    what: 'an urgent release for holes that may run code on the server',
    fixed: { redis: ['6.2.23', '7.2.15', '7.4.10', '8.2.8', '8.4.5', '8.6.5', '8.8.1'] },
  },
]

export interface Hole {
  readonly id: string
  /** The first version of this branch without it; undefined where the branch got none. */
  readonly fixedIn: string | undefined
}

/** Which of them a version has by its number; a distribution may have mended it without changing that. */
export function holesOf(software: Software, version: string): readonly Hole[] {
  const mine = parse(version)
  if (mine === undefined) return []
  return ADVISORIES.flatMap(({ id, fixed, since }): Hole[] => {
    const fixes = fixed[software]
    if (fixes === undefined) return []
    const first = since?.[software]
    if (first !== undefined && compare(mine, parse(first) ?? []) < 0) return []
    const fixedIn = fixes.find((fix) => branchOf(fix) === branchOf(version))
    if (fixedIn !== undefined) return compare(mine, parse(fixedIn) ?? []) < 0 ? [{ id, fixedIn }] : []
    const newest = parse(fixes.at(-1) as string) ?? []
    return compare(mine, newest) < 0 ? [{ id, fixedIn: undefined }] : []
  })
}

/** True when the first version is older. An unreadable one is not. */
export function isOlder(version: string, than: string): boolean {
  const mine = parse(version)
  return mine !== undefined && compare(mine, parse(than) ?? []) < 0
}

function parse(version: string): number[] | undefined {
  const match = /^(\d{1,4})\.(\d{1,4})(?:\.(\d{1,6}))?/.exec(version)
  return match === null ? undefined : match.slice(1).map((part) => Number(part ?? 0))
}

function branchOf(version: string): string {
  return (parse(version) ?? []).slice(0, 2).join('.')
}

function compare(a: readonly number[], b: readonly number[]): number {
  for (let i = 0; i < 3; i++) {
    const difference = (a[i] ?? 0) - (b[i] ?? 0)
    if (difference !== 0) return difference
  }
  return 0
}
