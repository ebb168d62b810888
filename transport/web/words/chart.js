// The words of the charts.
import { words } from '../words.js';

export const t = words({ table: ['표로 보기', 'As a table'] });
