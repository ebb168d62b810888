// The words of the console's page `people`.
import { words } from '../words.js';

export const t = words({
  title: ['응모자', 'Entrants'],
  back: ['이벤트로 돌아가기', 'Back to the event'],
  masked: ['이름과 전화번호는 가려서 보여 드려요.', 'Names and phone numbers are masked.'],
  channel: ['채널', 'Channel'],
  all: ['모든 채널', 'All channels'],
  visited: ['매장 방문', 'Visited'],
  any: ['방문 여부 전체', 'Visited or not'],
  yes: ['방문함', 'Visited'],
  noVisit: ['방문하지 않음', 'Not visited'],
  no: ['번호', 'No.'],
  name: ['이름', 'Name'],
  phone: ['전화번호', 'Phone'],
  at: ['응모 시각', 'Entered'],
  more: ['더 보기', 'More'],
  none: ['아직 응모한 분이 없어요.', 'Nobody has entered yet.'],
  noneText: ['QR 코드와 링크를 알리면 여기에 나타나요.', 'Share the link or the QR code, and they appear here.'],
  destroyed: ['파기됨', 'Destroyed'],
  purged: ['개인정보를 모두 파기했어요.', 'All personal data is destroyed.'],
  noMatch: ['조건에 맞는 분이 없어요.', 'Nobody fits.'],
});
