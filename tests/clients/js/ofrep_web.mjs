// A browser's day with OpenFeature's web SDK over OFREP: node ofrep_web.mjs '{"url", "key", "flag", "fallback", "contexts": [context, …]}'
// Each context is set in turn. Prints for each what was read, and the status and tag of each exchange with the server.
import { OFREPWebProvider } from "@openfeature/ofrep-web-provider";
import { OpenFeature } from "@openfeature/web-sdk";

const { url, key, flag, fallback, contexts } = JSON.parse(process.argv[2]);
const exchanges = [];
const provider = new OFREPWebProvider({
  baseUrl: url,
  headers: [["Authorization", `Bearer ${key}`]],
  cacheMode: "network-first",
  pollInterval: 0,
  fetchImplementation: async (request) => {
    const sent = request.headers.get("if-none-match");
    const response = await fetch(request);
    exchanges.push({ status: response.status, sent, tag: response.headers.get("etag") });
    return response;
  },
});
const client = OpenFeature.getClient();
const read = [];
for (const [index, context] of contexts.entries()) {
  await OpenFeature.setContext(context);
  if (index === 0) await OpenFeature.setProviderAndWait(provider);
  read.push(client.getObjectDetails(flag, fallback));
}
console.log(JSON.stringify({ read, exchanges }));
await OpenFeature.close();
