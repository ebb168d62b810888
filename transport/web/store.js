// The memory of a page. The browser's storage may be missing, full, damaged or forbidden: then values stay in memory
// and, so that a reload finds them, in the history entry of the page. A reader checks the shape of what it gets back.

/**
 * A place for texts by name. `write` returns whether the browser's storage took the text; it is remembered anyway.
 * @typedef {object} Area
 * @property {(key: string) => string|null} read
 * @property {(key: string, value: string) => boolean} write
 * @property {(key: string) => void} forget
 * @property {() => string[]} keys
 */

/** Names that stay out of the history, which nobody can clear: logins, and what a person typed. */
const PRIVATE = /^(madang$|typed )/;

/** Texts that the storage did not take; null where it did not delete one. @typedef {Map<string, string|null>} Spare */

/** @type {Record<string, Spare>} */
const spares = { device: carried('device'), tab: carried('tab') };
// Removes private texts that the language switch put into the history.
carry();
addEventListener('hashchange', () => carry());

/** For all pages of this browser, and for good. */
export const device = area(spares.device, () => localStorage);
/** For this tab until it is closed. */
export const tab = area(spares.tab, () => sessionStorage);

/** @param {Spare} spare @param {() => Storage} open throws where storage is forbidden @returns {Area} */
function area(spare, open) {
  /** @template T @param {(storage: Storage) => T} use @returns {T|undefined} */
  const attempt = (use) => {
    try {
      return use(open());
    } catch {
      return undefined;
    }
  };
  const stored = (/** @type {string} */ key) => attempt((storage) => storage.getItem(key)) ?? null;
  const keep = (/** @type {string} */ key, /** @type {string|null|undefined} */ value) => {
    if (value === undefined && !spare.has(key)) return;
    if (value === undefined) spare.delete(key);
    else spare.set(key, value);
    // Browsers bound how often a page writes its history: what is not kept there changes nothing.
    if (!PRIVATE.test(key)) carry();
  };
  return {
    read: (key) => (spare.has(key) ? (spare.get(key) ?? null) : stored(key)),
    write(key, value) {
      attempt((storage) => storage.setItem(key, value));
      if (stored(key) !== value) {
        // Full: a text of before must not be found again in place of this one.
        attempt((storage) => storage.removeItem(key));
        attempt((storage) => storage.setItem(key, value));
      }
      const taken = stored(key) === value;
      keep(key, taken ? undefined : value);
      return taken;
    },
    forget(key) {
      attempt((storage) => storage.removeItem(key));
      keep(key, stored(key) === null ? undefined : null);
    },
    keys() {
      const known = attempt((storage) => Object.keys(storage)) ?? [];
      return [...new Set([...known, ...spare.keys()])].filter((key) => spare.get(key) !== null);
    },
  };
}

/** @param {string} name @returns {Spare} */
function carried(name) {
  try {
    const known = history.state?.madang?.[name];
    const texts = Object.entries(isObject(known) ? known : {}).filter(([, value]) => typeof value === 'string');
    return new Map(/** @type {[string, string][]} */ (texts));
  } catch {
    return new Map();
  }
}

/** Writes what the storage did not take into the history entry. @param {boolean} [all] private texts too */
export function carry(all = false) {
  const kept = (/** @type {Spare} */ spare) =>
    Object.fromEntries([...spare].filter(([key, value]) => value !== null && (all || !PRIVATE.test(key))));
  const madang = { device: kept(spares.device), tab: kept(spares.tab) };
  try {
    const empty = Object.values(madang).every((texts) => Object.keys(texts).length === 0);
    if (empty && !history.state?.madang) return;
    history.replaceState({ ...(isObject(history.state) ? history.state : {}), madang }, '');
  } catch {
    // Memory has it until the page is left.
  }
}

/** @param {unknown} value @returns {value is Record<string, unknown>} */
export function isObject(value) {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Reads JSON; null for what is none. @param {string|null|undefined} text @returns {any} */
export function parsed(text) {
  try {
    return text == null ? null : JSON.parse(text);
  } catch {
    return null;
  }
}
