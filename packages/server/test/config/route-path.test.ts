import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { comparablePath } from '../../src/config/route-path.js'

const UNCLEAR = [
  ...[
    '',
    'admin',
    '*',
    'http://app.example/admin',
    '//admin',
    '/a//b',
    '/admin//',
    '/./admin',
    '/a/../admin',
  ],
  ...['/..', '/.', '/a/..', '/a/.', '/%2e%2e/admin', '/%2E/admin', '/.%2e/admin', '/a/%2e%2e'],
  ...['/admin%2f', '/a%2Fb', '/a%5cb', '/a\\b', '/a;b', '/admin;x=1/users', '/a%3bb', '/..;/admin'],
  ...['/a%00', '/a%0a', '/a%1f', '/a%7f', '/a%C2%80', '/a\tb', '/a b', '/a\u0000', '/café', '/a#b', '/a%23b'],
  ...['/a%3Fb', '/%252e%252e/admin', '/a%252fb', '/a%', '/a%2', '/a%zz', '/a%ff', '/%c0%af', '/%c0%ae%c0%ae'],
  ...['/%ed%a0%80', `/${'a'.repeat(8192)}`],
]

describe('the path that routes are compared with', () => {
  it.each([
    ['/', '/'],
    ['/?a=/../b', '/'],
    ['/orders', '/orders'],
    ['/orders/', '/orders'],
    ['/orders/42?next=//evil', '/orders/42'],
    ['/caf%C3%A9', '/café'],
    ['/%61dmin', '/admin'],
    ['/a%20b', '/a b'],
    ['/100%25', '/100%'],
    ["/-._~!$&'()*+,=:@[]^|", "/-._~!$&'()*+,=:@[]^|"],
    ['/...', '/...'],
    ['/.well-known/x', '/.well-known/x'],
  ])('of %s is %s', (told, path) => {
    expect(comparablePath(told)).toBe(path)
  })

  it.each(UNCLEAR)('refuses %j, which can be read in two ways', (told) => {
    expect(comparablePath(told)).toBeUndefined()
  })

  it('is never another path once it is resolved or decoded again', () => {
    const piece = fc.constantFrom(
      '/',
      '.',
      '..',
      '%2e',
      '%2f',
      '%5c',
      ';',
      '\\',
      'a',
      'admin',
      '%61',
      '%25',
      '2e',
      '?',
      '%00',
    )
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
        const path = comparablePath(`/${pieces.join('')}`)
        if (path === undefined) return
        expect(path).not.toMatch(/\/\/|\\|;|%[0-9a-f]{2}|(^|\/)\.{1,2}(\/|$)/i)
        const { pathname } = new URL(`http://app.example${path.replaceAll('%', '%25')}`)
        expect(decodeURIComponent(pathname)).toBe(path)
      }),
      { numRuns: 2000 },
    )
  })
})
