// Small helpers of console and customer page. Text is always text: nothing here ever parses HTML.
import { learnFrom } from './clock.js';
import { isObject, parsed, tab } from './store.js';
import { t } from './words/ui.js';

/** Seconds until a request counts as lost. The server answers within ten, a signup within fifteen. */
const ANSWER_SECONDS = 30;
/** Seconds between two things said of one kind: a screen reader reads each to its end. */
const SAID_EVERY_SECONDS = 10;

/** What an element may hold; lists are flattened. @typedef {Node|string|number|null|undefined|false|any[]} Child */

/**
 * Makes an element: el('p', { class: 'quiet' }, 'text', child). `onclick` and the like take functions; false and null
 * leave an attribute out.
 * @param {string} tag @param {Record<string, any>} [attributes] @param {...Child} children @returns {any}
 */
export const el = (tag, attributes = {}, ...children) => fill(document.createElement(tag), attributes, children);

/**
 * The same for SVG. @param {string} tag @param {Record<string, any>} [attributes] @param {...Child} children
 * @returns {any}
 */
export const svg = (tag, attributes = {}, ...children) =>
  fill(document.createElementNS('http://www.w3.org/2000/svg', tag), attributes, children);

/** @param {Element} node @param {Record<string, any>} attributes @param {Child[]} children */
function fill(node, attributes, children) {
  for (const [key, value] of Object.entries(attributes)) {
    if (value === false || value == null) continue;
    if (key.startsWith('on')) node.addEventListener(key.slice(2), value);
    else node.setAttribute(key, value === true ? '' : String(value));
  }
  node.append(...kept(children));
  return node;
}

/** @param {Child[]} children @returns {(Node|string)[]} */
const kept = (children) =>
  /** @type {any} */ (children.flat(9))
    .filter((/** @type {any} */ c) => c != null && c !== false)
    .map((/** @type {any} */ c) => (c instanceof Node ? c : String(c)));

/** Replaces what an element shows. @param {Element} node @param {...Child} children */
export const show = (node, ...children) => node.replaceChildren(...kept(children));

/** The error of a request whose answer did not arrive, or not whole: it has no status. */
export const unreached = () => new Error(t('offline'));

/**
 * A request that ends in an answer, or in words. @param {string} path @param {RequestInit} [options]
 * @returns {Promise<Response>}
 */
export async function reach(path, options) {
  const sent = Date.now();
  const signal = AbortSignal.timeout?.(ANSWER_SECONDS * 1_000);
  const response = await fetch(path, { signal, ...options }).catch(() => Promise.reject(unreached()));
  learnFrom(response, sent);
  return response;
}

/** The address of the live connection. */
export const socketUrl = () => new URL('/ws', location.href).href.replace(/^http/, 'ws');

/** A problem in words. @param {any} error @returns {string} */
export const reason = (error) => error?.message || String(error);

/**
 * A button that runs an action: disabled meanwhile, and its error said right after it.
 * @param {Child} label @param {() => any} action @param {Record<string, any>} [attributes]
 */
export function button(label, action, attributes = {}) {
  const error = el('p', { class: 'bad', role: 'alert', hidden: true });
  const node = el('button', { type: 'button', ...attributes, onclick: () => attempt(node, error, action) }, label);
  return el('span', { class: 'action' }, node, error);
}

/** @param {any} node @param {any} error @param {() => any} action */
async function attempt(node, error, action) {
  node.disabled = true;
  error.hidden = true;
  try {
    await action();
  } catch (problem) {
    error.textContent = reason(problem);
    error.hidden = false;
    // The shown version is stale: the page reloads its data.
    if (['stale', 'wrong-state'].includes(/** @type {any} */ (problem)?.code))
      dispatchEvent(new CustomEvent('stale', { detail: reason(problem) }));
  } finally {
    node.disabled = false;
  }
}

/**
 * A labelled field, its hint and its place for an error.
 * @param {string} name as the API names it, dots included @param {string} label
 * @param {Record<string, any>} [attributes]
 * @param {Child} [control] instead of an input
 */
export function field(name, label, attributes = {}, control) {
  const { hint, id = `f-${name.replace(/\W/g, '-')}`, ...rest } = attributes;
  const input = control ?? el('input', { required: true, ...rest });
  for (const [key, value] of Object.entries({ id, name, 'aria-describedby': `${id}-e${hint ? ` ${id}-h` : ''}` }))
    input.setAttribute(key, value);
  return el(
    'div',
    { class: 'field' },
    el('label', { for: id }, label),
    input,
    hint && el('p', { id: `${id}-h`, class: 'quiet' }, hint),
    el('p', { id: `${id}-e`, class: 'bad', hidden: true }),
  );
}

/** @param {Record<string, any>} attributes @param {[string, string][]} options value and label */
export const select = (attributes, options) =>
  el(
    'select',
    attributes,
    options.map(([value, label]) => el('option', { value }, label)),
  );

/**
 * Returns what this tab keeps under a name until it is sent; for a form, its fields by name. @param {string} key
 * @returns {any}
 */
export const typed = (key) => parsed(tab.read(`typed ${key}`));

/**
 * The same of a form: null where there is nothing, or something else. @param {string} key
 * @returns {Record<string, unknown>|null}
 */
export function typedFields(key) {
  const known = typed(key);
  return isObject(known) ? known : null;
}

/** @param {string} key @param {any} value */
export const keepTyped = (key, value) => tab.write(`typed ${key}`, JSON.stringify(value));

/**
 * Forgets one form, or all forms and keys, so that the next person finds nothing. @param {string} [key]
 */
export function forgetTyped(key) {
  if (key) return tab.forget(`typed ${key}`);
  tab
    .keys()
    .filter((k) => /^(typed|once) /.test(k))
    .forEach(tab.forget);
}

/**
 * A form: `submit` gets its values by name; errors of the API go to the fields they name, the rest below. With a key,
 * what is typed stays in this tab until it is sent: a phone throws away pages that it does not show. Passwords do not.
 * @param {Child[]} children @param {string} label of the button
 * @param {(values: Record<string, string>) => any} submit @param {string} [key]
 */
export function form(children, label, submit, key) {
  const error = el('p', { class: 'bad', role: 'alert', hidden: true });
  const send = el('button', { type: 'submit' }, label);
  const node = el(
    'form',
    {
      novalidate: true,
      onsubmit: async (/** @type {Event} */ event) => {
        event.preventDefault();
        for (const wrong of node.querySelectorAll('[aria-invalid]')) {
          wrong.removeAttribute('aria-invalid');
          node.querySelector(`#${wrong.id}-e`).hidden = true;
        }
        const missing = [...node.elements].filter(
          (/** @type {any} */ i) => i.required && i.type !== 'checkbox' && !i.value.trim(),
        );
        if (missing.length)
          return mark(
            node,
            missing.map((/** @type {any} */ i) => ({ field: i.name, detail: t('required') })),
          );
        await attempt(send, error, async () => {
          try {
            await submit(Object.fromEntries(/** @type {any} */ (new FormData(node))));
            if (key) forgetTyped(key);
          } catch (problem) {
            if (!mark(node, /** @type {any} */ (problem).problem?.errors)) throw problem;
          }
        });
      },
    },
    children,
    error,
    el('div', { class: 'row' }, send),
  );
  if (key) followTyping(node, key);
  return node;
}

/** @param {any} node a form @param {string} key */
function followTyping(node, key) {
  const fields = () => [...node.elements].filter((/** @type {any} */ i) => i.name && i.type !== 'password');
  const known = typedFields(key);
  for (const input of known ? fields() : []) {
    const value = known?.[input.name];
    if (input.type === 'checkbox') input.checked = value === true;
    else if (typeof value === 'string') input.value = value;
  }
  const keep = () =>
    keepTyped(
      key,
      Object.fromEntries(fields().map((/** @type {any} */ i) => [i.name, i.type === 'checkbox' ? i.checked : i.value])),
    );
  node.addEventListener('input', keep);
  // Rows come and go by a button.
  node.addEventListener('click', (/** @type {any} */ event) => event.target.type === 'button' && keep());
}

/** Shows errors at their fields; false when one has no field here. @param {any} node @param {any[]} [errors] */
function mark(node, errors) {
  if (!errors?.length) return false;
  let first = null,
    all = true;
  for (const { field: name, detail } of errors) {
    const input = node.elements.namedItem(name);
    if (!input?.id) {
      all = false;
      continue;
    }
    input.setAttribute('aria-invalid', 'true');
    const place = node.querySelector(`#${input.id}-e`);
    place.textContent = detail;
    place.hidden = false;
    first ??= input;
  }
  first?.focus();
  return all;
}

/** Copies a text, and says so, or says that this browser does not copy. @param {string} text */
export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    toast(t('copied'));
  } catch {
    toast(t('noCopy'), 'warning');
  }
}

/**
 * Asks once before what cannot be undone. @param {string} title @param {Child} text @param {string} [yes]
 * @returns {Promise<boolean>}
 */
export function confirmed(title, text, yes = t('yes')) {
  return new Promise((resolve) => {
    const dialog = el(
      'dialog',
      {
        'aria-labelledby': 'ask',
        onclose: () => {
          dialog.remove();
          resolve(dialog.returnValue === 'yes');
        },
      },
      el(
        'form',
        { method: 'dialog' },
        el('h2', { id: 'ask' }, title),
        el('p', {}, text),
        el(
          'div',
          { class: 'row' },
          el('button', { value: 'no', class: 'plain' }, t('no')),
          el('button', { value: 'yes' }, yes),
        ),
      ),
    );
    document.body.append(dialog);
    dialog.showModal();
  });
}

/** Says something for a while, in the corner and to screen readers. @param {Child} text */
export function toast(text, level = 'info') {
  const node = el('div', { class: `toast ${level}` }, text);
  document.getElementById('toasts')?.append(node);
  setTimeout(() => node.remove(), 8_000);
}

/** A place that only screen readers notice. It says the newest text, and no two within some seconds. */
export function announcer() {
  const node = el('p', { class: 'unseen', role: 'status' });
  let latest = '',
    last = -Infinity,
    waiting = false;
  const say = () => {
    waiting = false;
    last = performance.now();
    if (node.textContent !== latest) node.textContent = latest;
  };
  /** @param {string} text */
  const tell = (text) => {
    latest = text;
    if (waiting || text === node.textContent) return;
    waiting = true;
    setTimeout(say, Math.max(0, last + SAID_EVERY_SECONDS * 1_000 - performance.now()));
  };
  return { node, tell };
}

/** Returns the path of a picture of this server, under any of the server's names. @param {string} url @returns {string} */
export function ownPicture(url) {
  const { pathname } = new URL(url, location.href);
  return pathname.startsWith('/images/') ? pathname : url;
}

export const loading = () => el('p', { class: 'quiet', role: 'status' }, t('loading'));

/** @param {string} title @param {string} [text] @param {Child} [action] */
export const empty = (title, text, action) =>
  el('div', { class: 'empty' }, el('p', {}, title), text && el('p', { class: 'quiet' }, text), action);

/** @param {any} error @param {() => any} retry */
export const failed = (error, retry) =>
  el('div', { class: 'card' }, el('p', { class: 'bad', role: 'alert' }, reason(error)), button(t('again'), retry));

/**
 * Shows a place loading, then what `make` gives, or its error with a way to try again. @param {Element} place
 * @param {() => any} make
 */
export async function fillIn(place, make) {
  show(place, loading());
  try {
    show(place, await make());
  } catch (error) {
    show(
      place,
      failed(error, () => fillIn(place, make)),
    );
  }
}
