// What the reference says in prose: what every caller needs, and what each group of operations is for.

export const DESCRIPTION = `
Send a prompt, get a task; ask for the task until it is \`completed\`, and fetch the video from its signed link.

**Keys.** \`Authorization: Bearer sk-…\`. A key that begins with \`sk-test-\` uses a simulated provider: real clips, no cost, and
tags in the prompt as \`[[fail:content_policy]]\` or \`[[slow:30]]\` that script what happens.

**Statuses.** \`pending\`, \`processing\`, \`completed\`, \`failed\`. A task that ends without a video is never charged. \`video_url\`
is made fresh at each query and good for about an hour: keep the id, not the link.

**Creating once.** Send an \`Idempotency-Key\` with each create, and the same one when you repeat it: the repetition gets the same
task, and one charge. Keys are remembered for 24 hours.

**Errors.** Every error has the same body, \`{"error":{"message","type","code","param"}}\`. [Every code](/errors) with why it
comes, what to do, and whether it was charged. Every reply has an \`x-request-id\`: tell it when you ask for help.

**Limits.** 429 and 503 say in \`Retry-After\` when to come again. Requests refuse fields that they do not know; replies may gain
fields at any time, so ignore those that you do not know.
`.trim();

/** In the order in which they are shown, each for the paths that begin so. Another path is its own tag, by its first word. */
export const TAGS = [
  {
    name: "videos",
    title: "Videos",
    begins: /^\/v1\/video\//,
    description: "Create videos and follow them to their end.",
  },
  { name: "models", title: "Models", begins: /^\/v1\/models/, description: "What can be made, and what it costs." },
  { name: "account", title: "Account", begins: /^\/v1\/(account|usage)/, description: "Credits, limits, and where they went." },
  {
    name: "webhooks",
    title: "Webhooks",
    begins: /^\/v1\/webhooks/,
    description:
      "Be told instead of asking. Messages are signed as [Standard Webhooks](https://www.standardwebhooks.com) describes, and repeated until they are taken.",
  },
  {
    name: "openai",
    title: "OpenAI dialect",
    begins: /^\/v1\/videos/,
    description: "The same videos for programs that speak OpenAI's Videos API: set the SDK's base URL to this gateway's /v1.",
  },
  {
    name: "openrouter",
    title: "OpenRouter dialect",
    begins: /^\/api\/v1\/videos/,
    description: "The same videos for programs that speak OpenRouter's video API: set the base URL to this gateway's /api/v1.",
  },
] as const;
