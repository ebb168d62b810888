// What makes the console an app: its files are there without a network. Never the API: what is shown is never old data.
const CACHE = 'madang-1';
const SHELL = ['/', ...['style.css', 'icon.svg', 'console.js', 'api.js', 'live.js', 'ui.js', 'words.js', 'chart.js', 'proof.js'].map((f) => `/web/${f}`), ...['account', 'draw', 'event', 'events', 'job', 'making', 'notices', 'people', 'pictures', 'publishing', 'running', 'shop'].map((p) => `/web/console/${p}.js`)];
const own = (/** @type {URL} */ url) => url.origin === location.origin && (url.pathname === '/' || url.pathname.startsWith('/web/'));

self.addEventListener('install', (/** @type {any} */ event) => event.waitUntil(caches.open(CACHE).then((cache) => cache.addAll(SHELL))));
self.addEventListener('activate', (/** @type {any} */ event) => event.waitUntil(caches.keys().then((names) => Promise.all(names.filter((n) => n !== CACHE).map((n) => caches.delete(n))))));
self.addEventListener('fetch', (/** @type {any} */ event) => {
  const { request } = event;
  if (request.method !== 'GET' || !own(new URL(request.url))) return;
  event.respondWith(fetch(request).then((response) => {
    if (response.ok) {
      const copy = response.clone();
      event.waitUntil(caches.open(CACHE).then((cache) => cache.put(request, copy)));
    }
    return response;
  }, () => caches.match(request).then((kept) => kept ?? Response.error())));
});
