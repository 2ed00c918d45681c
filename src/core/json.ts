/** Plain data: what a provider's handle on its job may be, and what survives storage as it was. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [name: string]: Json };
