// OpenAI's own client for Node: chat, responses, completions; its loop over tools.
import OpenAI from "openai";
import { ANSWER, BASE_URL, KEY, QUESTION, play, same } from "./steps.mjs";

const client = new OpenAI({ baseURL: BASE_URL, apiKey: KEY, maxRetries: 0 });
const messages = [{ role: "user", content: QUESTION }];
const parameters = {
  type: "object",
  properties: { a: { type: "integer" }, b: { type: "integer" } },
  required: ["a", "b"],
  additionalProperties: false,
};
const runnable = {
  type: "function",
  function: { name: "add", parameters, parse: JSON.parse, function: ({ a, b }) => String(a + b) },
};
const flat = { type: "function", name: "add", parameters, strict: true };

await play("openai (Node)", "openai", {
  chat: async () => {
    for (const model of ["rlfocal", "plain"]) {
      const reply = await client.chat.completions.create({ model, messages });
      same(reply.choices[0].message.content, ANSWER);
    }
  },
  "chat, streamed": async () => {
    const stream = await client.chat.completions.create({ model: "rlfocal", messages, stream: true });
    let said = "";
    for await (const chunk of stream) said += chunk.choices[0]?.delta?.content ?? "";
    same(said, ANSWER);
  },
  "chat, tools": async () => {
    const run = client.chat.completions.runTools({ model: "rlfocal", messages, tools: [runnable] });
    same(await run.finalContent(), ANSWER);
  },
  "chat, tools, streamed": async () => {
    const run = client.chat.completions.runTools({
      model: "rlfocal", messages, tools: [runnable], stream: true,
    });
    same(await run.finalContent(), ANSWER);
  },
  responses: async () => {
    const reply = await client.responses.create({ model: "rlfocal", input: QUESTION });
    same(reply.output_text, ANSWER);
  },
  "responses, streamed": async () => {
    const stream = client.responses.stream({ model: "rlfocal", input: QUESTION });
    let said = "";
    for await (const event of stream) {
      if (event.type === "response.output_text.delta") said += event.delta;
    }
    same(said, ANSWER);
    same((await stream.finalResponse()).output_text, ANSWER);
  },
  "responses, tools": async () => {
    const first = await client.responses.create({ model: "rlfocal", input: messages, tools: [flat] });
    const call = first.output.find((item) => item.type === "function_call");
    same(JSON.parse(call.arguments), { a: 3, b: 4 });
    const result = { type: "function_call_output", call_id: call.call_id, output: "7" };
    const input = [...messages, ...first.output, result];
    const more = await client.responses.create({ model: "rlfocal", input, tools: [flat] });
    same(more.output_text, ANSWER);
  },
  "responses, tools, streamed": async () => {
    const stream = client.responses.stream({ model: "rlfocal", input: messages, tools: [flat] });
    const final = await stream.finalResponse();
    const call = final.output.find((item) => item.type === "function_call");
    same(JSON.parse(call.arguments), { a: 3, b: 4 });
  },
  completions: async () => {
    const reply = await client.completions.create({ model: "rlfocal", prompt: QUESTION });
    same(reply.choices[0].text, ANSWER);
  },
  models: async () => {
    same((await client.models.retrieve("rlfocal:0.02")).id, "rlfocal:0.02");
  },
});
