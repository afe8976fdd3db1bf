/** Vite, which bundles the theme, takes styles by import. */
declare module '*.css'
