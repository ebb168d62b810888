// The words of the console's page `account`.
import { words } from '../words.js';

export const t = words({
  login: ['로그인', 'Sign in'],
  signup: ['가입하기', 'Sign up'],
  new: ['처음이신가요? 가입하기', 'New here? Sign up'],
  known: ['이미 가입하셨나요? 로그인', 'Signed up already? Sign in'],
  pitch: [
    '5분이면 동네 이벤트를 만들어 TV 그림, 통화연결음 문구, SNS 글로 한 번에 보낼 수 있어요.',
    'Five minutes, and your event goes out at once: a picture for TV, a text for the ring-back tone, posts on SNS.',
  ],
  email: ['이메일', 'E-mail'],
  password: ['비밀번호', 'Password'],
  eight: ['8자 이상', 'At least 8 characters'],
  you: ['대표자', 'You'],
  name: ['대표자 이름', 'Your name'],
  phone: ['휴대전화번호', 'Mobile phone'],
  business: ['사업자등록번호', 'Business number'],
  businessHint: [
    '국세청에서 바로 확인해요. 가입에는 몇 초가 걸릴 수 있어요.',
    'Checked with the tax service at once: signing up may take some seconds.',
  ],
  opened: ['개업일', 'Opened on'],
  shop: ['매장', 'Shop'],
  shopName: ['매장 이름', 'Name of the shop'],
  industry: ['업종', 'Industry'],
  region: ['지역', 'Region'],
  regionHint: ['시도와 시군구: 서울 마포구', 'Province and district in Korean: 서울 마포구'],
});
