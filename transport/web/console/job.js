// A job as it goes on: its progress, what is ready, how it ended.
import { api, connection } from '../api.js';
import { el, show } from '../ui.js';
import { said } from '../words.js';
import { t } from '../words/job.js';

/** Without a live connection the job is asked for, this often at most. */
const ASK_MS = 4_000;
const OVER = ['succeeded', 'failed', 'dead', 'cancelled'];

/**
 * Shows a job's progress until it ended.
 * @param {import('../console.js').Page} page @param {string} id @param {Element} place @param {string} text
 * @param {(data: any) => void} onReady for each option or picture
 * @returns {Promise<any>} the job that succeeded
 */
export function followJob(page, id, place, text, onReady) {
  const meter = el('progress', { max: 100, value: 0, 'aria-label': text }),
    stage = el('span', { class: 'quiet', role: 'status' });
  show(place, el('div', { class: 'job' }, el('p', {}, text), meter, stage));
  const moved = (/** @type {any} */ data) => {
    meter.value = Math.max(meter.value, data.progress ?? 0);
    if (data.stage && data.stage !== 'done') show(stage, t(data.stage));
  };
  return new Promise((resolve, reject) => {
    // A proxy that lets no WebSocket through must not stop anybody.
    const asking = setInterval(async () => {
      if (connection().state !== 'open') await api('GET', `/api/jobs/${id}`).then(ended, () => {});
    }, ASK_MS);
    page.left(() => clearInterval(asking));
    const ended = (/** @type {any} */ job) => {
      if (!OVER.includes(job.status)) return moved(job);
      clearInterval(asking);
      show(place);
      if (job.status === 'succeeded') resolve(job);
      else reject(new Error(said(job.error) || t('failed')));
    };
    page.follow(`job:${id}`, {
      onSnapshot: ended,
      onUpdate: ({ kind, data }) => {
        moved(data);
        if (kind === 'job.ended') ended(data);
        else if (kind.endsWith('.ready')) onReady(data);
      },
      onRefused: (code) => reject(new Error(code)),
    });
  });
}
