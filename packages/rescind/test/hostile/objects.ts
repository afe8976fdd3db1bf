/** Objects that only a caller can make, where plain claims should be. */
import { TEXTS } from './texts.js'

/** What no message may repeat. */
export const CANARY = 'canary-value'

/** What only a caller can make, each with why it is nasty. */
export const OBJECTS: Readonly<Record<string, () => unknown>> = {
  'an accessor that throws': () => ({
    get sub(): string {
      throw new Error(CANARY)
    },
  }),
  'a proxy that throws whatever is asked': () =>
    new Proxy(
      {},
      new Proxy(
        {},
        {
          get() {
            throw new Error(CANARY)
          },
        },
      ),
    ),
  'a proxy that was revoked': () => {
    const { proxy, revoke } = Proxy.revocable({ sub: 'x' }, {})
    revoke()
    return proxy
  },
  'a proxy with a key that is not there': () =>
    new Proxy(
      {},
      { ownKeys: () => ['sub'], getOwnPropertyDescriptor: () => ({ enumerable: true, configurable: true }) },
    ),
  'a proxy with a million keys': () =>
    new Proxy({}, { ownKeys: () => Array.from({ length: 20_000 }, (_, i) => `k${i}`) }),
  'an array': () => Object.assign([], { sub: 'x' }),
  'a function': () => Object.assign(() => 1, { sub: 'x' }),
  'a Map': () => new Map([['sub', 'x']]),
  'claims that are inherited': () => Object.create({ sub: 'alice' }) as unknown,
  'claims that are not enumerable': () => Object.defineProperty({}, 'sub', { value: 'x' }),
  'a value that becomes a text': () => ({ sub: { toString: () => 'alice' } }),
  'a value that becomes a number': () => ({ sub: { valueOf: () => 1 } }),
  'a boxed text': () => ({ sub: new String('alice') }),
  'a symbol': () => ({ sub: Symbol('alice') }),
  'a megabyte': () => ({ sub: TEXTS['a megabyte'] }),
  'a name of a megabyte': () => ({ [TEXTS['a megabyte'] as string]: 'x' }),
  'a value that says other things': () => ({ sub: CANARY.repeat(200) }),
  'a lone surrogate': () => ({ sub: `${CANARY}\ud800` }),
  'a lone surrogate in a name': () => ({ 'sub\ud800': 'x' }),
}
