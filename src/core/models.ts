// The catalogue. Validation, pricing, routing and the poll schedule all read this one table.

export type AspectRatio = "16:9" | "9:16";
export const ASPECT_RATIOS = ["16:9", "9:16"] as const satisfies readonly AspectRatio[];

export interface Model {
  readonly name: ModelName;
  readonly description: string;
  /** Empty: the model chooses, and naming one is refused. */
  readonly aspectRatios: readonly AspectRatio[];
  /** Reference images it takes at most; 0: none. */
  readonly maxImages: number;
  /** What its images are: the frames to begin and end on, or elements to compose. Null where it takes none. */
  readonly imageRole: "frames" | "components" | null;
  readonly upsample: boolean;
  /** Price of one video, in credits. */
  readonly credits: number;
  /** Added when it is upsampled, in credits. */
  readonly upsampleCredits: number;
  /** From create to the last moment a provider may deliver, in milliseconds. */
  readonly deadlineMs: number;
  /** How long a generation usually takes, in milliseconds: the first poll comes near it. */
  readonly medianMs: number;
}

const MINUTE_MS = 60_000;
const DEADLINE_MS = 30 * MINUTE_MS;

const BASE = {
  aspectRatios: [],
  maxImages: 0,
  imageRole: null,
  upsample: true,
  deadlineMs: DEADLINE_MS,
} as const;
const VEO3 = { ...BASE, aspectRatios: ASPECT_RATIOS } as const;

const MODELS = {
  veo2: { ...BASE, description: "Veo 2 base model", credits: 20, upsampleCredits: 10, medianMs: 60_000 },
  "veo2-fast": { ...BASE, description: "Veo 2 fast generation", credits: 10, upsampleCredits: 5, medianMs: 40_000 },
  "veo2-pro": { ...BASE, description: "Veo 2 professional quality", credits: 40, upsampleCredits: 20, medianMs: 90_000 },
  "veo2-fast-frames": {
    ...BASE,
    description: "Veo 2 with first and last frame references",
    maxImages: 2,
    imageRole: "frames",
    credits: 12,
    upsampleCredits: 6,
    medianMs: 45_000,
  },
  "veo2-fast-components": {
    ...BASE,
    description: "Veo 2 with component references",
    maxImages: 3,
    imageRole: "components",
    credits: 15,
    upsampleCredits: 8,
    medianMs: 45_000,
  },
  veo3: { ...VEO3, description: "Veo 3 base model", credits: 40, upsampleCredits: 20, medianMs: 90_000 },
  "veo3-fast": { ...VEO3, description: "Veo 3 fast generation", credits: 15, upsampleCredits: 8, medianMs: 60_000 },
  "veo3-pro": { ...VEO3, description: "Veo 3 professional quality", credits: 80, upsampleCredits: 40, medianMs: 120_000 },
  "veo3-pro-frames": {
    ...VEO3,
    description: "Veo 3 with a first frame reference",
    maxImages: 1,
    imageRole: "frames",
    credits: 80,
    upsampleCredits: 40,
    medianMs: 120_000,
  },
  "veo3.1": { ...VEO3, description: "Veo 3.1 latest model", credits: 50, upsampleCredits: 25, medianMs: 90_000 },
  "veo3.1-fast": { ...VEO3, description: "Veo 3.1 fast generation", credits: 20, upsampleCredits: 10, medianMs: 60_000 },
} as const satisfies Record<string, Omit<Model, "name">>;

export type ModelName = keyof typeof MODELS;
export const MODEL_NAMES = Object.keys(MODELS) as [ModelName, ...ModelName[]];

/** What an operator may set for a model without touching the table: prices, and how long it may take. */
export type ModelOverrides = Partial<
  Record<ModelName, Partial<Pick<Model, "credits" | "upsampleCredits" | "deadlineMs" | "medianMs">>>
>;

export type Catalogue = Readonly<Record<ModelName, Model>>;

export function catalogue(overrides: ModelOverrides = {}): Catalogue {
  const entries = MODEL_NAMES.map((name) => [name, { name, ...MODELS[name], ...overrides[name] }]);
  return Object.fromEntries(entries) as Catalogue;
}

/** What an operator changed about a model while the gateway runs. Null: as the catalogue has it. */
export interface ModelSwitch {
  /** Why it is off; null: it is on. */
  readonly off: string | null;
  readonly credits: number | null;
  readonly upsampleCredits: number | null;
}

export type ModelSwitches = Partial<Record<ModelName, ModelSwitch>>;

/** The catalogue as it is sold now. */
export function withSwitches(models: Catalogue, switches: ModelSwitches): Catalogue {
  const entries = Object.values(models).map((model) => {
    const { credits = null, upsampleCredits = null } = switches[model.name] ?? {};
    return [model.name, { ...model, credits: credits ?? model.credits, upsampleCredits: upsampleCredits ?? model.upsampleCredits }];
  });
  return Object.fromEntries(entries) as Catalogue;
}
