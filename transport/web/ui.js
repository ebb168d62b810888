// Small helpers of console and customer page. Text is always text: nothing here ever parses HTML.

/** Makes an element: el('p', {class: 'quiet'}, 'text', child). @returns {HTMLElement} */
export function el(name, attributes = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === false || value == null) continue;
    if (key.startsWith('on')) node.addEventListener(key.slice(2), value);
    else if (key in node && typeof value !== 'string') node[key] = value;
    else node.setAttribute(key, value === true ? '' : value);
  }
  node.append(...children.flat(Infinity).filter((c) => c != null && c !== false));
  return node;
}

/** Replaces what an element shows. */
export const show = (node, ...children) => node.replaceChildren(...children.flat(Infinity).filter((c) => c != null && c !== false));

export const number = (n) => (n == null ? '–' : Number(n).toLocaleString('ko-KR'));
export const won = (n) => `${number(n)}원`;
export const when = (t) => (t ? new Date(t).toLocaleString('ko-KR', { dateStyle: 'medium', timeStyle: 'short', timeZone: 'Asia/Seoul' }) : '–');

/** Random bytes as hex. */
export const randomHex = (n) => [...crypto.getRandomValues(new Uint8Array(n))].map((b) => b.toString(16).padStart(2, '0')).join('');
