// One colour for one thing, wherever it is shown.

import { token } from "./plot.js";
import { STAGES } from "./stages.js";

const CHANNELS = ["web", "app", "email", "social", "ads", "store", "phone", "chat", "sms", "mail"];

const hue = (text) => [...text].reduce((sum, letter) => (sum * 31 + letter.codePointAt(0)) % 360, 7);

export const ofStage = (stage) => (STAGES.includes(stage) ? token(stage) : token("neutral"));

/** Well-known channels have their own; any other name has the one that its letters give. */
export function ofChannel(channel) {
  if (!channel) return token("neutral");
  const place = CHANNELS.indexOf(channel);
  return place >= 0 ? token(`c${place}`) : `hsl(${hue(channel)} 38% ${token("lightness")})`;
}

/** Distinct colours in order, for things without colours of their own. */
export const numbered = (place) => token(`c${place % CHANNELS.length}`);
