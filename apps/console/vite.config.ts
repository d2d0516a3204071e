import react from '@vitejs/plugin-react'
import { defineConfig } from 'vite'

// `npm run dev -w apps/console` serves the page with live reload against a server on port 8080.
export default defineConfig({
  plugins: [react()],
  build: { target: 'es2022', sourcemap: false, emptyOutDir: true },
  server: { proxy: { '/v1': 'http://127.0.0.1:8080' } },
})
