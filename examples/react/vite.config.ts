import react from '@vitejs/plugin-react';
import { defineConfig } from 'vite';

export default defineConfig({
  plugins: [react()],
  // holdfast-client is linked here, and would find another React beside its real path.
  resolve: { dedupe: ['react'] },
});
