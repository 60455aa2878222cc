// Vercel's AI SDK runs the loops: createOpenAI's default (/v1/responses), its chat model, and
// openai-compatible.
import { readFileSync } from "node:fs";
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { generateText, stepCountIs, streamText, tool } from "ai";
import { z } from "zod";
import { BASE_URL, KEY, play, same } from "./steps.mjs";

const told = JSON.parse(readFileSync(process.env.RLFOCAL_LOOPS, "utf8"));
let ran = []; // [name, arguments]
let beside = {}; // the usual fields of each request

const withMore = (body) => ({ ...body, ...beside });
const openai = createOpenAI({
  baseURL: BASE_URL, apiKey: KEY,
  fetch: (url, asked) => fetch(url, { ...asked, body: JSON.stringify(withMore(JSON.parse(asked.body))) }),
});
const compatible = createOpenAICompatible({
  name: "rlfocal", baseURL: BASE_URL, apiKey: KEY, includeUsage: true, transformRequestBody: withMore,
});
const models = {
  responses: openai("rlfocal"),
  chat: openai.chat("rlfocal"),
  "openai-compatible": compatible("rlfocal"),
};

function runs(name, description, shape) {
  const execute = async (given) => {
    ran.push([name, given]);
    const result = told.results[name] ?? "?";
    return typeof result === "object" ? result[given.about] : result;
  };
  return tool({ description, inputSchema: z.object(shape), execute });
}
const number = z.number().int();
const tools = {
  find_note: runs("find_note", "The number of the note about something.", { about: z.string() }),
  move_note: runs("move_note", "Move a note.", { number, to: z.enum(["shelf", "bin"]) }),
  erase_note: runs("erase_note", "Erase a note for ever.", { number }),
  send_note: runs("send_note", "Send a note to somebody.", { number, to: z.string() }),
  burn_note: runs("burn_note", "Burn a note.", { number }),
};

async function loop(model, question, history, streamed) {
  const messages = [...history, { role: "user", content: question }];
  const asked = { model, tools, messages, stopWhen: stepCountIs(8), maxRetries: 0 };
  if (!streamed) {
    const run = await generateText(asked);
    return [run.text, [...messages, ...run.response.messages]];
  }
  let failed;
  const run = streamText({ ...asked, onError: ({ error }) => { failed = error; } });
  let said = "";
  for await (const piece of run.fullStream) {
    if (piece.type === "start-step") said = "";
    if (piece.type === "text-delta") said += piece.text;
  }
  if (failed) throw failed;
  return [said, [...messages, ...(await run.response).messages]];
}

async function one(name, model, streamed) {
  const wanted = told.loops[name];
  const calls = (wanted.steps ?? told.steps).flat();
  ran = [];
  beside = {};
  const asked = loop(model, `Loop: ${name}.`, [], streamed);
  if (wanted.refused) {
    const error = await asked.then((said) => { throw new Error(`no error but ${said}`); }, (e) => e);
    same([error.statusCode, error.isRetryable, ran], [422, false, []]);
    return;
  }
  let [said, history] = await asked;
  if (wanted.asks) {
    same([said.includes("Please confirm"), ran], [true, []]);
    beside = { rlfocal: { tools: { [wanted.asks]: { confirmed: true } } } };
    [said] = await loop(model, "Yes, please.", history, streamed);
  }
  same(said, told.final);
  const sorted = (list) => list.map((call) => JSON.stringify(call)).sort();
  same(sorted(ran), sorted(wanted.runs ?? calls));
}

const steps = {};
for (const [api, model] of Object.entries(models)) {
  for (const streamed of [false, true]) {
    for (const name of Object.keys(told.loops)) {
      steps[`${api}, ${name}${streamed ? ", streamed" : ""}`] = () => one(name, model, streamed);
    }
  }
}
await play("Vercel AI SDK", "ai", steps);
