import { nextRun, parseCalendarEvent } from "../planning/calendar";

/**
 * Next time, in seconds since the epoch, that a calendar event comes after a time.
 *
 * @returns undefined when the text is no calendar event or never comes
 */
export function nextEvent(schedule: string, after: number): number | undefined {
  const { event } = parseCalendarEvent(schedule);
  return event ? nextRun(event, after) : undefined;
}
