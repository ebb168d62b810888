// Makes the console an app: its files are there without a network. Answers of the API are never kept: the console shows no
// old data.
const CACHE = 'madang-2';
const FILES = ['style.css', 'icon.svg'];
const SHARED = ['api', 'chart', 'clock', 'console', 'live', 'once', 'problems', 'proof', 'store', 'ui', 'words'];
const PAGES = [
  'account',
  'draw',
  'event',
  'events',
  'job',
  'making',
  'notices',
  'people',
  'pictures',
  'publishing',
  'running',
  'shop',
  'visiting',
];
const WORDS = ['chart', 'console', 'problems', 'ui', ...PAGES.filter((page) => page !== 'event')];
const MODULES = [...SHARED, ...PAGES.map((page) => `console/${page}`), ...WORDS.map((name) => `words/${name}`)];
const SHELL = ['/', ...[...FILES, ...MODULES.map((module) => `${module}.js`)].map((file) => `/web/${file}`)];
const own = (/** @type {URL} */ url) =>
  url.origin === location.origin && (url.pathname === '/' || url.pathname.startsWith('/web/'));
/** Keeps a file, if the browser has room for it. @param {Request} request @param {Response} response */
const keep = (request, response) =>
  caches
    .open(CACHE)
    .then((cache) => cache.put(request, response))
    .catch(() => {});
/** @param {Request} request */
const kept = (request) =>
  caches
    .match(request)
    .catch(() => undefined)
    .then((response) => response ?? Response.error());

self.addEventListener('install', (/** @type {any} */ event) =>
  event.waitUntil(caches.open(CACHE).then((cache) => cache.addAll(SHELL))),
);
self.addEventListener('activate', (/** @type {any} */ event) =>
  event.waitUntil(
    caches.keys().then((names) => Promise.all(names.filter((n) => n !== CACHE).map((n) => caches.delete(n)))),
  ),
);
self.addEventListener('fetch', (/** @type {any} */ event) => {
  const { request } = event;
  if (request.method !== 'GET' || !own(new URL(request.url))) return;
  event.respondWith(
    fetch(request).then(
      (response) => {
        if (response.ok) event.waitUntil(keep(request, response.clone()));
        return response;
      },
      () => kept(request),
    ),
  );
});
