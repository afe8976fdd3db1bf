/** Small drawings beside words. They say nothing that the words do not. */
const PATHS = {
  overview: 'M3 12.5 7 8l3.5 3.5L17 5M3 17h14',
  revoke: 'M10 3a7 7 0 1 0 0 14 7 7 0 0 0 0-14ZM5.2 5.2l9.6 9.6',
  revocations: 'M4 5h12M4 10h12M4 15h8',
  check: 'M9 3.5a5.5 5.5 0 1 0 0 11 5.5 5.5 0 0 0 0-11ZM13 13l4 4',
  nodes: 'M10 3v4M10 7l-5 6M10 7l5 6M8 3h4M3 13h4v4H3zM13 13h4v4h-4z',
  audit: 'M5 3h7l3 3v11H5zM8 9h4M8 12.5h4',
  clients: 'M10 10a3 3 0 1 0 0-6 3 3 0 0 0 0 6ZM4 17c.6-3 3-4.5 6-4.5s5.4 1.5 6 4.5',
  leave: 'M8 4H4v12h4M12 7l3 3-3 3M15 10H8',
  close: 'M5 5l10 10M15 5 5 15',
} as const

export type IconName = keyof typeof PATHS

export function Icon({ name }: { readonly name: IconName }) {
  return (
    <svg
      viewBox="0 0 20 20"
      fill="none"
      stroke="currentColor"
      stroke-width="1.6"
      stroke-linecap="round"
      stroke-linejoin="round"
      aria-hidden="true"
    >
      <path d={PATHS[name]} />
    </svg>
  )
}

export function Mark() {
  return (
    <svg viewBox="0 0 32 32" aria-hidden="true">
      <rect width="32" height="32" rx="8" fill="#0f6b5c" />
      <path
        d="M10 23V9h7.2a4.6 4.6 0 0 1 1 9.1L22.5 23"
        fill="none"
        stroke="#fff"
        stroke-width="2.8"
        stroke-linecap="round"
        stroke-linejoin="round"
      />
      <path d="M7.5 18.2h11" stroke="#fff" stroke-width="2.8" stroke-linecap="round" />
    </svg>
  )
}
