// The one place that names a video in R2: by its task's id alone, so that a download needs neither tenant nor object.

export const VIDEO_PREFIX = "videos/";

export function videoKey(taskId: string): string {
  return VIDEO_PREFIX + taskId;
}
