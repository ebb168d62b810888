// The API with a login: tokens renewed once for all who wait, problems as errors.
import { learn } from './clock.js';
import { Live } from './live.js';
import { once } from './once.js';
import { problemOf } from './problems.js';
import { device, isObject, parsed } from './store.js';
import { reach, socketUrl, unreached } from './ui.js';
import { language } from './words.js';

/** An answer that is a problem (RFC 9457). */
class ApiError extends Error {
  /** @param {any} problem @param {number} status */
  constructor(problem, status) {
    super(problem.errors?.map((/** @type {any} */ e) => e.detail).join(' ') || problem.detail);
    this.problem = problem;
    this.code = problem.code;
    this.status = status;
  }
}

/** @typedef {{accessToken: string, refreshToken: string}} Tokens */

/** The tokens in something that was kept or answered; null where it is anything else. @param {unknown} known */
function tokensOf(known) {
  if (!isObject(known)) return null;
  const { accessToken, refreshToken } = known;
  if (typeof accessToken !== 'string' || typeof refreshToken !== 'string') return null;
  return subjectOf(accessToken) === null ? null : { accessToken, refreshToken };
}

/** Whose token it is, as it says itself: the server checks it. @param {string} token @returns {string|null} */
function subjectOf(token) {
  try {
    const { sub } = JSON.parse(atob(token.split('.')[1].replace(/-/g, '+').replace(/_/g, '/')));
    return typeof sub === 'string' && sub ? sub : null;
  } catch {
    return null;
  }
}

const LOGIN = 'madang';
const keptTokens = () => tokensOf(parsed(device.read(LOGIN)));
/** @type {Tokens|null} */
let tokens = keptTokens();
// Forgets a damaged login for all tabs.
if (!tokens) device.forget(LOGIN);
/** @type {Promise<boolean>|null} */
let renewing = null;
/** @type {Live|null} */
let live = null;
let signedOut = () => {};
/** @type {(state: import('./live.js').LiveState) => void} */
let onLive = () => {};

export const signedIn = () => tokens !== null;

/** The id of the owner who is signed in. */
export const owner = () => tokens && subjectOf(tokens.accessToken);

/** @param {() => void} out @param {(state: import('./live.js').LiveState) => void} state */
export function listen(out, state) {
  signedOut = out;
  onLive = state;
}

/** Keeps the tokens of an answer, or forgets them. @param {any} given */
export function keep(given) {
  tokens = tokensOf(given);
  if (tokens) device.write(LOGIN, JSON.stringify(tokens));
  else device.forget(LOGIN);
  if (!tokens) {
    live?.close();
    live = null;
  }
}

// Another tab renewed the tokens, or signed out.
addEventListener('storage', ({ key, newValue }) => {
  if (key !== LOGIN) return;
  const kept = tokensOf(parsed(newValue));
  if (kept) {
    tokens = kept;
  } else if (tokens) {
    keep(null);
    signedOut();
  }
});

/** Renews the tokens. Returns false when the login is over. Any other failure is an error, and the login stays. */
async function renew() {
  // Another tab may have renewed them, or this page may come from a cache.
  const kept = keptTokens();
  if (kept && kept.refreshToken !== tokens?.refreshToken) {
    tokens = kept;
    return true;
  }
  const response = await reach('/api/users/token/refresh', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ refreshToken: tokens?.refreshToken }),
  });
  if (response.status === 401) return false;
  if (!response.ok) throw new ApiError(await problemOf(response), response.status);
  const fresh = tokensOf(await whole(response));
  if (!fresh) throw unreached();
  keep(fresh);
  return true;
}

/** The JSON of an answer. One that is cut off, or that a portal gave, is no answer. @param {Response} response */
const whole = (response) => response.json().catch(() => Promise.reject(unreached()));

/**
 * @param {string} method @param {string} path @param {any} [body] @param {Record<string, string>} [headers]
 * @returns {Promise<Response>} one that is ok
 */
async function request(method, path, body, headers = {}, again = true) {
  const all = {
    'accept-language': language,
    ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    ...(tokens ? { authorization: `Bearer ${tokens.accessToken}` } : {}),
    ...headers,
  };
  const response = await reach(path, {
    method,
    headers: all,
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  if (response.status === 401 && tokens && again) {
    renewing ??= renew().finally(() => (renewing = null));
    if (await renewing) return request(method, path, body, headers, false);
    keep(null);
    signedOut();
  }
  if (!response.ok) throw new ApiError(await problemOf(response), response.status);
  return response;
}

/**
 * @param {string} method @param {string} path @param {any} [body] @param {Record<string, string>} [headers]
 * @returns {Promise<any>}
 */
export async function api(method, path, body, headers) {
  const response = await request(method, path, body, headers);
  return response.status === 204 ? null : whole(response);
}
/** @param {string} path */
export const get = (path) => api('GET', path);
/** @param {string} path @param {any} [body] */
export const post = (path, body = {}) => api('POST', path, body);
/**
 * A POST that makes something, once: pressed twice, reloaded, or with a lost answer. `what` tells apart what one may
 * well want again, with the same address.
 * @param {string} path @param {any} [body] @param {string|number} [what]
 */
export const create = (path, body = {}, what = '') =>
  once(`${path} ${what}`, (key) => api('POST', path, body, { 'idempotency-key': key }));
/** An edit of a version. @param {string} method @param {string} path @param {any} body @param {number} [version] */
export const edit = (method, path, body, version) =>
  api(method, path, body, version == null ? {} : { 'if-match': `"${version}"` });
/** A file as an address for an `img`. @param {string} path @returns {Promise<string>} */
export async function picture(path) {
  const blob = await (await request('GET', path)).blob().catch(() => Promise.reject(unreached()));
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(String(reader.result));
    reader.onerror = () => reject(unreached());
    reader.readAsDataURL(blob);
  });
}

/** The live connection of this login. */
export function connection() {
  live ??= new Live({
    url: socketUrl(),
    onState: onLive,
    onTime: (time, sent) => learn(time, 0, sent),
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
