// Choosing pictures as they are made, and editing one: it is painted when its owner pauses, goes on or is done.
import { api, create, edit, get } from '../api.js';
import { button, el, field, ownPicture, reason, show, toast } from '../ui.js';
import { name } from '../words.js';
import { t } from '../words/pictures.js';
import { followJob } from './job.js';

const PALETTES = /** @type {const} */ (['SUNSET', 'FOREST', 'OCEAN', 'BLOSSOM', 'HONEY', 'MONO', 'NEON', 'CREAM']);
/** Styles times platforms. */
const KINDS = 9;
/** Milliseconds without typing before the next version is painted: an account has 300 a day. */
const REST_MS = 2_000;

/** @param {import('./making.js').At} at */
export default async function pictures({ page, event, place, to }) {
  const meter = el('div', {}),
    grid = el('div', { class: 'pictures' }),
    count = el('span', { class: 'quiet', role: 'status' });
  /** @type {Set<string>} */
  const ids = new Set(),
    kinds = new Set();
  const chosen = new Set(event.content?.imageIds ?? []);
  const counted = () => show(count, t('chosen', { n: chosen.size }));
  const kind = (/** @type {any} */ image) => `${image.style} ${image.platform}`;
  const add = (/** @type {any} */ image) => {
    if (ids.has(image.id) || (kinds.has(kind(image)) && !chosen.has(image.id))) return;
    ids.add(image.id);
    kinds.add(kind(image));
    grid.append(tile(image, chosen, counted));
  };
  show(
    place,
    el(
      'section',
      { class: 'card' },
      el('h3', {}, t('title')),
      el('p', { class: 'quiet' }, t('hint')),
      meter,
      grid,
      el(
        'div',
        { class: 'row' },
        button(t('back'), () => to(2), { class: 'plain' }),
        button(t('next'), async () => {
          if (!chosen.size) throw new Error(t('none'));
          if (chosen.size > 9) throw new Error(t('most'));
          await edit('PUT', `/api/events/${event.id}/content`, { imageIds: [...chosen] }, event.version);
          to(4);
        }),
        count,
      ),
    ),
  );
  counted();
  // Pictures that could not follow the plan yet are shown as they are: the approval paints them.
  const { items } = await get(`/api/events/${event.id}/images`);
  // Chosen pictures come first. Of overlapping requests the newest picture stands.
  [...items.filter((/** @type {any} */ i) => chosen.has(i.id)), ...items.reverse()].forEach(add);
  if (kinds.size >= KINDS) return;
  const started = await create('/api/content/images', { eventId: event.id }, `${event.id} ${event.version}`);
  if (!started.jobId) return started.images.forEach(add);
  const job = await followJob(page, started.jobId, meter, t('drawing'), (data) => data.image && add(data.image));
  if (job.fallback) show(meter, el('p', { class: 'banner warning' }, t('fallback')));
  job.result.images.forEach(add);
}

/** @param {any} image @param {Set<string>} chosen @param {() => void} counted */
function tile(image, chosen, counted) {
  const picture = el('img', {
    src: ownPicture(image.url),
    alt: image.altText,
    width: image.width,
    height: image.height,
    loading: 'lazy',
  });
  const box = el('input', {
    type: 'checkbox',
    checked: chosen.has(image.id),
    onchange: () => {
      if (box.checked) chosen.add(image.id);
      else chosen.delete(image.id);
      counted();
    },
  });
  return el(
    'div',
    { class: 'tile' },
    el('label', {}, picture, el('span', { class: 'check' }, box, `${name(image.style)} · ${name(image.platform)}`)),
    el('button', { type: 'button', class: 'link', onclick: () => editor(image, picture) }, t('edit')),
  );
}

/** @param {any} image the newest version: kept up to date @param {any} picture its tile */
function editor(image, picture) {
  const preview = el('img', {
    src: ownPicture(image.url),
    alt: image.altText,
    width: image.width,
    height: image.height,
  });
  const status = el('p', { class: 'quiet', role: 'status' });
  /** @type {any} */
  let typing;
  /** @type {object|null} */
  let unsaved = null;
  let saving = Promise.resolve();
  const flush = () => {
    clearTimeout(typing);
    const what = unsaved;
    unsaved = null;
    if (what) saving = saving.then(() => save(what));
  };
  const change = (/** @type {object} */ what) => {
    clearTimeout(typing);
    unsaved = what;
    show(status, t('saving'));
    typing = setTimeout(flush, REST_MS);
  };
  const save = async (/** @type {object} */ what) => {
    try {
      Object.assign(
        image,
        await api('PATCH', `/api/content/images/${image.id}`, what, { 'if-match': `"${image.version}"` }),
      );
      for (const shown of [preview, picture]) Object.assign(shown, { src: ownPicture(image.url), alt: image.altText });
      show(status, t('saved'));
    } catch (/** @type {any} */ error) {
      // Edited elsewhere: the next change is made on what there is now.
      if (error.code === 'stale') Object.assign(image, await get(`/api/content/images/${image.id}`).catch(() => ({})));
      if (dialog.isConnected) show(status, el('span', { class: 'bad' }, reason(error)));
      else toast(reason(error), 'warning');
    }
  };
  const texts = () => ({
    headline: dialog.querySelector('[name=headline]').value,
    body: dialog.querySelector('[name=body]').value,
  });
  const typed = () => change(texts());
  const dialog = el(
    'dialog',
    {
      class: 'editor',
      'aria-labelledby': 'editing',
      onclose: () => {
        flush();
        dialog.remove();
      },
    },
    el(
      'form',
      { method: 'dialog' },
      el('h2', { id: 'editing' }, t('editing')),
      preview,
      status,
      el('p', { class: 'quiet' }, t('counts')),
      field('headline', t('headline'), { value: image.headline, oninput: typed, onchange: flush }),
      field('body', t('body'), { value: image.body, required: false, oninput: typed, onchange: flush }),
      el(
        'fieldset',
        { class: 'palettes' },
        el('legend', {}, t('palette')),
        PALETTES.map((p) =>
          el(
            'label',
            { class: `palette p-${p.toLowerCase()}` },
            el('input', {
              type: 'radio',
              name: 'palette',
              value: p,
              checked: image.palette === p,
              onchange: () => {
                change({ ...texts(), palette: p });
                flush();
              },
            }),
            t(p),
          ),
        ),
      ),
      el('div', { class: 'row' }, el('button', { value: 'done' }, t('done'))),
    ),
  );
  document.body.append(dialog);
  dialog.showModal();
}
