// Reads plain alerts from the local broker: `npm install && node consumer.mjs [HOST] [PORT]`.
//
// A session of its own keeps what arrives while this program is away; the desk may send an event
// twice, so remember its id. An alert is a possible match, and says so: show it to people, judge
// nothing by it.

import mqtt from "mqtt";

const [host = "localhost", port = "1883"] = process.argv.slice(2);
const seen = new Set(); // a program of yours would keep it in its database

const client = mqtt.connect({
  host,
  port: Number(port),
  protocolVersion: 5,
  clientId: "example-consumer-mjs",
  clean: false,
  properties: { sessionExpiryInterval: 86_400 },
});

// Acknowledged only by `done`: an alert that was not dealt with comes again.
client.handleMessage = ({ payload }, done) => {
  const { source, id, data } = JSON.parse(payload.toString());
  const name = `${source} ${id}`;
  if (!seen.has(name)) {
    seen.add(name);
    console.log(`${id} ${data.words}: ${data.reference_id} (${data.score_band}). ${data.notice}`);
  }
  done();
};

client.on("connect", async () => {
  await client.subscribeAsync("passerby-desk/v1/+/+/alert", { qos: 1 });
  console.log("listening");
});

client.on("error", (error) => console.error(`The broker cannot be used: ${error.message}`));
