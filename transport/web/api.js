// The API with a login: tokens renewed once for all who wait, problems as errors.
import { Live } from './live.js';
import { reach, socketUrl } from './ui.js';
import { language } from './words.js';

/** An answer that is a problem (RFC 9457). */
class ApiError extends Error {
  /** @param {any} problem */
  constructor(problem) {
    super(problem.errors?.map((/** @type {any} */ e) => e.detail).join(' ') || problem.detail || problem.title || 'HTTP');
    this.problem = problem;
    this.code = problem.code;
  }
}

/** @type {{accessToken: string, refreshToken: string}|null} */
let tokens = JSON.parse(localStorage.getItem('madang') || 'null');
/** @type {Promise<boolean>|null} */
let renewing = null;
/** @type {Live|null} */
let live = null;
let signedOut = () => {};
/** @type {(state: import('./live.js').LiveState) => void} */
let onLive = () => {};

export const signedIn = () => tokens !== null;

/** @param {() => void} out @param {(state: import('./live.js').LiveState) => void} state */
export function listen(out, state) {
  signedOut = out;
  onLive = state;
}

/** Keeps tokens, or forgets them. @param {any} given */
export function keep(given) {
  tokens = given && { accessToken: given.accessToken, refreshToken: given.refreshToken };
  if (tokens) localStorage.setItem('madang', JSON.stringify(tokens));
  else localStorage.removeItem('madang');
  if (!tokens) {
    live?.close();
    live = null;
  }
}

// Another tab renewed the tokens, or signed out.
addEventListener('storage', ({ key, newValue }) => {
  if (key !== 'madang') return;
  tokens = JSON.parse(newValue || 'null');
  if (!tokens) {
    keep(null);
    signedOut();
  }
});

/** New tokens; false when the login is over. Whatever else goes wrong is an error, and the login stays. */
async function renew() {
  // Another tab may have renewed them, or this page may come from a cache.
  const kept = JSON.parse(localStorage.getItem('madang') || 'null');
  if (kept && kept.refreshToken !== tokens?.refreshToken) {
    tokens = kept;
    return true;
  }
  const response = await reach('/api/users/token/refresh', { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ refreshToken: tokens?.refreshToken }) });
  if (response.status === 401) return false;
  if (!response.ok) throw new ApiError(await response.json().catch(() => ({ title: `HTTP ${response.status}` })));
  keep(await response.json());
  return true;
}

/**
 * @param {string} method @param {string} path @param {any} [body] @param {Record<string, string>} [headers]
 * @returns {Promise<Response>} one that is ok
 */
async function request(method, path, body, headers = {}, again = true) {
  const all = { 'accept-language': language, ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...(tokens ? { authorization: `Bearer ${tokens.accessToken}` } : {}), ...headers };
  const response = await reach(path, { method, headers: all, body: body === undefined ? undefined : JSON.stringify(body) });
  if (response.status === 401 && tokens && again) {
    renewing ??= renew().finally(() => (renewing = null));
    if (await renewing) return request(method, path, body, headers, false);
    keep(null);
    signedOut();
  }
  if (!response.ok) throw new ApiError(await response.json().catch(() => ({ title: `HTTP ${response.status}` })));
  return response;
}

/** @param {string} method @param {string} path @param {any} [body] @param {Record<string, string>} [headers] @returns {Promise<any>} */
export async function api(method, path, body, headers) {
  const response = await request(method, path, body, headers);
  return response.status === 204 ? null : response.json();
}
/** @param {string} path */
export const get = (path) => api('GET', path);
/** @param {string} path @param {any} [body] */
export const post = (path, body = {}) => api('POST', path, body);
/** An edit of a version. @param {string} method @param {string} path @param {any} body @param {number} [version] */
export const edit = (method, path, body, version) => api(method, path, body, version == null ? {} : { 'if-match': `"${version}"` });
/** A file as an address for an `img`. @param {string} path */
export async function picture(path) {
  const blob = await (await request('GET', path)).blob();
  return new Promise((resolve) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result);
    reader.readAsDataURL(blob);
  });
}

/** The live connection of this login. */
export function connection() {
  live ??= new Live({
    url: socketUrl(),
    onState: onLive,
    ticket: async () => {
      try {
        return (await api('POST', '/api/realtime/tickets', {})).ticket;
      } catch (error) {
        throw tokens ? error : Live.SIGNED_OUT;
      }
    },
  });
  return live;
}
addEventListener('online', () => live?.wake());
document.addEventListener('visibilitychange', () => document.hidden || live?.wake());
