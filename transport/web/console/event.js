// One event: in the making, or running.
import { get } from '../api.js';

/** @param {import('../console.js').Page} page */
export default async function event(page) {
  const e = await get(`/api/events/${page.id}`);
  const making = ['draft', 'planned', 'ready'].includes(e.status);
  const { default: open } = making ? await import('./making.js') : await import('./running.js');
  await open(page, e);
}
