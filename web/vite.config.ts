import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { extname, join } from "node:path";
import { gzipSync } from "node:zlib";
import react from "@vitejs/plugin-react";
import { defineConfig, type Plugin } from "vite";

const server = process.env.RIXIN_DEV_SERVER ?? "http://127.0.0.1:8000";

/** Leaves a `.gz` beside every text of the build: the server sends it as it is, and packs nothing itself. */
function gzipped(folder: string): Plugin {
  return {
    name: "gzipped",
    apply: "build",
    closeBundle() {
      for (const name of readdirSync(folder, { recursive: true, encoding: "utf8" })) {
        if (![".js", ".css", ".html", ".svg"].includes(extname(name))) continue;
        const plain = readFileSync(join(folder, name));
        const packed = gzipSync(plain, { level: 9 });
        if (packed.length < plain.length * 0.9) writeFileSync(join(folder, `${name}.gz`), packed);
      }
    },
  };
}

const OUTPUT = join(import.meta.dirname, "../src/rixin/http/static");

export default defineConfig({
  plugins: [react(), gzipped(OUTPUT)],
  build: {
    outDir: OUTPUT,
    emptyOutDir: true,
    target: "es2022",
    // The page's CSP has no data: for scripts or fonts, so nothing is inlined.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 800,
    rolldownOptions: {
      output: {
        // Libraries change less often than our own code: browsers keep these between updates.
        codeSplitting: {
          groups: [
            { name: "react", test: /node_modules[\\/](react|react-dom|scheduler)[\\/]/, priority: 3 },
            {
              name: "markdown",
              test: /node_modules[\\/](mdast|micromark|unist|decode-named|character-ent|ccount|escape-string|longest-streak|get-east-asian)/,
              priority: 2,
            },
          ],
        },
      },
    },
  },
  server: { proxy: { "/api": server } },
});
