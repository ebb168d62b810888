// The words of the console's page `pictures`.
import { words } from '../words.js';

export const t = words({
  title: ['마음에 드는 이미지를 고르세요', 'Choose the pictures you like'],
  hint: [
    '여러 장을 고를 수 있어요. 고르지 않은 채널에는 첫 이미지를 크기에 맞춰 써요.',
    'You may take several. Other channels get the first, in their size.',
  ],
  drawing: ['그림을 그리고 있어요. 다 되는 대로 보여 드릴게요.', 'Drawing. Each picture appears when it is ready.'],
  fallback: [
    '그림 서비스가 응답하지 않아 기본 배경을 썼어요.',
    'The picture service did not answer: a built-in background is used.',
  ],
  edit: ['글과 색 바꾸기', 'Edit text and colours'],
  editing: ['이미지 편집', 'Edit the picture'],
  headline: ['제목', 'Headline'],
  body: ['설명', 'Text'],
  palette: ['색', 'Colours'],
  counts: [
    '잠시 멈추거나 다음 칸으로 가면 저장돼요. 저장할 때마다 한 번으로 세고, 하루에 300번까지 고칠 수 있어요.',
    'A change is saved when you pause or go on. Each save counts once, and a day has 300.',
  ],
  done: ['다 했어요', 'Done'],
  saved: ['저장됨', 'Saved'],
  saving: ['저장하는 중', 'Saving'],
  back: ['이전', 'Back'],
  next: ['다음', 'Next'],
  none: ['이미지를 하나 이상 골라 주세요.', 'Choose at least one picture.'],
  most: ['이미지는 아홉 장까지 고를 수 있어요.', 'At most nine pictures.'],
  chosen: ['{n}장 고름', '{n} chosen'],
  SUNSET: ['노을', 'Sunset'],
  FOREST: ['숲', 'Forest'],
  OCEAN: ['바다', 'Ocean'],
  BLOSSOM: ['벚꽃', 'Blossom'],
  HONEY: ['꿀', 'Honey'],
  MONO: ['흑백', 'Mono'],
  NEON: ['네온', 'Neon'],
  CREAM: ['크림', 'Cream'],
});
