// The Data rule of wrangler.toml makes a clip's bytes its module's value.
declare module "*.mp4" {
  const bytes: ArrayBuffer;
  export default bytes;
}
