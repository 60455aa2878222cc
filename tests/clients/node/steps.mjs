// What a script of a real client shares: where the gateway is, and the steps that it plays.
import { readFileSync } from "node:fs";
import { isDeepStrictEqual } from "node:util";

export const URL_ = process.env.RLFOCAL_URL;
export const BASE_URL = `${URL_}/v1`;
export const KEY = process.env.RLFOCAL_KEY;
export const QUESTION = "What is 3 + 4 =?";
export const ANSWER = "That is 7.";

export function same(found, wanted) {
  if (!isDeepStrictEqual(found, wanted)) {
    throw new Error(`${JSON.stringify(found)} is not ${JSON.stringify(wanted)}`);
  }
}

export async function play(client, packageName, steps) {
  const outcomes = {};
  for (const [name, step] of Object.entries(steps)) {
    try {
      await step();
      outcomes[name] = "ok";
    } catch (error) {
      console.error(name, error);
      outcomes[name] = String(error).slice(0, 500);
    }
  }
  const folder = process.env.RLFOCAL_NODE_MODULES;
  const about = JSON.parse(readFileSync(`${folder}/${packageName}/package.json`, "utf8"));
  process.stdout.write(JSON.stringify({ client, version: about.version, steps: outcomes }));
}
