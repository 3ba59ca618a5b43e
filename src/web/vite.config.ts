import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';
import { defineConfig, type Plugin } from 'vite';

/** Where `npm run dev` finds a running admin listener. */
const admin = process.env.POINTSMAN_ADMIN ?? 'http://127.0.0.1:8081';
const served = '^/(api|v2|metrics|openapi\\.json|healthz|readyz)';

/** Writes `.br` and `.gz` beside every text file, so that the server compresses nothing while it serves. */
function precompressed(): Plugin {
  let folder = '';
  return {
    name: 'precompressed',
    apply: 'build',
    configResolved: config => {
      folder = config.build.outDir;
    },
    closeBundle: () => {
      for (const entry of readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
        const path = join(folder, entry);
        if (!/\.(html|js|css|svg|json)$/.test(path) || !statSync(path).isFile()) continue;
        const bytes = readFileSync(path);
        const params = {
          [constants.BROTLI_PARAM_QUALITY]: 11,
          [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length,
        };
        writeFileSync(`${path}.br`, brotliCompressSync(bytes, { params }));
        writeFileSync(`${path}.gz`, gzipSync(bytes, { level: 9 }));
      }
    },
  };
}

export default defineConfig({
  plugins: [precompressed()],
  build: {
    target: 'es2023',
    // The content security policy has no room for `data:` scripts or inline styles.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
  },
  server: {
    host: '127.0.0.1',
    proxy: {
      [served]: {
        target: admin,
        changeOrigin: true,
        configure: proxy => {
          // The listener refuses a foreign `Origin`; that of the development server is one.
          proxy.on('proxyReq', request => {
            request.removeHeader('origin');
            request.removeHeader('sec-fetch-site');
          });
        },
      },
    },
  },
  test: { include: ['app/**/*.test.ts'] },
} as Parameters<typeof defineConfig>[0]);
