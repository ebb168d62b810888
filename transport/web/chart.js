// Charts: drawn as SVG, moving with the data, with a table for those who do not see them.
import { el, show, svg } from './ui.js';
import { number } from './words.js';
import { t } from './words/chart.js';

const wide = matchMedia('(min-width: 48rem)').matches;
const WIDTH = wide ? 640 : 380;
/** Lines stand in half a column on a wide screen: their text must not shrink with them. */
const NARROW = 380;

/** @typedef {{label: string, value: number, shown?: string}} Bar */

/** @param {string} title @param {[string, string]} heads @param {any} drawing @param {Bar[]} bars */
function figure(title, heads, drawing, bars) {
  const body = el('tbody', {});
  const table = (/** @type {Bar[]} */ rows) =>
    show(
      body,
      rows.map((b) =>
        el('tr', {}, el('th', { scope: 'row' }, b.label), el('td', { class: 'number' }, b.shown ?? number(b.value))),
      ),
    );
  table(bars);
  const node = el(
    'figure',
    { class: 'card chart' },
    el('figcaption', {}, title),
    drawing,
    el(
      'details',
      {},
      el('summary', {}, t('table')),
      el(
        'div',
        { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': title },
        el(
          'table',
          {},
          el(
            'thead',
            {},
            el(
              'tr',
              {},
              heads.map((h, i) => el('th', { scope: 'col', class: i ? 'number' : null }, h)),
            ),
          ),
          body,
        ),
      ),
    ),
  );
  return { node, table };
}

/** What a chart shows, for those who cannot see it. @param {string} title @param {Bar[]} bars */
const told = (title, bars) => `${title}: ${bars.map((b) => `${b.label} ${b.shown ?? number(b.value)}`).join(', ')}`;

/**
 * Columns over time.
 * @param {string} title @param {[string, string]} heads of the table @param {Bar[]} bars
 */
export function columns(title, heads, bars) {
  const height = 200,
    base = 168;
  const drawing = svg('svg', { viewBox: `0 0 ${WIDTH} ${height}`, role: 'img' });
  const { node, table } = figure(title, heads, drawing, bars);
  /** @type {Map<string, any>} */
  let drawn = new Map();
  const top = svg('text', { x: 0, y: 14, class: 'axis' });
  /** @param {Bar[]} next */
  const update = (next) => {
    drawing.setAttribute(
      'aria-label',
      told(
        title,
        next.filter((b) => b.value),
      ),
    );
    const most = Math.max(1, ...next.map((b) => b.value));
    const step = WIDTH / Math.max(next.length, 1),
      thick = Math.min(step * 0.7, 64);
    if (next.length !== drawn.size || next.some((b) => !drawn.has(b.label))) {
      drawn = new Map(
        next.map((b, i) => {
          const bar = svg('rect', {
            x: i * step + (step - thick) / 2,
            y: 24,
            width: thick,
            height: base - 24,
            rx: 3,
            class: 'bar',
          });
          bar.style.transformOrigin = `0 ${base}px`;
          bar.style.transform = 'scaleY(0)';
          return [b.label, bar];
        }),
      );
      const every = Math.ceil(next.length / (wide ? 12 : 6));
      show(
        drawing,
        svg('line', { x1: 0, x2: WIDTH, y1: base, y2: base, class: 'base' }),
        top,
        [...drawn.values()],
        next.map(
          (b, i) =>
            i % every === 0 &&
            svg('text', { x: i * step + step / 2, y: height - 8, class: 'axis', 'text-anchor': 'middle' }, b.label),
        ),
      );
    }
    top.textContent = number(most);
    requestAnimationFrame(() =>
      next.forEach((b) => (drawn.get(b.label).style.transform = `scaleY(${b.value / most})`)),
    );
    table(next);
  };
  update(bars);
  return { node, update };
}

/**
 * Lines of bars, one under the other, each with its figure.
 * @param {string} title @param {[string, string]} heads @param {Bar[]} bars
 */
export function lines(title, heads, bars) {
  const row = 30,
    left = 92,
    right = 112;
  const drawing = svg('svg', { role: 'img' });
  const { node, table } = figure(title, heads, drawing, bars);
  /** @type {Map<string, any>} */
  let drawn = new Map();
  /** @param {Bar[]} next */
  const update = (next) => {
    drawing.setAttribute('aria-label', told(title, next));
    const most = Math.max(1, ...next.map((b) => b.value));
    if (next.length !== drawn.size || next.some((b) => !drawn.has(b.label))) {
      drawing.setAttribute('viewBox', `0 0 ${NARROW} ${Math.max(next.length, 1) * row}`);
      drawn = new Map(
        next.map((b, i) => {
          const bar = svg('rect', {
            x: left,
            y: i * row + 6,
            width: NARROW - left - right,
            height: row - 12,
            rx: 3,
            class: 'bar',
          });
          bar.style.transformOrigin = `${left}px 0`;
          bar.style.transform = 'scaleX(0)';
          const text = svg('text', { x: NARROW, y: i * row + 20, class: 'value', 'text-anchor': 'end' });
          return [b.label, { bar, text, label: svg('text', { x: 0, y: i * row + 20, class: 'label' }, b.label) }];
        }),
      );
      show(
        drawing,
        [...drawn.values()].flatMap((d) => [d.label, d.bar, d.text]),
      );
    }
    requestAnimationFrame(() =>
      next.forEach((b) => (drawn.get(b.label).bar.style.transform = `scaleX(${b.value / most})`)),
    );
    next.forEach((b) => (drawn.get(b.label).text.textContent = b.shown ?? number(b.value)));
    table(next);
  };
  update(bars);
  return { node, update };
}
