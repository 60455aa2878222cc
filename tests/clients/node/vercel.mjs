// Vercel's AI SDK: createOpenAI's default (/v1/responses), its chat model, and openai-compatible.
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { Output, generateText, stepCountIs, streamText, tool } from "ai";
import { z } from "zod";
import { ANSWER, BASE_URL, KEY, QUESTION, play, same } from "./steps.mjs";

const openai = createOpenAI({ baseURL: BASE_URL, apiKey: KEY });
const compatible = createOpenAICompatible({ name: "rlfocal", baseURL: BASE_URL, apiKey: KEY });
const models = {
  responses: openai("rlfocal"),
  chat: openai.chat("rlfocal"),
  "openai-compatible": compatible("rlfocal"),
};
const add = tool({
  description: "Add two numbers.",
  inputSchema: z.object({ a: z.number(), b: z.number() }),
  execute: async ({ a, b }) => a + b,
});
const loop = { tools: { add }, stopWhen: stepCountIs(4), maxRetries: 0, prompt: QUESTION };

const steps = {};
for (const [name, model] of Object.entries(models)) {
  steps[name] = async () => {
    same((await generateText({ model, prompt: QUESTION, maxRetries: 0 })).text, ANSWER);
  };
  steps[`${name}, streamed`] = async () => {
    let said = "";
    const run = streamText({ model, prompt: QUESTION, maxRetries: 0 });
    for await (const piece of run.textStream) said += piece;
    same(said, ANSWER);
  };
  steps[`${name}, tools`] = async () => {
    const run = await generateText({ model, ...loop });
    same([run.text, run.steps.length], [ANSWER, 2]);
  };
  steps[`${name}, tools, streamed`] = async () => {
    const run = streamText({ model, ...loop });
    let said = "";
    for await (const piece of run.textStream) said += piece;
    same([said, (await run.steps).length], [ANSWER, 2]);
  };
}
steps["completions"] = async () => {
  const model = compatible.completionModel("rlfocal");
  same((await generateText({ model, prompt: QUESTION, maxRetries: 0 })).text, ANSWER);
};
for (const name of ["responses", "chat"]) {
  steps[`${name}, a schema`] = async () => {
    const output = Output.object({ schema: z.object({ total: z.number() }) });
    const run = await generateText({
      model: models[name], prompt: QUESTION, output, maxRetries: 0,
    });
    same(run.output, { total: 7 });
  };
}
await play("Vercel AI SDK", "ai", steps);
