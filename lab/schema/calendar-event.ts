/*
 * The grammar of PVE's calendar events (pve-docs, appendix 'Calendar Events'): weekdays, then a date, then a time, each
 * of which may be left out; lists with `,`, ranges with `..`, repetitions with `/`.
 */
const DAY = "(?:mon|tue|wed|thu|fri|sat|sun)(?:day|sday|nesday|rsday|urday)?";
const DAYS = new RegExp(`^${DAY}(?:(?:\\.\\.|,)${DAY})*$`, "i");
const SPECIAL = new Set([
  "minutely",
  "hourly",
  "daily",
  "weekly",
  "monthly",
  "yearly",
  "annually",
  "quarterly",
  "semiannually",
  "semi-annually",
]);

function isField(text: string, low: number, high: number): boolean {
  return text.split(",").every((item) => {
    const found = /^(?:\*|(\d+)(?:\.\.(\d+))?)(?:\/(\d+))?$/.exec(item);
    if (!found) return false;
    const [, from, to, step] = found;
    const inside = (part: string | undefined) => part === undefined || (+part >= low && +part <= high);
    return (
      inside(from) && inside(to) && (to === undefined || +to >= +(from as string)) && (step === undefined || +step > 0)
    );
  });
}

function isTime(text: string): boolean {
  const parts = text.split(":");
  if (parts.length > 3) return false;
  // A lone field counts minutes (a repetition such as every quarter of an hour), two are hours and minutes.
  const limits = parts.length === 1 ? [59] : [23, 59, 59];
  return parts.every((part, index) => isField(part, 0, limits[index] as number));
}

function isDate(text: string): boolean {
  const parts = text.split("-");
  if (parts.length < 2 || parts.length > 3) return false;
  const limits =
    parts.length === 3
      ? [
          [1970, 9999],
          [1, 12],
          [1, 31],
        ]
      : [
          [1, 12],
          [1, 31],
        ];
  return parts.every((part, index) => isField(part, limits[index]?.[0] as number, limits[index]?.[1] as number));
}

/** Whether PVE accepts the text as a schedule, e.g. every 15 minutes, `02:30` or `mon..fri 22:00`. */
export function isCalendarEvent(text: string): boolean {
  const words = text.trim().split(/\s+/);
  if (words.length === 1 && SPECIAL.has((words[0] as string).toLowerCase())) return true;
  if (words[0] === "" || words.length > 3) return false;
  let stage = 0;
  for (const word of words) {
    if (stage < 1 && DAYS.test(word)) stage = 1;
    else if (stage < 2 && isDate(word)) stage = 2;
    else if (stage < 3 && isTime(word)) stage = 3;
    else return false;
  }
  return true;
}
