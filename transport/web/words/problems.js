// The words for refusals.
import { words } from '../words.js';

export const t = words({
  'password-common': [
    '너무 많이 쓰이는 비밀번호예요. 짐작하기 어렵게, 다른 곳에서 쓰지 않는 것으로 정해 주세요.',
    'This password is too common. Choose one that is hard to guess and used nowhere else.',
  ],
  'forbidden-origin': [
    '이 주소로 연 화면에서는 보낼 수 없어요. 안내받은 주소로 다시 열어 주세요.',
    'A page opened at this address may not send this. Open it at the address you were given.',
  ],
  'rate-limited': ['요청이 한꺼번에 많이 왔어요. {w} 뒤에 다시 눌러 주세요.', 'Too many requests. Try again in {w}.'],
  'login-throttled': [
    '비밀번호를 여러 번 틀려서 잠시 막았어요. {w} 뒤에 다시 로그인해 주세요.',
    'Too many wrong passwords. Sign in again in {w}.',
  ],
  'outcome-unknown': [
    '처리됐는지 아직 알 수 없어요. 같은 버튼을 한 번 더 누르면 알 수 있어요. 두 번 처리되지는 않아요.',
    'It may have been done. Press the same button again to find out: nothing is done twice.',
  ],
  broken: [
    '서버가 지금 답하지 못해요. 잠시 뒤 같은 버튼을 다시 눌러 주세요.',
    'The server cannot answer just now. Press the same button again in a moment.',
  ],
  seconds: ['{n}초', '{n} seconds'],
  minutes: ['{n}분', '{n} minutes'],
});
