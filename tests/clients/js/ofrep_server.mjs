// Questions to OpenFeature's server SDK over OFREP: node ofrep_server.mjs '{"url", "key", "questions": [{"kind", "flag", "fallback", "context"}]}'
// Prints the list of evaluation details.
import { OFREPProvider } from "@openfeature/ofrep-provider";
import { OpenFeature } from "@openfeature/server-sdk";

const { url, key, questions } = JSON.parse(process.argv[2]);
await OpenFeature.setProviderAndWait(new OFREPProvider({ baseUrl: url, headers: [["Authorization", `Bearer ${key}`]] }));
const client = OpenFeature.getClient();
const details = {
  boolean: (q) => client.getBooleanDetails(q.flag, q.fallback, q.context),
  string: (q) => client.getStringDetails(q.flag, q.fallback, q.context),
  number: (q) => client.getNumberDetails(q.flag, q.fallback, q.context),
  object: (q) => client.getObjectDetails(q.flag, q.fallback, q.context),
};
const answers = [];
for (const question of questions) answers.push(await details[question.kind](question));
console.log(JSON.stringify(answers));
await OpenFeature.close();
