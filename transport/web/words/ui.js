// The words of what all pages share.
import { words } from '../words.js';

export const t = words({
  yes: ['진행하기', 'Go ahead'],
  no: ['그만두기', 'Cancel'],
  again: ['다시 시도', 'Try again'],
  loading: ['불러오는 중…', 'Loading…'],
  required: ['꼭 필요한 항목이에요.', 'This is needed.'],
  copied: ['복사했어요.', 'Copied.'],
  offline: ['서버에 닿지 않아요. 연결을 확인해 주세요.', 'The server cannot be reached. Check your connection.'],
  noCopy: ['복사하지 못했어요. 길게 눌러 복사해 주세요.', 'Could not copy: press and hold to copy it.'],
});
