// The words of the console's page `notices`.
import { words } from '../words.js';

export const t = words({
  title: ['알림', 'Notices'],
  none: ['알림이 없어요.', 'No notices.'],
  noneText: [
    '채널에 문제가 생기거나 복구되면 여기에 알려 드려요.',
    'When a channel fails or is back, you read it here.',
  ],
  read: ['읽음', 'Read'],
  more: ['더 보기', 'More'],
});
