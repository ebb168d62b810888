// The words of a refusal, where the page knows more than the server: the one thing to do next.
import { isObject } from './store.js';
import { t } from './words/problems.js';

/** Codes of fields. */
const FIELDS = ['password-common'];
/** Codes of a whole request. */
const REQUESTS = ['forbidden-origin', 'rate-limited', 'login-throttled', 'outcome-unknown'];
/** Seconds to wait where the server names none. */
const USUAL_WAIT_SECONDS = 60;

/** How long to wait, as a person says it. @param {number} seconds */
function wait(seconds) {
  return seconds < 100 ? t('seconds', { n: seconds }) : t('minutes', { n: Math.ceil(seconds / 60) });
}

/**
 * The problem of an answer (RFC 9457) that is none of success, its texts those for people. @param {Response} response
 */
export async function problemOf(response) {
  const body = await response.json().catch(() => null);
  /** @type {any} */
  const problem = isObject(body) ? body : {};
  const { code } = problem;
  const seconds = Number(response.headers.get('retry-after')) || USUAL_WAIT_SECONDS;
  const errors = problem.errors?.map((/** @type {any} */ e) =>
    FIELDS.includes(e.code) ? { ...e, detail: t(e.code) } : e,
  );
  const own = !errors?.length && REQUESTS.includes(code) ? t(code, { w: wait(seconds) }) : null;
  return { ...problem, errors, detail: own ?? problem.detail ?? problem.title ?? t('broken') };
}
