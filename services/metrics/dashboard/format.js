// Numbers, days and durations as people read them.

const locale = navigator.languages?.length ? [...navigator.languages] : undefined;
const whole = new Intl.NumberFormat(locale, { maximumFractionDigits: 0 });
const short = new Intl.NumberFormat(locale, { notation: "compact", maximumFractionDigits: 1 });
const tenth = new Intl.NumberFormat(locale, { maximumFractionDigits: 1, minimumFractionDigits: 1 });
const share = new Intl.NumberFormat(locale, { style: "percent", maximumFractionDigits: 1, minimumFractionDigits: 1 });
const roundShare = new Intl.NumberFormat(locale, { style: "percent", maximumFractionDigits: 0 });
const signed = new Intl.NumberFormat(locale, { maximumFractionDigits: 1, minimumFractionDigits: 1, signDisplay: "exceptZero" });
const signedShare = new Intl.NumberFormat(locale, { style: "percent", maximumFractionDigits: 1, signDisplay: "exceptZero" });
const dayFormat = new Intl.DateTimeFormat(locale, { dateStyle: "medium", timeZone: "UTC" });
const timeFormat = new Intl.DateTimeFormat(locale, { dateStyle: "medium", timeStyle: "short", timeZone: "UTC" });

export const NONE = "–";

const or = (format) => (value) => (value === null || value === undefined ? NONE : format(value));
export const count = or((value) => whole.format(value));
export const compact = or((value) => short.format(value));
export const decimal = or((value) => tenth.format(value));
export const percent = or((value) => share.format(value));
export const roundPercent = or((value) => (value > 0 && value < 0.005 ? `<${roundShare.format(0.01)}` : roundShare.format(value)));
export const signedPercent = or((value) => signedShare.format(value));
export const points = or((value) => signed.format(value));
export const day = or((text) => dayFormat.format(new Date(`${text}T00:00:00Z`)));
export const moment = or((text) => timeFormat.format(new Date(text)));

/** An amount in a currency, without its cents where it is large. A code that nobody knows stands behind the number. */
export function money(value, currency) {
  if (value === null || value === undefined) return NONE;
  const digits = Math.abs(value) >= 1000 ? { maximumFractionDigits: 0 } : {};
  try {
    return new Intl.NumberFormat(locale, { style: "currency", currency, ...digits }).format(value);
  } catch {
    return `${tenth.format(value)} ${currency ?? ""}`.trim();
  }
}

const UNITS = [
  ["d", 86400],
  ["h", 3600],
  ["min", 60],
  ["s", 1],
];

/** Seconds in the largest unit that fits, with one decimal below ten: 5.9 d, 14 h, 44 s. */
export const duration = or((seconds) => {
  const [unit, size] = UNITS.find(([, size]) => seconds >= size) ?? ["s", 1];
  const value = seconds / size;
  return `${value < 10 && unit !== "s" ? tenth.format(value) : whole.format(value)} ${unit}`;
});

/** A name in the plural but for one. */
export const counted = (n, one, many = `${one}s`) => `${count(n)} ${n === 1 ? one : many}`;

export const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);
