import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

const server = process.env.RIXIN_DEV_SERVER ?? "http://127.0.0.1:8000";

export default defineConfig({
  plugins: [react()],
  build: {
    outDir: "../src/rixin/http/static",
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
