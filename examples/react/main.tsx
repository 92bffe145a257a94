/// <reference types="vite/client" />
import { createClient } from 'holdfast-client';
import { HoldfastProvider } from 'holdfast-client/react';
import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { App } from './App.js';

const url = import.meta.env['VITE_GATEWAY'] ?? 'ws://127.0.0.1:8080/v1/connect';
const makeClient = () => createClient({ url, storage: sessionStorage });

const root = document.getElementById('root');
if (root === null) throw new Error('index.html has no element to render into');
createRoot(root).render(
  <StrictMode>
    <HoldfastProvider client={makeClient}>
      <App />
    </HoldfastProvider>
  </StrictMode>,
);
