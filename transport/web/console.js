// The merchant console: shell and routes. Pages load when they are first opened.
import { connection, get, keep, listen, owner, post, signedIn } from './api.js';
import { button, el, failed, forgetTyped, loading, show, toast } from './ui.js';
import { language, said, speak } from './words.js';
import { t } from './words/console.js';

/**
 * What a page gets: where to show itself, the parts of its address, a way to leave topics when it is left, and to go
 * on.
 * @typedef {object} Page
 * @property {HTMLElement} main
 * @property {string} id
 * @property {string[]} rest
 * @property {typeof follow} follow
 * @property {typeof left} left
 * @property {(to: string) => void} go
 * @property {() => Promise<void>} again
 */

/** @type {Record<string, () => Promise<{default: (page: Page) => any}>>} */
const pages = {
  '': () => import('./console/events.js'),
  login: () => import('./console/account.js'),
  signup: () => import('./console/account.js'),
  event: () => import('./console/event.js'),
  people: () => import('./console/people.js'),
  draw: () => import('./console/draw.js'),
  notices: () => import('./console/notices.js'),
  shop: () => import('./console/shop.js'),
};
const WORKER = '/worker.js';
const main = /** @type {HTMLElement} */ (document.getElementById('main'));
const bar = /** @type {HTMLElement} */ (document.getElementById('bar'));
/** @type {(() => void)[]} */
let leaving = [];
let visit = 0;
/** Ids of the notices that are not read. @type {Set<string>} */
let unread = new Set();
/** @type {(() => void)|null} */
let notices = null;

/** Does this when the page is left. @param {() => void} then */
const left = (then) => leaving.push(then);

/** Follows a topic until the page is left. @param {string} topic @param {import('./live.js').Listener} listener */
function follow(topic, listener) {
  leaving.push(connection().subscribe(topic, listener));
}

/** @param {string} to */
const go = (to) => {
  if (location.hash === to) route();
  else location.hash = to;
};

const state = el('span', { id: 'live', role: 'status' });
/** @param {import('./live.js').LiveState} now */
function shown(now) {
  state.className = `state ${now}`;
  show(state, t(now));
  document.body.classList.toggle('stale', now !== 'open');
}

const bell = el('a', { href: '#notices', class: 'bell' });
/** @param {Iterable<string>} ids */
export function countUnread(ids) {
  unread = new Set(ids);
  const n = unread.size;
  show(bell, t('notices'), n > 0 && el('span', { class: 'count' }, n));
  bell.setAttribute('aria-label', n ? t('unread', { n }) : t('notices'));
}

function header() {
  const other = el(
    'button',
    {
      type: 'button',
      class: 'link',
      lang: language === 'ko' ? 'en' : 'ko',
      onclick: () => speak(language === 'ko' ? 'en' : 'ko'),
    },
    t('other'),
  );
  if (!signedIn()) return show(bar, other);
  countUnread(unread);
  show(
    bar,
    state,
    el('a', { href: '#' }, t('events')),
    el('a', { href: '#shop' }, t('shop')),
    bell,
    other,
    button(
      t('out'),
      async () => {
        await post('/api/users/logout').catch(() => {});
        forgetTyped();
        keep(null);
        go('#login');
      },
      { class: 'link' },
    ),
  );
  notices ??= connection().subscribe(`owner:${owner()}`, {
    onSnapshot: (s) => countUnread(s.notices.map((/** @type {any} */ n) => n.id)),
    onUpdate: ({ data }) => {
      countUnread([...unread, data.id]);
      toast(said(data), data.level);
      dispatchEvent(new CustomEvent('notice', { detail: data }));
    },
  });
}

/** Registers what lets the console open without a network. A browser that wants none of it goes without. */
async function installed() {
  try {
    // Where the content policy asks for trusted types, this address is the only one.
    const { trustedTypes } = /** @type {any} */ (globalThis);
    const policy = trustedTypes?.createPolicy('madang', { createScriptURL: () => WORKER });
    await navigator.serviceWorker?.register(policy ? policy.createScriptURL(WORKER) : WORKER);
  } catch {
    // Everything works all the same.
  }
}

async function route() {
  leaving.splice(0).forEach((leave) => leave());
  document.querySelectorAll('dialog[open]').forEach((dialog) => /** @type {HTMLDialogElement} */ (dialog).close('no'));
  const mine = ++visit;
  const [page, id = '', ...rest] = location.hash.slice(1).split('/');
  if (!signedIn() && !['login', 'signup'].includes(page)) return go('#login');
  if (signedIn() && ['login', 'signup'].includes(page)) return location.replace('#');
  if (!signedIn()) notices = null;
  header();
  const place = el('div', {}, loading());
  show(main, place);
  try {
    const { default: open } = await (pages[page] ?? pages[''])();
    if (mine !== visit) return;
    await open({ main: place, id, rest: page === 'signup' ? ['signup'] : rest, follow, left, go, again: route });
  } catch (error) {
    if (mine === visit) show(place, failed(error, route));
  }
  if (mine === visit) {
    const heading = main.querySelector('h1, h2');
    document.title = heading ? `${heading.textContent} – 마당` : t('title');
  }
}

show(/** @type {Element} */ (document.getElementById('skip')), t('skip'));
document.getElementById('skip')?.addEventListener('click', (event) => {
  event.preventDefault();
  main.focus();
});
listen(() => go('#login'), shown);
addEventListener('hashchange', () => {
  route();
  main.focus({ preventScroll: true });
  scrollTo(0, 0);
});
route();
get('/readyz').then(
  (r) => r.sandbox && show(/** @type {Element} */ (document.getElementById('sandbox')), t('sandbox')),
  () => {},
);
installed();
addEventListener('stale', (/** @type {any} */ event) => {
  toast(event.detail, 'warning');
  route();
});
addEventListener('offline', () => toast(t('offline'), 'warning'));
