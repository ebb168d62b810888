// The words of the console's page `job`.
import { words } from '../words.js';

export const t = words({
  failed: ['작업이 끝나지 못했어요.', 'The job failed.'],
  queued: ['차례를 기다리고 있어요', 'Waiting for its turn'],
  asking: ['제안을 만들고 있어요', 'Thinking'],
  options: ['제안을 정리하고 있어요', 'Writing the proposals'],
  drawing: ['배경을 그리고 있어요', 'Drawing'],
  composing: ['글자를 얹고 있어요', 'Setting the text'],
});
