// Codes for requests that cannot be read, or that ask for what there is not. None of them costs anything or leaves anything behind.
import type { ErrorText } from "./error-texts.ts";

export const INPUT_ERRORS = {
  invalid_json: {
    why: "The body is empty, or not JSON: cut off, followed by more text, or with comments, single quotes or a trailing comma.",
    todo: "Send one JSON object, best written by your language's own JSON encoder.",
    on: "body",
  },
  invalid_form: {
    why: "The Content-Type says that the body is a multipart form, and it is none: the boundary is another one, or it was cut off.",
    todo: "Have the form written by your language's own encoder, and leave the Content-Type to it.",
    on: "form",
  },
  invalid_encoding: {
    why: "The body is not UTF-8.",
    todo: "Encode the body as UTF-8.",
    on: "body",
  },
  invalid_unicode: {
    why: "A text holds half of a surrogate pair, as a text that was cut in the middle of an emoji does.",
    todo: "Cut texts between characters, not between UTF-16 units.",
    on: ["generation", "list_videos"],
  },
  invalid_characters: {
    why: "A text holds control characters other than tab and line break.",
    todo: "Remove them from the text.",
    on: "generation",
  },
  duplicate_key: {
    why: "The body has the same name twice, and which of the two is meant cannot be told.",
    todo: "Send each name once; param says which it is.",
    on: "body",
  },
  too_deep: {
    why: "The body is nested deeper than anything this API takes.",
    todo: "Compare the body with the example in the reference.",
    on: "body",
  },
  missing_required_parameter: {
    why: "A field that must be there is not.",
    todo: "Add the field that param names.",
    on: "input",
  },
  invalid_type: {
    why: 'A field has another JSON type than it must have, as "true" in quotes where true is meant. Nothing is converted.',
    todo: "Send the type that the message names.",
    on: "body",
  },
  invalid_value: {
    why: "A field has the right type, but a value that is not allowed.",
    todo: "The message says what is allowed.",
    on: "input",
  },
  unknown_parameter: {
    why: "The body, or the query of a list, has a field that does not exist. It is refused rather than ignored, because you would pay for a video without it, or take the whole list for the part that you asked for.",
    todo: "Remove the field that param names, or correct its name: the message may know which one was meant.",
    on: ["body", "list_videos"],
  },
  unsupported_parameter: {
    why: "The field exists, but not for this model, as an aspect ratio for veo2.",
    todo: "Leave the field out, or choose a model that takes it: GET /v1/models lists what each one can do.",
    on: "generation",
  },
  duplicate_parameter: {
    why: "A query parameter is given more than once.",
    todo: "Give it once.",
    on: "query",
  },
  model_not_found: {
    why: "There is no model of this name. Names are in lower case.",
    todo: "Take a name from GET /v1/models; the message may know which one was meant.",
    on: ["generation", "list_videos"],
  },
  prompt_too_long: {
    why: "The prompt has more characters than allowed, counted in Unicode code points.",
    todo: "Shorten the prompt.",
    on: "generation",
  },
  too_many_images: {
    why: "There are more reference images than the model takes.",
    todo: "Remove some, or choose another model: GET /v1/models has max_images for each.",
    on: "generation",
  },
  image_invalid: {
    why: "The file or data URL that came as reference image is none that is taken. It is judged by its first bytes, not by its name or type.",
    todo: "Send a JPEG, PNG or WebP file; a data URL in Base64.",
    on: "form",
  },
  image_url_not_allowed: {
    why: "An image's URL is not one that we fetch: it is not https, names a private or local address, carries credentials, or has an unusual port.",
    todo: "Host the image where everybody can fetch it over https.",
    on: "generation",
  },
  webhook_url_not_allowed: {
    why: "The webhook's URL is not one that we call: it is not https, or names a private or local address.",
    todo: "Use a public https URL.",
    on: "webhook_url",
  },
  invalid_cursor: {
    why: "The cursor is not one that this list gave.",
    todo: "Pass last_id of the page before as after, unchanged.",
    on: "list",
  },
  invalid_idempotency_key: {
    why: "The header Idempotency-Key is empty, too long, or has characters that are not printable ASCII.",
    todo: "Use a UUID, a new one for each video that you want.",
    on: "create",
  },
  max_cost_exceeded: {
    why: "The video costs more than the max_cost that you gave.",
    todo: "Raise max_cost, or choose a cheaper model or no upsampling. POST /v1/video/quote tells the price beforehand.",
    on: "max_cost",
  },
  not_found: {
    why: "There is nothing at this path. Paths are exact: capitals, double slashes and a slash at the end make other paths.",
    todo: "Compare the path with the reference at /docs.",
    on: "nowhere",
  },
  method_not_allowed: {
    why: "The path exists, but not with this method.",
    todo: "Use a method from the Allow header.",
    on: "nowhere",
  },
  request_timeout: {
    why: "The request's body did not arrive in time.",
    todo: "Send it again; on a slow line, send less: images may go by URL.",
    on: "body",
  },
  payload_too_large: {
    why: "The body, or an image in it, is larger than anything this path takes.",
    todo: "Send images as URLs and not inside the body, or smaller ones where a form may bring them along.",
    on: "body",
  },
  uri_too_long: {
    why: "The URL is too long.",
    todo: "Send what is long in the body of a POST.",
    on: "everywhere",
  },
  unsupported_media_type: {
    why: "The Content-Type is not the one that this path takes.",
    todo: "Send Content-Type: application/json, in UTF-8.",
    on: "body",
  },
  unsupported_encoding: {
    why: "The body is compressed.",
    todo: "Send it uncompressed, without Content-Encoding.",
    on: "body",
  },
  range_not_satisfiable: {
    why: "The Range header asks for bytes past the end of the file.",
    todo: "Content-Range has the file's size. Ask for a range within it, or leave the header out.",
    on: ["file", "content"],
  },
} as const satisfies Record<string, ErrorText>;
